# SPDX-License-Identifier: GPL-3.0-or-later
"""Each package has what it says and nothing of another's; its programs need no library that it does not
name; units are as closed as they are meant to be; manual pages and completion are without fault."""
import glob
import gzip
import os
import re
import subprocess
import zipfile

import pytest

from conftest import SOURCE

PACKAGES = ("common", "producer", "archiver", "worker", "cli")
DAEMONS = ("producer", "archiver", "worker")
EXPOSURE = 20  # of systemd-analyze security, in tenths


def run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout


@pytest.fixture(scope="module")
def made():
    folder = os.path.join(SOURCE, "build", "package", "packages")
    run(os.path.join(SOURCE, "deploy", "package"))
    return folder


@pytest.fixture(scope="module")
def packages(made):
    return {p: glob.glob(os.path.join(made, f"navette-{p}_*.deb"))[0] for p in PACKAGES}


@pytest.fixture(scope="module")
def unpacked(packages, tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    for deb in packages.values():
        run("dpkg-deb", "-x", deb, str(root))
    return root


def files(deb):
    listed = run("dpkg-deb", "-c", deb).splitlines()
    return {line.split()[5][1:] for line in listed if not line.startswith("d")}, listed


def test_what_is_in_them(packages):
    seen = {}
    for name, deb in packages.items():
        found, listed = files(deb)
        assert all(line.split()[1] == "root/root" for line in listed)
        assert not [f for f in found if not f.startswith("/usr/")], "what is in /etc the administrator wrote"
        for f in found:
            assert f not in seen, f"{f} is in {seen[f]}, too"
            seen[f] = name
        assert f"/usr/share/doc/navette-{name}/copyright" in found
        about = run("dpkg-deb", "-f", deb, "Description").splitlines()
        assert about[0].startswith("Navette: ") and len(about[0]) < 80 and len(about) > 2
        assert run("dpkg-deb", "-f", deb, "Architecture").strip() == ("all" if name == "common" else
                                                                    run("dpkg", "--print-architecture").strip())
    for role in DAEMONS:
        at = "" if role == "producer" else "@"
        assert {seen[f"/usr/bin/navette-{role}"], seen[f"/usr/lib/systemd/system/navette-{role}{at}.service"],
                seen[f"/usr/share/man/man8/navette-{role}.8.gz"]} == {role}
    assert seen["/usr/bin/navette"] == seen["/usr/share/bash-completion/completions/navette"] == "cli"
    assert seen["/usr/share/navette/block_navette.zip"] == seen["/usr/lib/systemd/system/navette.target"] == "common"


def test_libraries_are_named(packages, unpacked):
    for name, deb in packages.items():
        if name == "common":
            continue
        depends = run("dpkg-deb", "-f", deb, "Depends")
        program = unpacked / "usr/bin" / ("navette" if name == "cli" else f"navette-{name}")
        assert re.search(r"navette-common \(= ", depends)
        for library in re.findall(r"NEEDED +(\S+)", run("objdump", "-p", str(program))):
            owner = run("dpkg-query", "-S", f"*/{library}").split(":")[0]
            assert owner in depends, f"{library} of {owner}"
        assert SOURCE.encode() not in program.read_bytes(), "the folder it was built in"


def test_units_are_closed(unpacked):
    for role in DAEMONS:
        unit = unpacked / "usr/lib/systemd/system" / f"navette-{role}{'' if role == 'producer' else '@'}.service"
        out = run("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", str(unit))
        print(out.splitlines()[-1])
        text = unit.read_text()
        assert f"ExecStart=/usr/bin/navette-{role}\n" in text and "\nWatchdogSec=" in text and "Type=notify" in text
        assert "PartOf=navette.target" in text and "@" not in re.sub(r"navette-\w+@|@%i|@[a-z-]+", "", text)


def test_every_command_has_its_page(unpacked):
    man = unpacked / "usr/share/man"
    commands = [line.split()[:2] for line in run(str(unpacked / "usr/bin/navette"), "help").splitlines()
                if re.match(r"  [a-z]", line)]
    pages = {p.name[:-len(".1.gz")] for p in (man / "man1").iterdir()}
    for first, second in commands:
        assert f"navette-{first}" in pages or f"navette-{first}-{second}" in pages
    assert {p.name for p in man.glob("man[578]/*")} == {
        "navette.yaml.5.gz", "navette-messages.7.gz", *(f"navette-{r}.8.gz" for r in DAEMONS)}
    for page in man.glob("man?/*"):
        done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", str(page)], check=True,
                              capture_output=True, text=True, env={**os.environ, "MANWIDTH": "80"})
        # A word longer than its column is none of ours.
        faults = [line for line in done.stderr.splitlines() if "can't break line" not in line]
        assert not faults, (page, faults)
    every_key = set(re.findall(r"^  #([a-z_]+):", run(str(unpacked / "usr/bin/navette"), "config", "example"), re.M))
    shown = gzip.decompress((man / "man5/navette.yaml.5.gz").read_bytes()).decode()
    assert every_key and every_key <= set(re.findall(r"^\\fB([a-z0-9_]+)\\fR$", shown, re.M))


def complete(unpacked, *words):
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _navette; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    return run("bash", "-c", script, "bash", str(unpacked / "usr/share/bash-completion/completions/navette"),
               "navette", *words).split()


def test_the_shell_completes(unpacked, tmp_path):
    assert "submit" in complete(unpacked, "") and complete(unpacked, "sub") == ["submit"]
    assert set(complete(unpacked, "dead", "")) == {"list", "show", "requeue", "discard"}
    assert complete(unpacked, "submit", "--w") == ["--wait"]
    assert complete(unpacked, "list", "--state", "re") == ["ready", "restored"]
    assert "--all" in complete(unpacked, "-c", "/etc/navette/navette.yaml", "dead", "requeue", "--")
    (tmp_path / "course.mbz").touch()
    assert complete(unpacked, "inspect", f"{tmp_path}/co") == [f"{tmp_path}/course.mbz"]


def test_the_zip_is_the_plugin(made, unpacked):
    with zipfile.ZipFile(os.path.join(made, "block_navette.zip")) as z:
        assert z.testzip() is None
        names = z.namelist()
        assert {n.split("/")[0] for n in names} == {"navette"}, "one folder, named as the block"
        source = os.path.join(SOURCE, "moodle", "block_navette")
        there = {os.path.relpath(os.path.join(d, f), source) for d, _, fs in os.walk(source) for f in fs}
        assert {n[len("navette/"):] for n in names} == there
        assert b"block_navette" in z.read("navette/version.php")
        with open(os.path.join(unpacked, "usr/share/navette/block_navette.zip"), "rb") as f, \
                open(z.filename, "rb") as g:
            assert f.read() == g.read()
