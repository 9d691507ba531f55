#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A course server with the older block, as test_seed_ws.c needs one: HTTP and HTTPS on loopback.

    seed_server.py FOLDER

Prints "PLAIN_PORT TLS_PORT" when both listen; ends when its standard input does.  FOLDER gets ca.pem
(the authority of the certificate), other.pem (of another one) and, for every request, a line in
`requests`: method, address, Range, and the form without the token.  What is answered is chosen by
the names and numbers in the question, see the tables below; some answers are those of a real site
(tests/samples/ws).
"""
import hashlib
import http.server
import io
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import tarfile
import threading
import urllib.parse

TOKEN = "5ec2e7a0b1c2d3e4f5a6b7c8d9e0f1a2"
BLOCK = "block_my_external_backup_restore_courses_"
SCRIPT = "/blocks/my_external_backup_restore_courses/get_user_backup_course_webservice.php"
FOLDER = pathlib.Path(sys.argv[1])
RECORDED = pathlib.Path(__file__).resolve().parents[1] / "samples" / "ws"
UNKNOWN_USER = {"exception": BLOCK + "invalid_username_exception", "errorcode": "invalidusername",
                "message": "debug/invalidusername"}


def course(number, **more):
    return {"id": number, "shortname": f"C{number}", "category": 5, "sortorder": 10000 + number,
            "fullname": f"Course {number} — Été", "idnumber": "", "startdate": 1735689600,
            "visible": 1, "groupmode": 0, "groupmodeforce": 0, "categoryidentifier": None,
            "concernedusers": "", **more}


def recorded(name):
    return (RECORDED / f"{name}.json").read_bytes()


# --- archives ---

def backup(number, users=0, files=1, version="2024100705.01", module="page"):
    """A small .mbz that says it is course number."""
    content = bytes(range(256)) * 2000
    sha1 = hashlib.sha1(content).hexdigest()
    entries = {
        "moodle_backup.xml": f"""<?xml version="1.0" encoding="UTF-8"?>
<moodle_backup><information>
<moodle_version>{version}</moodle_version><moodle_release>4.5.5+</moodle_release>
<backup_version>2024100700</backup_version><backup_release>4.5</backup_release>
<backup_date>1795379608</backup_date><include_files>{files}</include_files>
<original_wwwroot>https://old.example.org</original_wwwroot>
<original_course_id>{number}</original_course_id>
<original_course_fullname>Course {number} — Été</original_course_fullname>
<original_course_shortname>C{number}</original_course_shortname>
<contents><activities><activity><modulename>{module}</modulename></activity></activities></contents>
<settings><setting><level>root</level><name>users</name><value>{users}</value></setting></settings>
</information></moodle_backup>""".encode(),
        "course/course.xml": b"<course><category><name>Sciences</name></category></course>",
        f"files/{sha1[:2]}/{sha1}": content,
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.USTAR_FORMAT) as t:
        for name, data in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


# By course: what the archive is; the file's id is 100 more than the course's.
ARCHIVES = {
    2: backup(2), 3: backup(3, users=1), 4: backup(4, version="2029100705.00"),
    5: backup(5, module="exotic"), 6: backup(99), 7: backup(7, files=0),
    11: backup(11),
    10: b"\x1f\x8b" + b"no gzip at all, although it begins like one" * 50,
}
BIG = backup(2) + bytes(400000)  # only downloaded, never unpacked
CATEGORIES = {3: "SCI"}
NO_BACKUP, SILENT, ALONE = 8, 9, 11
LISTED = [2, 3, 4, 5, 6, 7, NO_BACKUP, SILENT, 10, ALONE]
HIDDEN = 50  # there, but not this user's
FRONT_PAGE = 1

# By the file's id: how a download goes wrong.
BREAKS, BREAKS_NO_RANGE, HTML, TEXT, CHANGES, NO_PROGRESS, DAMAGED, EMPTY, LONG, STALLS, CUT, \
    WITHDRAWN, BUSY, SATISFIED = range(201, 215)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: dict = {}  # downloads by the file's id
    lock = threading.Lock()
    second = threading.Event()
    unfetched = 0  # backups of the course ALONE that were not fetched yet

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.note({})
        self.send(405, b"", "text/html")

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        form = dict(urllib.parse.parse_qsl(text, keep_blank_values=True, strict_parsing=True))
        given = form.pop("wstoken", None) or form.pop("token", None)
        self.note(form)
        if self.path.startswith("/moved/"):
            self.send(303, b"", "text/html", {"Location": "/"})
        elif self.path == SCRIPT:
            self.download(int(form["filerecordid"]), given)
        elif self.path.startswith("/poor/"):
            self.json({"version": "2024100705.01", "downloadfiles": 1, "functions": [
                {"name": BLOCK + "get_courses"}, {"name": "core_webservice_get_site_info"}]})
        elif self.path.startswith("/mute/"):
            self.json({"version": "2024100705.01", "downloadfiles": 0})
        elif self.path == "/webservice/rest/server.php":
            self.answer(form if given == TOKEN else {"wsfunction": "no token"})
        else:
            self.send(404, b"<html>Not found</html>", "text/html")

    def note(self, form):
        line = json.dumps([self.command, self.path, self.headers.get("Range"), form])
        with self.lock, open(FOLDER / "requests", "a", encoding="utf-8") as f:
            f.write(line + "\n")

    def send(self, status, body, kind, headers=None, length=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            pass

    def json(self, value):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send(200, data, "application/json")

    def hang(self):
        """Nothing more, until the other side has gone."""
        try:
            while self.connection.recv(4096):
                pass
        except OSError:
            pass
        (FOLDER / "gone").touch()
        self.close_connection = True

    # --- web service ---

    def answer(self, form):
        function = form["wsfunction"]
        if function == "core_webservice_get_site_info":
            self.json({"sitename": "Old", "version": "2024100705.01", "release": "4.5.5+",
                       "downloadfiles": 1, "functions": [
                           {"name": BLOCK + "get_courses_zip", "version": "2024021600"},
                           {"name": BLOCK + "get_courses", "version": "2024021600"}]})
        elif function == BLOCK + "get_courses":
            self.courses(form)
        elif function == "core_course_get_courses_by_field":
            number = int(form["value"])
            known = number in LISTED + [HIDDEN, FRONT_PAGE]
            self.json({"courses": [{"id": number, "categoryid": 0 if number == FRONT_PAGE else 5}]
                       if known else [], "warnings": []})
        elif function == BLOCK + "get_courses_zip":
            self.zip(form)
        else:
            self.json(recorded("bad_token"))

    def courses(self, form):
        user = form["username"]
        odd = {
            "broken": b'[{"id": 2, "shortname": ',
            "trailing": b"[] []",
            "doubled": b'[{"id": 2, "id": 3, "shortname": "a", "fullname": "b"}]',
            "object": {"courses": []},
            "numbered": [course(2, shortname=17)],
            "negative": [course(-2)],
            "unnamed": [{"id": 2, "fullname": "x"}],
            "recorded": recorded("seed_get_courses"),
            "recorded-unknown": recorded("seed_get_courses_unknown_user"),
            "echo": {"exception": "Exception", "message": f"no\nluck with {TOKEN} at all"},
            "closed": {"exception": "moodle_exception", "errorcode": "sitemaintenance",
                       "message": "The site is undergoing maintenance"},
            # A course is called "Waves <L2>".
            "waves": {"exception": "invalid_response_exception", "errorcode": "invalidresponse",
                      "message": "Invalid response value detected"},
            "long-names": [course(2, shortname="é" * 2000, fullname="a\tb\u0007" + "x" * 3000)],
            "many": [course(n + 1) for n in range(5001)],
        }
        if user in odd:
            self.json(odd[user])
        elif user == "html":
            self.send(200, b"<html>Please sign in</html>", "text/html; charset=utf-8")
        elif user == "unavailable":
            self.send(503, b"<html>busy</html>", "text/html")
        elif user == "long":
            self.send(200, b" " * (17 << 20) + b"[]", "application/json")
        elif user == "silent":
            self.hang()
        elif user in ("teacher1", "teacher2"):
            self.json([course(n, categoryidentifier=CATEGORIES.get(n)) for n in LISTED])
        else:
            self.json(UNKNOWN_USER)

    def zip(self, form):
        number, user = int(form["courseid"]), form["username"]
        if user == "teacher2":
            self.json(recorded("seed_zip_denied"))
        elif number == SILENT:
            (FOLDER / "asked").touch()
            self.hang()
        elif number == NO_BACKUP:
            self.json({"filename": "", "filerecordid": 0})
        elif number not in LISTED:
            self.json({"exception": "backup_controller_exception",
                       "errorcode": "backup_check_course_not_exists",
                       "message": "error/backup_check_course_not_exists"})
        else:
            if number == ALONE:
                self.alone(1)
                self.second.wait(0.3)
            self.json({"filename": "", "filerecordid": 100 + number})

    def alone(self, change):
        """A second backup before the first was fetched takes its place."""
        with self.lock:
            Handler.unfetched += change
            if self.unfetched > 1:
                self.second.set()
                (FOLDER / "overlap").touch()

    # --- download ---

    def download(self, file, given):
        if given != TOKEN or file == WITHDRAWN:
            self.json({"error": "Invalid token - token not found", "errorcode": "invalidtoken",
                       "stacktrace": None, "debuginfo": None, "reproductionlink": None})
            return
        with self.lock:
            time = self.seen[file] = self.seen.get(file, 0) + 1
        start = int((self.headers.get("Range") or "bytes=0-")[6:].rstrip("-"))
        data = ARCHIVES.get(file - 100, BIG)
        etag = f'"{hashlib.sha1(data).hexdigest()}"'
        kind = "application/vnd.moodle.backup"
        if file == HTML:
            self.send(200, b"<html>PHP fell over</html>", "text/html")
        elif file == TEXT:
            self.send(200, b"Warning: something\n", kind)
        elif file == EMPTY:
            self.send(200, b"", "application/json")
        elif file == BUSY and time < 3:
            self.send(503, b"<html>busy</html>", "text/html")
        elif file == DAMAGED:
            self.send(200, data[:-1] + b"x", kind, {"ETag": etag})
        elif file == LONG:
            self.send(200, data, kind, {"ETag": etag}, length=1 << 40)
        elif file == CUT:  # no length, no SHA-1: nobody can tell but the unpacking
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(ARCHIVES[2][:300])
            self.close_connection = True
        elif file == STALLS:
            self.send(200, data[:1000], kind, {"ETag": etag}, length=len(data))
            self.hang()
        elif file == SATISFIED and time > 1 and start:
            self.send(416, b"", "text/html", {"Content-Range": f"bytes */{len(data)}"})
        else:
            self.part(file, time, data, etag, start, kind)
        if file == 100 + ALONE:
            self.alone(-1)

    def part(self, file, time, data, etag, start, kind):
        upto = len(data)
        if file in (BREAKS, SATISFIED) and time < 4:
            upto = min(len(data), start + len(data) // 5)
        elif file == BREAKS_NO_RANGE:
            start, upto = 0, len(data) if time > 1 else len(data) // 2
        elif file == NO_PROGRESS:
            start, upto = 0, 100
        elif file == CHANGES:
            etag = f'"{time if time < 3 else 3:040x}"' if time < 3 else etag
            upto = len(data) // 2 if time == 1 else len(data)
        headers = {"ETag": etag, "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.send(206 if start else 200, data[start:upto], kind, headers, len(data) - start)
        if upto < len(data):
            # A reset, as from a server that was killed.
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack("ii", 0, 0))
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass


def certificates():
    def openssl(*args):
        subprocess.run(["openssl", *args], check=True, cwd=FOLDER, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE)

    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for name in ("ca", "other"):
        openssl("req", "-x509", *new_key, "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days",
                "2", "-subj", f"/CN=Navette {name}")
    (FOLDER / "server.ext").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("req", *new_key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-out", "server.pem", "-days", "2", "-extfile", "server.ext")


def main():
    certificates()
    (FOLDER / "requests").touch()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / "server.pem", FOLDER / "server.key")
    servers = [Server(("127.0.0.1", 0), Handler), Server(("127.0.0.1", 0), Handler)]
    # The handshake belongs to the connection's thread, not to the one that accepts.
    servers[1].socket = context.wrap_socket(servers[1].socket, server_side=True,
                                            do_handshake_on_connect=False)
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(*(server.server_address[1] for server in servers), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
