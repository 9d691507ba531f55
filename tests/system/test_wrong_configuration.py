# SPDX-License-Identifier: GPL-3.0-or-later
# ctest timeout 600
"""A wrong value, of every key there is, in every daemon: exit status 2, one line that names file,
line, key and what is allowed, and nothing was started: no connection is made, no folder appears."""
import collections
import concurrent.futures
import os
import re
import socket
import subprocess

import pytest
import yaml

from harness import daemon, keys, wait

ROLES = ("producer", "archiver", "worker")
Field = collections.namedtuple("Field", "section key allowed item")


def fields():
    """Every key, from `navette config example`: its section, and what is allowed."""
    text = subprocess.run([os.path.join(daemon.BUILD, "bin", "navette"), "config", "example"],
                          capture_output=True, text=True, check=True, timeout=60).stdout
    found, section, words = [], None, []
    for line in text.splitlines():
        head = re.match(r"(\w+):$", line)
        key = re.match(r"  #( *)(?:- )?(\w+): ", line)
        if head:
            section = head[1]
        elif key and section and not re.match(r"  # \S", line):
            value = re.search(r"Value: (.*?)\.(?: Default| Required| The environment| Reloadable|$)",
                              " ".join(words))
            assert value, f"{section}.{key[2]}: {words}"
            found.append(Field(section, key[2], value[1], section in ("clients", "sites")))
            words = []
        elif re.match(r"  # \S", line):
            words.append(line[4:])
    return found


def wrong_values(field):
    """[(wrong value, what the answer says is allowed)]"""
    return [(v, a) for v, a in _wrong_values(field)
            if v != "" or not field.allowed.endswith('or ""')]


def _wrong_values(field):
    allowed = field.allowed.removeprefix("one or a list, each ").removesuffix(' or ""')
    numbers = re.match(r"a (whole number|time|size) from (\S+) to (\S+)", allowed)
    if numbers:
        above = {"whole number": int(numbers[3]) + 1 if numbers[3].isdigit() else 0,
                 "time": "9000d", "size": "100TiB"}[numbers[1]]
        return [(v, allowed) for v in ("many", -1, above, "", [])]
    kinds = {
        "yes or no": ["maybe", 2, "", []],
        "one of ": ["something-else", "", []],
        "directory": ["something-else"],
        "a text of one line": ["two\nlines", ""],
        "an absolute path": ["relative/path", ""],
        "the absolute path of a file": ["relative/path"],
        "a name": ["Not A Name", "-x", "x" * 33],
        "host:port": ["nowhere", "127.0.0.1:99999", "127.0.0.1:http"],
        "an address with": ["ftp://example.org", "example.org", "https://u:secret@example.org"],
        "a mail address": ["nobody", "a b@example.org"],
        "an IP address": ["host", "10.0.0.0/33", "10.0.0", ""],
        "HH:MM-HH:MM": ["25:00-26:00", "at night"],
        "a time zone": ["Mars/Phobos", "../../etc/passwd"],
        "a public key": ["ed25519:short", "AAAA"],
    }
    for start, values in kinds.items():
        if allowed.startswith(start):
            return [(v, allowed) for v in values]
    raise AssertionError(f"{field}: what would be wrong here?")


class Ear:
    """A port that should hear nothing."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]

    def heard(self):
        try:
            self.socket.accept()[0].close()
            return True
        except BlockingIOError:
            return False


@pytest.fixture
def base(tmp_path):
    """A right configuration of all three daemons in one, and the ports it names."""
    ears = {name: Ear() for name in ("broker", "redis", "store", "smtp")}
    keys.Key().write(tmp_path / "key")
    secret = keys.write_secret(str(tmp_path / "secret"), "x")
    public = keys.Key().public
    sections = {
        "log": {"level": "debug"},
        "identity": {"client": "this-year", "site": "last-year", "key_file": str(tmp_path / "key")},
        "broker": {"uris": [f"amqp://u@127.0.0.1:{ears['broker'].port}/v"],
                   "password_file": secret},
        "redis": {"host": "127.0.0.1", "port": ears["redis"].port},
        "store": {"type": "webdav", "url": f"http://127.0.0.1:{ears['store'].port}/"},
        "site": {"type": "folder", "path": str(tmp_path / "site")},
        "archiver": {"work_dir": str(tmp_path / "work-a")},
        "worker": {"work_dir": str(tmp_path / "work-w")},
        "restore": {"default_category": "restored"},
        "notify": {"smtp_url": f"smtp://127.0.0.1:{ears['smtp'].port}",
                   "mail_from": "navette@example.org"},
        "producer": {"listen": "127.0.0.1:0", "accounts_file": str(tmp_path / "accounts")},
        "clients": [{"name": "this-year", "public_key": public}],
        "sites": [{"name": "last-year", "public_key": public}],
    }
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "site.json").write_text(
        '{"name": "x", "users": [], "roles": [], "courses": [], "categories": []}')
    (tmp_path / "accounts").write_text("")
    yield sections, ears
    for ear in ears.values():
        ear.socket.close()


def run(role, path, *options):
    return subprocess.run([os.path.join(daemon.BUILD, "bin", f"navette-{role}"), "-c", path,
                           *options], capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, **daemon.SANITIZERS})


def put(sections, field, value):
    changed = {name: dict(s) if isinstance(s, dict) else [dict(i) for i in s]
               for name, s in sections.items()}
    if field.item:
        changed[field.section][0][field.key] = value
    else:
        changed.setdefault(field.section, {})[field.key] = value
    return changed


def line_of(path, field):
    section = None
    with open(path, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if re.match(r"\w+:", line):
                section = line.split(":")[0]
            if section == field.section and re.match(rf"(- |  ){field.key}:", line):
                return number
    raise AssertionError(f"{field} is not in {path}")


def assert_refused(role, path, start, end):
    done = run(role, path)
    lines = done.stderr.splitlines()
    where = f"{role}: {done.returncode} {done.stdout}{done.stderr}"
    assert done.returncode == 2 and not done.stdout, where
    assert len(lines) == 1 and lines[0].startswith(start) and end in lines[0], \
        f"{start} … {end}\n{where}"


def assert_nothing_started(ears, tmp_path):
    assert not [name for name, ear in ears.items() if ear.heard()]
    assert not list(tmp_path.glob("work-*"))


def test_the_right_configuration_is_fine_and_connects(base, tmp_path):
    """Otherwise the tests below would show nothing."""
    sections, ears = base
    path = daemon.write_configuration(str(tmp_path / "right.yaml"), sections)
    for role in ROLES:
        done = run(role, path, "--check")
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert_nothing_started(ears, tmp_path)
    child = subprocess.Popen([os.path.join(daemon.BUILD, "bin", "navette-worker"), "-c", path],
                             stderr=subprocess.DEVNULL)
    try:
        wait.until(lambda: ears["broker"].heard() and ears["redis"].heard(), "a connection", 20)
        assert list(tmp_path.glob("work-w"))
    finally:
        child.kill()
        child.wait()


def test_every_wrong_value_of_every_key_is_refused(base, tmp_path):
    sections, ears = base
    cases = []
    for field in fields():
        values = wrong_values(field)
        secret = field.key.endswith("password_file")
        for n, (value, allowed) in enumerate(values):
            # Everything in the first wrong value's daemons; the others in one of them.
            for role in ROLES if n == 0 else (ROLES[n % 3],):
                cases.append((field, value, "is not the absolute path" if secret else allowed, role,
                              n))
    assert len({c[0] for c in cases}) > 90, "the example has lost its keys"

    def one(number, field, value, allowed, role):
        path = str(tmp_path / f"{number}.yaml")
        daemon.write_configuration(path, put(sections, field, value))
        name = f"{field.section}[1].{field.key}" if field.item else f"{field.section}.{field.key}"
        assert_refused(role, path, f"{path}:{line_of(path, field)}: {name}: ",
                       "" if isinstance(value, list) else allowed)

    wrong = []
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        jobs = {pool.submit(one, i, f, v, a, r): f"{f.section}.{f.key}: {v!r} ({r})"
                for i, (f, v, a, r, _) in enumerate(cases)}
        for job, what in jobs.items():
            if job.exception():
                wrong.append(f"{what}: {job.exception()}")
    assert not wrong, f"{len(wrong)} of {len(cases)}:\n" + "\n".join(wrong)
    assert_nothing_started(ears, tmp_path)


def test_what_is_missing_doubled_or_unknown_is_refused(base, tmp_path):
    sections, ears = base
    text = yaml.safe_dump(sections, sort_keys=False)

    def refused(role, content, line, *parts):
        path = str(tmp_path / "wrong.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(content)
        assert_refused(role, path, f"{path}:{line}: " if line else f"{path}: ", parts[0])
        for part in parts:
            assert part in run(role, path).stderr

    slots = text.replace("archiver:\n", "archiver:\n  slotz: 2\n")
    at = slots.splitlines().index("  slotz: 2") + 1
    for role in ROLES:
        refused(role, slots, at, "archiver.slotz", "archiver.slots")
        twice = text.replace("archiver:\n", "archiver:\n  slots: 2\n  slots: 2\n")
        refused(role, twice, at + 1, "archiver.slots")
        section = text + "archivist: {}\n"
        refused(role, section, len(text.splitlines()) + 1, "archivist")
        # A section that is a text, a text that is a map.
        refused(role, text.replace("redis:\n", "log2: x\nredis:\n"),
                text.splitlines().index("redis:") + 1, "log2")
        assert run(role, str(tmp_path / "not-there.yaml")).returncode == 2
        for broken in ("a: [", "\tx: 1\n", "a: b: c\n", "- 1\n", "\x00", "a: !!python/x 1\n"):
            path = str(tmp_path / "broken.yaml")
            with open(path, "w", encoding="utf-8") as f:
                f.write(broken)
            done = run(role, path)
            assert done.returncode == 2 and done.stderr.startswith(path), (broken, done.stderr)
    needed = {"producer": ("identity.key_file", "broker.uris", "producer.accounts_file"),
              "archiver": ("identity.site", "store.type", "site.path", "archiver.work_dir"),
              "worker": ("identity.client", "store.type", "site.path", "worker.work_dir",
                         "restore.default_category")}
    for role, names in needed.items():
        for name in names:
            section, key = name.split(".")
            less = {**sections, section: {k: v for k, v in sections[section].items() if k != key}}
            path = daemon.write_configuration(str(tmp_path / "less.yaml"), less)
            done = run(role, path)
            assert done.returncode == 2 and f"{name}: is missing" in done.stderr, done.stderr
    assert_nothing_started(ears, tmp_path)


def test_a_secret_that_others_may_read_is_refused(base, tmp_path):
    sections, ears = base
    os.chmod(tmp_path / "secret", 0o644)
    path = daemon.write_configuration(str(tmp_path / "open.yaml"), sections)
    for role in ROLES:
        assert_refused(role, path, f"{path}:", "broker.password_file")
        assert "0600" in run(role, path).stderr
        os.environ["NAVETTE_BROKER_PASSWORD"] = "from the environment"
        try:
            assert run(role, path, "--check").returncode == 0
        finally:
            del os.environ["NAVETTE_BROKER_PASSWORD"]
    assert_nothing_started(ears, tmp_path)
