#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire format against a second implementation: Python's msgpack and PyNaCl, written from
proto/README.md. What one side seals the other must open, and find the same in it.

usage: proto_vectors.py PROGRAM (tests/unit/proto_vectors.c)
"""
import base64
import os
import re
import subprocess
import sys
import tempfile
import time

import msgpack
import nacl.signing

PROGRAM = sys.argv[1]
SOURCE = os.environ["NAVETTE_SOURCE"]
SEED = bytes(range(32))
KEY = nacl.signing.SigningKey(SEED)
PUBLIC = "ed25519:" + base64.b64encode(bytes(KEY.verify_key)).decode()
MID = "01933b5c-7c00-7abc-8def-0123456789ab"
KEYS = ["v", "kind", "from", "mid", "issued", "expires", "body", "signature"]


def contract():
    """{kind: (signer, {field: (type, required, limit)})} and the sub-records, from README.md."""
    messages, parts, here = {}, {}, None
    with open(os.path.join(SOURCE, "proto", "README.md"), encoding="utf-8") as f:
        for line in f:
            if m := re.match(r"### (\S+)", line):
                here = {}
                messages[m[1]] = [None, here]
                kind = m[1]
            elif m := re.match(r"#### (\S+)", line):
                here = parts[m[1]] = {}
            elif m := re.match(r"Signed by a (client|site);", line):
                messages[kind][0] = m[1]
            elif here is not None and (m := re.match(
                    r"\| `(\w+)` \| (\w+) \| (yes|no) \| (.*?) \| ", line)):
                here[m[1]] = (m[2], m[3] == "yes", m[4])
    return messages, parts


MESSAGES, PARTS = contract()


def value(kind, limit):
    """A valid value that is not the type's zero, so that the other side writes it again."""
    return {
        "bool": lambda: True,
        "uint": lambda: min(2 ** 40 + 1, eval_limit(limit)),
        "str": lambda: "héé"[: int(limit.split()[0]) // 2],
        "bin": lambda: b"\x00\xc1\xff",
        "uuid": lambda: MID,
        "name": lambda: "last-year",
        "enum": lambda: re.findall(r"`([\w-]+)`", limit)[-1],
        "strs": lambda: ["editingteacher", "ü"],
        "list": lambda: [body(PARTS[re.search(r"\[(\w+)\]", limit)[1]])] * 2,
    }[kind]()


def eval_limit(limit):
    return 2 ** 64 - 1 if limit == "2^64 - 1" else int(limit)


def body(fields):
    return {name: value(kind, limit) for name, (kind, _, limit) in fields.items()}


def seal(kind, content, key=KEY, **changes):
    now = int(time.time() * 1000)
    e = {"v": 1, "kind": kind, "from": MESSAGES[kind][0] + ":someone", "mid": MID,
         "issued": now, "expires": now + 60000, "body": msgpack.packb(content)}
    e.update(changes)
    e["signature"] = key.sign(b"navette-v1\0" + msgpack.packb([e[k] for k in KEYS[:7]])).signature
    return msgpack.packb(e)


def run_open(kind, data):
    return subprocess.run([PROGRAM, "open", kind, "someone", PUBLIC], input=data,
                          capture_output=True, timeout=60, check=False)


def ours_opens_theirs(kind, fields):
    content = body(fields)
    done = run_open(kind, seal(kind, content))
    assert done.returncode == 0, (kind, done.stderr)
    mid, again = done.stdout.split(b"\n", 1)
    assert mid.decode() == MID
    assert msgpack.unpackb(again) == content, kind

    required = {n: v for n, v in content.items() if fields[n][1]}
    done = run_open(kind, seal(kind, dict(required, something_newer=[{"a": None}, 1.5])))
    assert done.returncode == 0, (kind, done.stderr)
    assert msgpack.unpackb(done.stdout.split(b"\n", 1)[1]) == required, kind

    stranger = nacl.signing.SigningKey.generate()
    done = run_open(kind, seal(kind, content, stranger))
    assert done.returncode == 1 and done.stderr.startswith(b"unsigned_message"), done.stderr
    done = run_open(kind, seal(kind, content, v=2))
    assert done.returncode == 1 and done.stderr.startswith(b"unknown_version"), done.stderr


def theirs_opens_ours(kind, fields, path):
    out = subprocess.run([PROGRAM, "seal", kind, "someone", path], capture_output=True,
                         timeout=60, check=True).stdout
    e = msgpack.unpackb(out)
    assert list(e) == KEYS and e["v"] == 1 and e["kind"] == kind, e
    assert e["from"] == MESSAGES[kind][0] + ":someone"
    assert e["expires"] - e["issued"] == 60000
    assert abs(e["issued"] - time.time() * 1000) < 60000
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
                        e["mid"])
    KEY.verify_key.verify(b"navette-v1\0" + msgpack.packb([e[k] for k in KEYS[:7]]),
                          e["signature"])
    assert msgpack.packb(e) == out, "not the shortest form"
    content = msgpack.unpackb(e["body"])
    assert list(content) == list(fields), (kind, list(content))
    types = {"bool": bool, "uint": int, "bin": bytes, "strs": list, "list": list}
    for name, (type_word, _, _) in fields.items():
        assert isinstance(content[name], types.get(type_word, str)), (kind, name)


def main():
    assert len(MESSAGES) >= 7 and all(s and f for s, f in MESSAGES.values()), MESSAGES
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "key")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
            f.write(b"ed25519-secret:" + base64.b64encode(SEED) + b"\n")
        for kind, (_, fields) in MESSAGES.items():
            ours_opens_theirs(kind, fields)
            theirs_opens_ours(kind, fields, path)
            print(kind, "ok")


main()
