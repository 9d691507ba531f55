#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A staging store that misbehaves, for test_store.c.  Prints its port, serves until its standard
input ends.

The first component of the address says how it behaves, the last one how long the object is
(…/obj-<bytes>; its bytes are those of pattern_byte in test_store.c):
  cut-<n>      every answer to GET breaks off after n bytes
  dead         every answer to GET breaks off before the first byte
  flip         one byte is another
  norange      knows no ranges; the first answer breaks off in the middle
  short        the object is a byte shorter than its name says
  stall        half of the answer, then nothing
  redirect     307 to where the object would be
  status-<n>   answers n to everything, to PUT before it read the body
  slow-<n>     answers n to PUT after half the body
  folders      wants MKCOL; somebody else makes the first missing folder that is asked for.  To
               delete an object named `all` removes all folders
  list-<how>   lists one object `real` to PROPFIND, and among other things what must not be taken:
               outside, full-address, doctype, endless, elsewhere
"""
import http.server
import sys
import threading

seen = set()
folders = {"folders"}


def pattern(size):
    # As pattern_byte: (i * 31 + i / 251) mod 256.
    return bytes((i * 31 + i // 251) & 0xFF for i in range(size))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def drop(self):
        self.close_connection = True

    def handle_expect_100(self):
        mode = self.path.split("/")[1]
        if mode.startswith("status-"):
            self.answer(int(mode[7:]), Connection="close")
            self.drop()
            return False
        return super().handle_expect_100()

    def do_PUT(self):
        mode = self.path.split("/")[1]
        length = int(self.headers.get("Content-Length", 0))
        kind, _, number = mode.partition("-")
        if kind == "slow":
            self.rfile.read(length // 2)
            self.answer(int(number), Connection="close")
            self.wfile.flush()
            while self.rfile.read1(65536):
                pass  # linger, as nginx does: a reset would take the answer with it
            return self.drop()
        self.rfile.read(length)
        if kind == "folders":
            return self.answer(201 if self.folder() in folders else 409)
        self.answer(int(number) if kind == "status" else 201)

    def folder(self):
        """Of what is asked for; of a folder the one above it."""
        return self.path.strip("/").rpartition("/")[0]

    def do_DELETE(self):
        if self.path.startswith("/folders/") and self.path.endswith("/all"):
            folders.intersection_update({"folders"})
        self.answer(204)

    def do_HEAD(self):
        if self.path.startswith("/head-403/"):
            return self.answer(403)
        if not self.path.startswith("/folders/"):
            return self.answer(200)
        whole = self.path.strip("/")
        self.answer(200 if whole in folders else 404)
        if "head" not in seen:
            seen.add("head")
            while whole:
                folders.add(whole)
                whole = whole.rpartition("/")[0]

    def do_MKCOL(self):
        if self.path.strip("/") in folders:
            return self.answer(405)
        if self.folder() not in folders:
            return self.answer(409)
        folders.add(self.path.strip("/"))
        self.answer(201)

    def do_PROPFIND(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        mode, here = self.path.split("/")[1], self.path
        how = mode.partition("-")[2]
        if mode.partition("-")[0] != "list":
            return self.answer(405)

        def response(href, more="<d:getcontentlength>7</d:getcontentlength>"):
            return (f"<d:response><d:href>{href}</d:href><d:propstat><d:prop>{more}</d:prop>"
                    "<d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>")

        collection = "<d:resourcetype><d:collection/></d:resourcetype>"
        head = '<?xml version="1.0"?><d:multistatus xmlns:d="DAV:">'
        body = response(here, collection) + response(f"{here}real")
        if how == "outside":
            body += "".join(response(h) for h in (
                "/other/x", f"/{mode}", f"{here}../up", f"{here}%2e%2e/up", f"{here}a%2fb", f"{here}.hidden",
                f"{here}deep/er", f"{here}nul%00x", "relative", "", f"{here}%zz", f"{here}?a=b"))
        elif how == "full-address":
            body = response(f"http://elsewhere:1{here}", collection) + response(f"http://elsewhere:1{here}r%65al")
        elif how == "doctype":
            head = '<!DOCTYPE d [<!ENTITY e "e">]>' + head[21:]
        elif how == "elsewhere":
            body = response("/behind/a/proxy/", collection) + response("/behind/a/proxy/real")
        elif how == "endless":
            body = "<d:response>" * 1000
        self.answer(207, f"{head}{body}</d:multistatus>".encode(), Content_Type="application/xml")

    def do_GET(self):
        mode = self.path.split("/")[1]
        kind, _, number = mode.partition("-")
        if kind == "status":
            return self.answer(int(number))
        if kind == "redirect":
            return self.answer(307, Location="/plain/" + self.path.split("/", 2)[2])
        size = int(self.path.rpartition("-")[2])
        data = pattern(size - 1 if kind == "short" else size)
        if kind == "flip":
            data = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
        start = 0
        asked = self.headers.get("Range")
        if asked and kind != "norange":
            start = int(asked[len("bytes="):].partition("-")[0])
            if start >= len(data):
                return self.answer(416, Content_Range=f"bytes */{len(data)}")
        rest = data[start:]
        headers = {"Content_Length": str(len(rest))}
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        most = len(rest)
        if kind == "cut":
            most = int(number)
        elif kind == "dead":
            most = 0
        elif kind == "stall":
            most = len(rest) // 2
        elif kind == "norange" and self.path not in seen:
            seen.add(self.path)
            most = len(rest) // 2
        self.answer(206 if start else 200, rest[:most], **headers)
        self.wfile.flush()
        if kind == "stall":
            self.connection.recv(1)  # until the other side gives up
        if most < len(rest):
            self.drop()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # that is wanted
            super().handle_error(request, client_address)


server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdout.write(f"{server.server_address[1]}\n")
sys.stdout.flush()
sys.stdin.read()
