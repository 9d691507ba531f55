# SPDX-License-Identifier: GPL-3.0-or-later
"""A private Redis on a unix socket, kept as the design asks: append-only, fsync always."""
import os
import signal

import redis

from . import processes, wait


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

    def start(self):
        self.child = processes.start(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700",
             "--dir", self.folder, "--appendonly", "yes", "--appendfsync", "always", "--save", "",
             "--maxmemory-policy", "noeviction"], self.log)
        wait.until(self._up, lambda: f"Redis, see {self.log}", 30)
        return self

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

    def kill(self):
        if self.child:
            processes.kill(self.child)
            self.child = None

    def close(self):
        self.client.close()
        self.kill()
