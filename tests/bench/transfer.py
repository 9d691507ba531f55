#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive's way into the staging store and out of it, against rclone with the same files, and against cp.

    NAVETTE_BUILD=build/bench /usr/bin/python3 tests/bench/transfer.py [--rounds N] [--stores directory,webdav,s3]

Files of random bytes: 10,000 of 10 KB (1,000 where the store is no folder), 1,000 of 1 MB, 30 of 30 MB, one of 1 GB.
Navette (transfer_tool, which does what archiver and worker do): each file read once, SHA-1 and SHA-256 of every byte,
an object each from 64 KiB on and the smaller ones in one; back with SHA-256 and SHA-1 again, everything synced to disk
that must outlive a crash.  rclone (Debian's): `copy` with as many transfers as Navette (4) and with 16, the better of
the two; its own check of sizes, and of hashes where the other side has them (local folders: MD5; nginx: none; S3: MD5).
It syncs nothing, and does not compute what Moodle and the manifest name a content by: how long a sync takes afterwards
(syncfs of what it wrote, where Navette syncs, too), and how long SHA-1 and SHA-256 of the files (OpenSSL, side by
side), is measured as well, and the ratio given without and with them.
Where the store is S3, rclone sends files of up to 200 MiB as one object, Navette those above 8 MiB in parts; how long
rclone takes with parts of that size, too, is measured besides.
cp: `cp -r`, neither hashed nor synced.

Stores: directory, a folder of the same disk; webdav, nginx with deploy/nginx/staging.conf, no TLS; s3, s3rver behind
the tests' front, which checks each signature in Python: slow, so only the ratio says anything, and only of few files.
All in turn in each round, after one that does not count (the memory's pages are new to the machine).  Writes
results/transfer.json."""
import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "system")]
# pylint: disable=wrong-import-position
import measure  # noqa: E402
from harness import ports, processes, s3, staging, wait  # noqa: E402

BUILD = os.environ.get("NAVETTE_BUILD", "build/bench")
SETS = {"10 KB": (10000, 10_000), "1 MB": (1000, 1_000_000), "30 MB": (30, 30_000_000), "1 GB": (1, 1_000_000_000)}
USER = "archiver.bench"
BLOCK = 1 << 20
CLEAN = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}  # rclone would heed it


def make(folder, count, size):
    os.makedirs(folder)
    for _ in range(count):
        path, digest = os.path.join(folder, "new"), hashlib.sha1()
        with open(path, "wb") as f:
            for at in range(0, size, BLOCK):
                block = os.urandom(min(BLOCK, size - at))
                digest.update(block)
                f.write(block)
        os.rename(path, os.path.join(folder, digest.hexdigest()))


class Directory:
    def __init__(self, folder):
        self.root = os.path.join(folder, "directory")
        os.makedirs(self.root)

    def ours(self):
        return {"STORE_TYPE": "directory", "STORE_PATH": os.path.join(self.root, "navette")}

    def theirs(self):
        return {}, os.path.join(self.root, "rclone")

    def empty(self):
        shutil.rmtree(self.root)
        os.makedirs(os.path.join(self.root, "navette"))

    def close(self):
        pass


MODULE = "/usr/lib/nginx/modules/ngx_http_dav_ext_module.so"
NGINX = """load_module {module};
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log; client_body_temp_path {folder}/incoming; proxy_temp_path {folder}/t;
    fastcgi_temp_path {folder}/t; uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t; client_max_body_size 0;
    server {{ listen 127.0.0.1:{port}; root {folder}/root; dav_methods PUT DELETE MKCOL COPY MOVE;
        dav_ext_methods PROPFIND OPTIONS; create_full_put_path on; }}
}}
"""


class Webdav:
    """rclone lists by PROPFIND, which nginx has only with another module (libnginx-mod-http-dav-ext), so it gets an
    nginx of its own, without a password."""

    def __init__(self, folder):
        self.server = staging.Staging(os.path.join(folder, "webdav"), [USER], tls=False).start()
        self.other = os.path.join(folder, "other")
        for name in ("root", "t"):
            os.makedirs(os.path.join(self.other, name))
        self.port = ports.free()
        with open(os.path.join(self.other, "nginx.conf"), "w", encoding="ascii") as f:
            f.write(NGINX.format(module=MODULE, folder=self.other, port=self.port))
        self.child = processes.start(["/usr/sbin/nginx", "-e", f"{self.other}/error.log", "-p", self.other, "-c",
                                      f"{self.other}/nginx.conf"], f"{self.other}/nginx.out", dict(os.environ))
        wait.until(lambda: ports.listening(self.port), lambda: f"nginx, see {self.other}", 20)

    def ours(self):
        return {"STORE_TYPE": "webdav", "STORE_URL": self.server.url, "STORE_USER": USER,
                "STORE_PASSWORD": self.server.passwords[USER]}

    def theirs(self):
        return {"RCLONE_CONFIG_STORE_TYPE": "webdav", "RCLONE_CONFIG_STORE_URL": f"http://127.0.0.1:{self.port}",
                "RCLONE_CONFIG_STORE_VENDOR": "other"}, "store:rclone"

    def empty(self):
        for root in (self.server.root, os.path.join(self.other, "root")):
            shutil.rmtree(root)
            os.makedirs(root)

    def close(self):
        self.server.close()
        processes.kill(self.child)


class S3:
    def __init__(self, folder):
        self.server = s3.S3(os.path.join(folder, "s3"), os.path.join(BUILD, "tests/s3/node_modules"))

    def ours(self):
        return {"STORE_TYPE": "s3", "STORE_URL": self.server.url, "STORE_BUCKET": s3.BUCKET, "STORE_USER": s3.KEY,
                "STORE_PASSWORD": s3.SECRET}

    def theirs(self):
        return {"RCLONE_CONFIG_STORE_TYPE": "s3", "RCLONE_CONFIG_STORE_PROVIDER": "Other",
                "RCLONE_CONFIG_STORE_ENDPOINT": self.server.url, "RCLONE_CONFIG_STORE_REGION": "us-east-1",
                "RCLONE_CONFIG_STORE_ACCESS_KEY_ID": s3.KEY, "RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY": s3.SECRET,
                "RCLONE_CONFIG_STORE_FORCE_PATH_STYLE": "true", "RCLONE_S3_NO_CHECK_BUCKET": "true"}, \
            f"store:{s3.BUCKET}/rclone"

    def empty(self):
        data = os.path.join(self.server.folder, "data", s3.BUCKET)
        for name in os.listdir(data):
            shutil.rmtree(os.path.join(data, name), ignore_errors=True)

    def close(self):
        self.server.close()


STORES = {"directory": Directory, "webdav": Webdav, "s3": S3}


def timed(command, env, text=None):
    """(seconds, MiB at most, processor seconds, what it said)"""
    began = time.perf_counter()
    done = subprocess.run(["/usr/bin/time", "-f", "%M %U %S", *command], env={**CLEAN, **env}, input=text,
                          capture_output=True, text=True, timeout=900, check=False)
    seconds = time.perf_counter() - began
    assert done.returncode == 0, f"{command}: {done.stderr}"
    memory, user, system = done.stderr.split()[-3:]
    return {"seconds": round(seconds, 3), "rss_mib": int(memory) // 1024, "cpu_s": round(float(user) + float(system), 2)}, \
        done.stdout


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    return folder


def navette(store, files, folder):
    tool = os.path.join(BUILD, "tests/bench/transfer_tool")
    up, said = timed([tool, "put", files, os.path.join(folder, "work")], store.ours())
    os.sync()
    down, _ = timed([tool, "fetch", fresh(os.path.join(folder, "back")), os.path.join(folder, "work")], store.ours(), said)
    return {"up": up, "down": down}


def synced(way, folder):
    """How long it takes until what was written there is on the disk."""
    began = time.perf_counter()
    subprocess.run(["sync", "-f", folder], check=True)
    way["sync_s"] = round(time.perf_counter() - began, 3)


def hashed(way, folder):
    """How long both hashes of all its files take, one process for each."""
    names = sorted(os.listdir(folder))
    began = time.perf_counter()
    children = [subprocess.Popen(["openssl", "dgst", f"-{kind}", "-r", *names], cwd=folder, stdout=subprocess.DEVNULL)
                for kind in ("sha1", "sha256")]
    assert [child.wait() for child in children] == [0, 0]
    way["hashes_s"] = round(time.perf_counter() - began, 3)


IN_PARTS = ["rclone 4 in parts", "rclone 16 in parts"]
PARTS = {"RCLONE_S3_UPLOAD_CUTOFF": "8Mi", "RCLONE_S3_CHUNK_SIZE": "8Mi"}


def rclone(store, files, folder, transfers, more):
    env, to = store.theirs()
    env = {**env, **more, "RCLONE_CONFIG": os.path.join(folder, "rclone.conf")}
    options = ["--transfers", str(transfers), "--checkers", str(transfers), "--no-traverse", "-q"]
    up, _ = timed(["rclone", "copy", files, to, *options], env)
    if isinstance(store, Directory):  # the servers sync nothing, for nobody
        synced(up, to)
    hashed(up, files)
    os.sync()
    back = fresh(os.path.join(folder, "back"))
    down, _ = timed(["rclone", "copy", to, back, *options], env)
    synced(down, back)
    hashed(down, back)
    return {"up": up, "down": down}


def cp(files, folder):
    there, _ = timed(["cp", "-r", files, os.path.join(fresh(os.path.join(folder, "back")), "files")], {})
    return {"up": there, "down": there}


def measured(store, files, folder, which):
    store.empty()
    if which == "navette":
        out = navette(store, files, folder)
    elif which == "cp":
        out = cp(files, folder)
    else:
        _, transfers, *parts = which.split()
        out = rclone(store, files, folder, int(transfers), PARTS if parts else {})
    shutil.rmtree(os.path.join(folder, "back"))
    os.sync()
    return out


# What is counted beside rclone's own time, by the ratio's name; the servers sync nothing on the way up.
WITH = {"rclone": (), "rclone and sync": ("sync_s",), "rclone, sync and hashes": ("sync_s", "hashes_s")}


def against(runs, way, others, more=()):
    """Of each round: the time of the better of the others / Navette's."""
    return measure.spread([min(r[way]["seconds"] + sum(r[way].get(k, 0) for k in more) for r in theirs) /
                           ours[way]["seconds"] for ours, *theirs in zip(runs["navette"], *(runs[o] for o in others))])


def summary(runs, total):
    out = {"bytes": total, "runs": runs}
    for way in ("up", "down"):
        ratios = {name: against(runs, way, ["rclone 4", "rclone 16"], more) for name, more in WITH.items()}
        if way == "up" and IN_PARTS[0] in runs:
            ratios["rclone in parts"] = against(runs, way, IN_PARTS)
        ratios["cp"] = against(runs, way, ["cp"])
        out[way] = {"mb_per_second": {w: measure.spread([total / 1e6 / r[way]["seconds"] for r in found])
                                      for w, found in runs.items()},
                    "ratios": {f"navette / {name}, throughput": ratio for name, ratio in ratios.items()}}
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--stores", default="directory,webdav,s3")
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--no-save", action="store_true")
    chosen = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="nvt-", dir=measure.place())
    os.chmod(folder, 0o711)
    document, machine = {"benchmark": "transfer", "stores": {}}, measure.machine(
        **measure.versions(), rclone=subprocess.run(["rclone", "version"], capture_output=True, text=True,
                                                    check=True).stdout.splitlines()[0])
    try:
        for name in chosen.stores.split(","):
            store = STORES[name](fresh(os.path.join(folder, name + "-side")))
            for title in chosen.sets.split(","):
                count, size = SETS[title]
                count = count if name == "directory" else min(count, 1000)
                files = os.path.join(folder, "files")
                make(files, count, size)
                who = ["navette", "rclone 4", "rclone 16", "cp"] + (IN_PARTS if name == "s3" and size > 8 << 20 else [])
                runs = {w: [] for w in who}
                measured(store, files, folder, "rclone 4")
                for n in range(chosen.rounds):
                    for w in who[n % len(who):] + who[:n % len(who)]:
                        runs[w].append(measured(store, files, folder, w))
                found = document["stores"].setdefault(name, {})[title] = {
                    "machine": machine, **summary(runs, count * size)}
                print(name, title, json.dumps({w: found[w]["ratios"] for w in ("up", "down")}), flush=True)
                shutil.rmtree(files)
                if not chosen.no_save:
                    measure.save("transfer", document, depth=3)
            store.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    measure.end_with_children()
    main()
