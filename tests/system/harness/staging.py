# SPDX-License-Identifier: GPL-3.0-or-later
"""The staging store as it is meant to be run: nginx with deploy/nginx/staging.conf, TLS, and a user
of its own for each principal; and the same without either, for tests that put a proxy in front."""
import base64
import contextlib
import hashlib
import os
import subprocess

from . import keys, ports, processes, wait
from .samples import SOURCE

_MAIN = """daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 256; }}
http {{
    access_log {folder}/access.log;
    proxy_temp_path {folder}/temp; fastcgi_temp_path {folder}/temp;
    uwsgi_temp_path {folder}/temp; scgi_temp_path {folder}/temp;
    {include}
}}
"""
_LOCAL = """listen 127.0.0.1:{port}{ssl};
root {folder}/root;
client_body_temp_path {folder}/incoming;
"""


class Staging:
    """users: names as in staging.conf."""

    def __init__(self, folder, users, tls=True):
        self.folder, self.tls = folder, tls
        self.root = os.path.join(folder, "root")
        self.port = ports.free()
        self.passwords = {user: f"{user}'s secret" for user in users}
        for name in ("root", "temp"):
            os.makedirs(os.path.join(folder, name))
        self._write()
        self.child = None

    def _path(self, name):
        return os.path.join(self.folder, name)

    def _file(self, name, text):
        with open(self._path(name), "w", encoding="utf-8") as f:
            f.write(text)

    def _write(self):
        local = _LOCAL.format(port=self.port, folder=self.folder, ssl=" ssl" if self.tls else "")
        if self.tls:
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self._path("tls.key"),
                 "-out", self._path("tls.pem"), "-days", "2", "-subj", "/CN=staging", "-addext",
                 "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
            local += "ssl_certificate tls.pem;\nssl_certificate_key tls.key;\n"
        self._file("navette-staging.local", local)
        self.admit(self.passwords)
        shipped = os.path.join(SOURCE, "deploy", "nginx", "staging.conf")
        self._file("nginx.conf", _MAIN.format(folder=self.folder, include=f"include {shipped};"))

    def admit(self, passwords):
        """From the next request on, these users only."""
        text = "".join(f"{user}:{self._hashed(password)}\n" for user, password in passwords.items())
        self._file("navette-staging.users.new", text)
        os.replace(self._path("navette-staging.users.new"), self._path("navette-staging.users"))

    @staticmethod
    def _hashed(password):
        salt = os.urandom(8)  # as deploy/nginx/staging.conf says
        return "{SSHA}" + base64.b64encode(hashlib.sha1(password.encode() + salt).digest() + salt).decode()

    def start(self):
        path = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
        self.child = processes.start(["nginx", "-e", self._path("error.log"), "-p", self.folder,
                                      "-c", self._path("nginx.conf")], self._path("nginx.out"),
                                     {**os.environ, "PATH": path})
        wait.until(self._up, lambda: f"nginx, see {self.folder}", 20)
        return self

    def _up(self):
        assert self.child.poll() is None, f"nginx ended, see {self.folder}/error.log"
        return ports.listening(self.port)

    def close(self):
        if self.child:
            processes.kill(self.child)
            self.child = None

    @property
    def url(self):
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    @property
    def ca_file(self):
        return self._path("tls.pem")

    def section(self, user, url=None):
        """The section store of a daemon's configuration; url: of a proxy in front."""
        section = {"type": "webdav", "url": url or self.url, "user": user, "grace": "1m",
                   "password_file": keys.write_secret(self._path(f"{user}.password"),
                                                      self.passwords[user]),
                   "connect_timeout": "3s", "stall_timeout": "2s"}
        if self.tls and not url:
            section["ca_file"] = self.ca_file
        return section

    def objects(self):
        """{key: size} of what lies in the store."""
        found = {}
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    found[os.path.relpath(path, self.root)] = os.path.getsize(path)
        return found


def of_farm(farm, tls=True):
    """A store with the two users that the farm's archiver and worker have."""
    return Staging(farm.path("staging"), [f"archiver.{farm.site}", f"worker.{farm.client}"],
                   tls).start()


def daemon(farm, role, staging, url=None, name=None, **store):
    """A daemon of the farm that uses this store, not started; store: further keys of its section."""
    d = farm.daemon(role, name)
    owner = farm.site if role == "archiver" else farm.client
    d.configure({**d.config, "store": {**staging.section(f"{role}.{owner}", url), **store}})
    return d
