# SPDX-License-Identifier: GPL-3.0-or-later
"""Envelopes made in Python, a second implementation of proto/README.md: what Navette's own programs
would never send can be sent here."""
import os
import time

import msgpack

KEYS = ("v", "kind", "from", "mid", "issued", "expires", "body")
DOMAIN = b"navette-v1\0"


def now_ms():
    return int(time.time() * 1000)


def uuid7():
    value = bytearray(now_ms().to_bytes(6, "big") + os.urandom(10))
    value[6] = 0x70 | (value[6] & 0x0F)
    value[8] = 0x80 | (value[8] & 0x3F)
    h = value.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def seal(kind, body, key, who, ttl_ms=3600_000, **changes):
    """body: a dict, or bytes as they are; changes: other values for the envelope's keys (before it is
    signed), signature: that instead of a true one, None: no signature at all."""
    now = now_ms()
    envelope = {"v": 1, "kind": kind, "from": who, "mid": uuid7(), "issued": now,
                "expires": now + ttl_ms,
                "body": body if isinstance(body, bytes) else msgpack.packb(body)}
    signature = changes.pop("signature", ...)
    envelope.update(changes)
    if signature is ...:
        text = DOMAIN + msgpack.packb([envelope[k] for k in KEYS])
        signature = key.signing.sign(text).signature
    if signature is not None:
        envelope["signature"] = signature
    return msgpack.packb(envelope)


def open_envelope(data):
    """Unpacked and not verified: (envelope, body)."""
    envelope = msgpack.unpackb(data)
    return envelope, msgpack.unpackb(envelope["body"])


def restore_request(site, course, user, **changes):
    body = {"id": uuid7(), "rev": 1, "site": site, "course": str(course), "user": user,
            "lang": "en", "source": "api", "keep_category": False, "user_data": True,
            "enrolment": "always", "now": False, "roles": ["editingteacher"],
            "requested": now_ms()}
    body.update(changes)
    return {k: v for k, v in body.items() if v is not None}
