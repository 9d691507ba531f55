# SPDX-License-Identifier: GPL-3.0-or-later
"""A private Redis on a unix socket, kept as the design asks: append-only, fsync always; and one with a
replica, watched by sentinels."""
import contextlib
import os
import shutil
import signal
import subprocess

import redis
import redis.sentinel

from . import ports, processes, wait

KEPT = ["--appendonly", "yes", "--appendfsync", "always", "--save", "", "--maxmemory-policy", "noeviction"]


class RedisServer:
    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        # A path of a socket has at most 107 bytes.
        self.socket = os.path.join(folder, "s")
        self.log = os.path.join(folder, "redis.out")
        self.child = None
        self.client = redis.Redis(unix_socket_path=self.socket, decode_responses=False,
                                  socket_timeout=10)

    def section(self):
        """Of a daemon's configuration."""
        return {"socket": self.socket}

    def start(self):
        return self._begin(KEPT)

    def _begin(self, kept):
        self.child = processes.start(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700",
             "--dir", self.folder, *kept], self.log)
        wait.until(self._up, lambda: f"Redis, see {self.log}", 30)
        return self

    def snapshot(self, path):
        subprocess.run(["redis-cli", "-s", self.socket, "--rdb", path], check=True, capture_output=True, timeout=60)

    def start_from(self, path):
        """With what a snapshot has, and nothing else. A Redis that keeps a log of its own from the start does not look
        at a snapshot: it is told to afterwards."""
        self.kill()
        shutil.rmtree(self.folder)
        os.makedirs(self.folder)
        shutil.copy(path, os.path.join(self.folder, "dump.rdb"))
        self._begin(["--appendonly", "no", "--save", ""])
        self.client.config_set("appendfsync", "always")
        self.client.config_set("maxmemory-policy", "noeviction")
        self.client.config_set("appendonly", "yes")
        wait.until(self._keeps, "its log is written")

    def _keeps(self):
        state = self.client.info("persistence")
        return state["aof_enabled"] and not state["aof_rewrite_in_progress"] and not state["aof_rewrite_scheduled"]

    def _up(self):
        assert self.child.poll() is None, f"Redis ended, see {self.log}"
        try:
            return self.client.ping()
        except redis.RedisError:
            return False

    def stop(self):
        os.kill(self.child.pid, signal.SIGTERM)
        assert processes.reap(self.child, 30) == 0, f"Redis did not stop, see {self.log}"
        self.child = None

    @contextlib.contextmanager
    def stands_still(self):
        """It takes connections and answers nothing; then it goes on with what it was asked meanwhile."""
        os.kill(self.child.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.child.pid, signal.SIGCONT)

    def kill(self):
        if self.child:
            processes.kill(self.child)
            self.child = None

    def close(self):
        self.client.close()
        self.kill()


class Watched:
    """A primary, a replica and three sentinels, on ports of 127.0.0.1."""
    master = "navette"

    def __init__(self, folder, down_after_ms=3000):
        self.folder, self.down_after_ms = folder, down_after_ms
        self.servers = [ports.free(), ports.free()]
        self.sentinels = [ports.free() for _ in range(3)]
        self.children = {}
        self._sentinel = redis.sentinel.Sentinel([("127.0.0.1", p) for p in self.sentinels], socket_timeout=5)
        self.client = self._sentinel.master_for(self.master, socket_timeout=10)

    def section(self):
        return {"sentinels": [f"redis://127.0.0.1:{p}" for p in self.sentinels], "master": self.master}

    def _server(self, port, *more):
        folder = os.path.join(self.folder, str(port))
        os.makedirs(folder, exist_ok=True)
        self.children[port] = processes.start(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, *KEPT,
             "--repl-diskless-sync-delay", "0", *more], os.path.join(folder, "out"))
        wait.until(lambda: ports.listening(port), f"Redis, see {folder}", 30)

    def start(self):
        self._server(self.servers[0])
        self._server(self.servers[1], "--replicaof", "127.0.0.1", str(self.servers[0]))
        for port in self.sentinels:
            path = os.path.join(self.folder, f"{port}.conf")
            with open(path, "w", encoding="ascii") as f:
                f.write(f"port {port}\nbind 127.0.0.1\ndir {self.folder}\n"
                        f"sentinel monitor {self.master} 127.0.0.1 {self.servers[0]} 2\n"
                        f"sentinel down-after-milliseconds {self.master} {self.down_after_ms}\n"
                        f"sentinel failover-timeout {self.master} 10000\n")
            self.children[port] = processes.start(["redis-server", path, "--sentinel"],
                                                  os.path.join(self.folder, f"{port}.out"))
        wait.until(self._watched, lambda: f"sentinels that know each other, see {self.folder}", 30)
        return self

    def _watched(self):
        try:
            state = self._sentinel.sentinels[0].sentinel_master(self.master)
            return state["num-slaves"] == 1 and state["num-other-sentinels"] == 2 and self.client.ping()
        except redis.RedisError:
            return False

    def primary(self):
        """Its port, as the sentinels see it; None: just now there is none."""
        try:
            return self._sentinel.discover_master(self.master)[1]
        except redis.RedisError:
            return None

    def kill(self, port):
        processes.kill(self.children.pop(port))

    def restart(self, port):
        """As a service manager does; the sentinels make a replica of it."""
        self._server(port)

    def follows(self, port):
        """Has it what the primary has?  The primary counts a replica while that one still loads its first copy."""
        with redis.Redis(port=port, socket_timeout=10) as server:
            state = server.info("replication")
        return state["role"] == "slave" and state["master_link_status"] == "up"

    def close(self):
        self.client.close()
        for child in self.children.values():
            processes.kill(child)
