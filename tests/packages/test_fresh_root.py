# SPDX-License-Identifier: GPL-3.0-or-later
"""In a fresh Debian 12: each package installs without the others, says what is missing, and brings a
course with them; what removal leaves is what the administrator wrote.  Needs root and the machine's
package source.

The daemons are started by the quickstart there, not by systemd: a root file system that is not booted
has none that runs."""
import glob
import os
import shutil
import subprocess

import pytest

from conftest import SOURCE, needs_nightly

OURS = ("producer", "archiver", "worker", "cli")


class Root:
    def __init__(self, folder, packages):
        self.folder = folder
        self.packages = packages
        subprocess.run(["mmdebstrap", "--variant=apt", "--mode=root", "--skip=cleanup/apt/lists", "bookworm",
                        folder], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for name in ("proc", "dev"):
            subprocess.run(["mount", "--rbind", f"/{name}", os.path.join(folder, name)], check=True)
            subprocess.run(["mount", "--make-rslave", os.path.join(folder, name)], check=True)
        with open(os.path.join(folder, "etc", "hosts"), "w", encoding="ascii") as f:
            f.write("127.0.0.1 localhost\n")
        os.makedirs(os.path.join(folder, "packages"))
        for deb in glob.glob(os.path.join(packages, "*.deb")):
            shutil.copy(deb, os.path.join(folder, "packages"))

    def run(self, *command, check=True, env=None):
        done = subprocess.run(["chroot", self.folder, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
                               "DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1", "LC_ALL=C.UTF-8",
                               *(f"{k}={v}" for k, v in (env or {}).items()), *command],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-4000:]}"
        return done

    def install(self, *names):
        paths = [f"/packages/{os.path.basename(glob.glob(os.path.join(self.packages, f'navette-{n}_*.deb'))[0])}"
                 for n in names]
        self.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *paths)

    def files(self):
        """Names below what packages and administrators write to; not the package manager's own, nor caches."""
        found = set()
        for top in ("etc", "usr", "var", "lib", "run", "opt", "srv", "home"):
            for folder, dirs, names in os.walk(os.path.join(self.folder, top)):
                dirs[:] = [d for d in dirs if not os.path.islink(os.path.join(folder, d))]
                found.update(os.path.relpath(os.path.join(folder, n), self.folder) for n in names + dirs)
        own = ("var/lib/dpkg", "var/lib/apt", "var/cache", "var/log", "etc/ld.so.cache",
               "etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-")  # as they were before the last change
        return {f for f in found if not f.startswith(own)}

    def users(self):
        with open(os.path.join(self.folder, "etc", "passwd"), encoding="utf-8") as f:
            return {line.split(":")[0] for line in f}

    def close(self):
        for name in ("proc", "dev"):
            subprocess.run(["umount", "-R", "-l", os.path.join(self.folder, name)], check=False)
        assert not os.path.exists(os.path.join(self.folder, "proc", "1")), "still mounted: left alone"
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    if os.geteuid() != 0 or not shutil.which("mmdebstrap"):
        pytest.skip("needs root and mmdebstrap")
    subprocess.run([os.path.join(SOURCE, "deploy", "package")], check=True, stdout=subprocess.DEVNULL)
    r = Root(str(tmp_path_factory.mktemp("debian") / "root"), os.path.join(SOURCE, "build", "package", "packages"))
    try:
        yield r
    finally:
        r.close()


@needs_nightly
def test_each_installs_alone_and_leaves_nothing(root):
    root.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "systemd-standalone-sysusers", "tzdata",
             "ca-certificates")
    for name in OURS:
        before, users = root.files(), root.users()
        root.install("common", name)
        program = "navette" if name == "cli" else f"navette-{name}"
        assert program in root.run(program, "--version").stdout
        assert "navette" in root.users()
        if name == "cli":
            doctor = root.run("navette", "doctor", check=False)
            assert doctor.returncode == 1 and "/etc/navette/navette.yaml" in doctor.stdout
        else:
            said = root.run(program, check=False)
            assert said.returncode == 2 and "/etc/navette/navette.yaml" in said.stdout
        root.run("apt-get", "purge", "-y", "-qq", "--autoremove", "navette-*")
        assert root.files() == before and root.users() == users


@needs_nightly
def test_they_bring_courses(root):
    """With the packages' programs and Debian's broker and database: what the quickstart does."""
    with open(os.path.join(SOURCE, "deploy", "packages.run"), encoding="utf-8") as f:
        needed = [line.strip() for line in f if not line.startswith("#")]
    root.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *needed, "procps", "curl")
    root.install("common", *OURS)
    repository = os.path.join(root.folder, "root", "navette")
    for part in ("deploy", "broker-config", "tests/samples"):
        shutil.copytree(os.path.join(SOURCE, part), os.path.join(repository, part))
    try:
        out = root.run("/root/navette/deploy/quickstart", "--programs", "/usr/bin").stdout
        print(out)
        assert "restored" in out
    finally:
        root.run("/root/navette/deploy/quickstart", "--stop", check=False)
    shutil.rmtree(repository)


@needs_nightly
def test_what_the_administrator_wrote_stays(root):
    root.install("common", *OURS)
    etc = os.path.join(root.folder, "etc", "navette")
    mine = {"navette.yaml": "identity:\n  client: this-year\n", "worker@1.env": "NAVETTE_BROKER_PASSWORD=x\n"}
    for name, text in mine.items():
        with open(os.path.join(etc, name), "w", encoding="utf-8") as f:
            f.write(text)
    work = os.path.join(root.folder, "var", "lib", "navette", "worker", "half-done")
    os.makedirs(work)
    root.run("apt-get", "install", "-y", "-qq", "--reinstall", *(f"/packages/{os.path.basename(p)}" for p in
             glob.glob(os.path.join(root.folder, "packages", "*.deb"))))
    assert sorted(os.listdir(etc)) == sorted(mine) and os.path.isdir(work), "an upgrade touches neither"
    root.run("apt-get", "purge", "-y", "-qq", "navette-*")
    for name, text in mine.items():
        with open(os.path.join(etc, name), encoding="utf-8") as f:
            assert f.read() == text
    assert not os.path.exists(os.path.join(root.folder, "var", "lib", "navette"))
    assert "navette" in root.users(), "whose files are there"
    left = {f for f in root.files() if "navette" in f}
    assert left == {"etc/navette", *(f"etc/navette/{n}" for n in mine)}, left
