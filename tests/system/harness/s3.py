# SPDX-License-Identifier: GPL-3.0-or-later
"""A store that speaks S3: s3rver, a server from npm, and in front of it what it lacks.

The front checks every signature against botocore's (s3rver takes any of version 4), answers the
listings of unfinished uploads and their parts from what it saw, aborts uploads, and goes wrong when it
is told to."""
import hashlib
import http.client
import http.server
import os
import re
import ssl
import subprocess
import threading
import urllib.parse
from datetime import datetime, timezone
from xml.sax.saxutils import escape

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from . import ports, processes, wait

BUCKET, KEY, SECRET, REGION = "staging", "S3RVER", "the secret", "eu-test-1"
DATE = "%Y-%m-%dT%H:%M:%S.000Z"


class Seen:
    def __init__(self, handler, body):
        parts = urllib.parse.urlsplit(handler.path)
        self.method, self.path, self.headers = handler.command, parts.path, handler.headers
        self.query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        self.length, self.status = len(body), None


def expected_signature(method, url, headers, credential, secret, token):
    """botocore's, for these headers."""
    _, _, region, service, _ = credential.split("/")
    auth = botocore.auth.S3SigV4Auth(botocore.credentials.Credentials(KEY, secret, token), service, region)
    request = botocore.awsrequest.AWSRequest(method=method, url=url, headers=headers)
    request.context["timestamp"] = headers["x-amz-date"]
    return auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def _answer(self, status, body=b"", headers=()):
        self.seen.status = status
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status, code, message="as the test wants it"):
        self._answer(status, f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{escape(message)}"
                     "</Message></Error>".encode())

    def _check(self, body):
        """What is wrong with the signature; None: nothing."""
        s3, h = self.server.s3, self.headers
        found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=(\S+?), ?SignedHeaders=(\S+?), ?Signature=([0-9a-f]{64})",
                             h.get("Authorization", ""))
        if not found:
            return "AccessDenied", "no signature"
        credential, names, signature = found.groups()
        signed = {name: h[name] for name in names.split(";") if name != "host"}
        if any(name.lower().startswith("x-amz-") and name.lower() not in signed for name in h):
            return "AccessDenied", "headers that are not signed"
        payload = h.get("x-amz-content-sha256", "")
        if payload != "UNSIGNED-PAYLOAD" and payload != hashlib.sha256(body).hexdigest():
            return "XAmzContentSHA256Mismatch", "the body is another"
        if h.get("x-amz-security-token") != s3.token:
            return "InvalidToken", "the session token is another"
        url = f"http://{h['Host']}{self.path}"
        if signature != expected_signature(self.command, url, signed, credential, s3.secret, None):
            return "SignatureDoesNotMatch", "the signature is another"
        return None

    def _all(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        s3 = self.server.s3
        self.seen = Seen(self, body)
        with s3.lock:
            s3.seen.append(self.seen)
        fault = s3.take(self.seen)
        if "together" in fault:
            fault["together"].wait()
        if fault.get("drop"):
            self.close_connection = True
            return
        wrong = self._check(body)
        if "body" in fault:
            self._answer(fault.get("status", 200), fault["body"], fault.get("headers", ()))
        elif "status" in fault:
            self._refuse(fault["status"], fault["code"])
        elif wrong:
            self._refuse(403, *wrong)
        else:
            self._serve(body)

    def _serve(self, body):
        q, key = self.seen.query, self.seen.path.removeprefix(f"/{BUCKET}").lstrip("/")
        uploads = self.server.s3.uploads
        if self.command == "GET" and "uploads" in q:
            self._answer(200, self._uploads(q.get("prefix", "")))
        elif self.command == "GET" and q.get("list-type") == "2":
            self._list(q.get("prefix", ""), q.get("continuation-token"))
        elif "uploadId" in q and q["uploadId"] not in uploads:
            self._refuse(404, "NoSuchUpload")
        elif self.command == "GET" and "uploadId" in q:
            self._answer(200, self._parts(uploads[q["uploadId"]], int(q.get("part-number-marker", 0))))
        elif self.command == "DELETE" and "uploadId" in q:
            del uploads[q["uploadId"]]
            self._answer(204)
        else:
            self._forward(body, key)

    def _uploads(self, prefix):
        rows = "".join(f"<Upload><Key>{u['key']}</Key><UploadId>{i}</UploadId><Initiated>{u['at']}</Initiated></Upload>"
                       for i, u in self.server.s3.uploads.items() if u["key"].startswith(prefix))
        return f"<ListMultipartUploadsResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>{rows}" \
            "</ListMultipartUploadsResult>".encode()

    def _parts(self, upload, marker):
        """Two at a time, so that pages are turned."""
        numbers = sorted(n for n in upload["parts"] if n > marker)
        rows = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>&quot;{upload['parts'][n][0]}&quot;</ETag>"
                       f"<Size>{upload['parts'][n][1]}</Size></Part>" for n in numbers[:2])
        more = f"<IsTruncated>true</IsTruncated><NextPartNumberMarker>{numbers[1]}</NextPartNumberMarker>" \
            if len(numbers) > 2 else "<IsTruncated>false</IsTruncated>"
        return f"<ListPartsResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>{more}{rows}" \
            "</ListPartsResult>".encode()

    def _list(self, prefix, token):
        """By version 1 of the listing: s3rver makes its tokens with a cipher that OpenSSL 3 has not."""
        marker = bytes.fromhex(token).decode() if token else ""
        query = urllib.parse.urlencode({"prefix": prefix, "marker": marker})
        answer, content = self._ask(f"/{BUCKET}/?{query}", b"")
        if b"<IsTruncated>true</IsTruncated>" in content:
            last = re.findall(rb"<Key>(.*?)</Key>", content)[-1]
            content = content.replace(b"</ListBucketResult>", b"<NextContinuationToken>" + last.hex().encode()
                                      + b"</NextContinuationToken></ListBucketResult>")
        self._answer(answer.status, content)

    def _ask(self, path, body):
        store = http.client.HTTPConnection("127.0.0.1", self.server.s3.port, timeout=60)
        try:
            store.request(self.command, path, body, {
                n: v for n, v in self.headers.items()
                if n.lower() not in ("expect", "connection", "x-amz-security-token")})
            answer = store.getresponse()
            return answer, answer.read()
        finally:
            store.close()

    def _forward(self, body, key):
        s3, q = self.server.s3, self.seen.query
        answer, content = self._ask(self.path, body)
        if self.command == "POST" and "uploads" in q:
            number = re.search(rb"<UploadId>(.*?)</UploadId>", content).group(1).decode()
            s3.uploads[number] = {"key": key, "at": datetime.now(timezone.utc).strftime(DATE), "parts": {}}
        elif self.command == "PUT" and "uploadId" in q:
            s3.uploads[q["uploadId"]]["parts"][int(q["partNumber"])] = (answer.getheader("ETag").strip('"'), len(body))
        elif self.command == "POST" and "uploadId" in q and answer.status == 200:
            s3.uploads.pop(q["uploadId"], None)
        self._answer(answer.status, content, [
            (n, v) for n, v in answer.getheaders()
            if n.lower() not in ("connection", "transfer-encoding", "content-length", "keep-alive")
            or (n.lower() == "content-length" and self.command == "HEAD")])

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _all


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # the other side went away: wanted


class S3:
    def __init__(self, folder, modules, secret=SECRET, token=None, tls=False):
        """modules: the folder node_modules that holds s3rver."""
        self.folder, self.secret, self.token = folder, secret, token
        self.port = ports.free()
        self.seen, self.uploads, self._faults, self.lock = [], {}, [], threading.Lock()
        os.makedirs(os.path.join(folder, "data"))
        self.child = processes.start(
            ["node", os.path.join(modules, "s3rver", "bin", "s3rver.js"), "-d", os.path.join(folder, "data"), "-a",
             "127.0.0.1", "-p", str(self.port), "--silent", "--allow-mismatched-signatures", "--no-vhost-buckets",
             "--configure-bucket", BUCKET], os.path.join(folder, "s3rver.out"), dict(os.environ))
        wait.until(self._up, lambda: f"s3rver, see {folder}/s3rver.out", 30)
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.s3 = self
        if tls:
            self._server.socket = self._context().wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _context(self):
        self.ca_file = os.path.join(self.folder, "tls.pem")
        key = os.path.join(self.folder, "tls.key")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", key, "-out", self.ca_file, "-days", "2", "-subj", "/CN=bucket", "-addext",
                        "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca_file, key)
        return context

    def _up(self):
        assert self.child.poll() is None, f"s3rver ended, see {self.folder}/s3rver.out"
        return ports.listening(self.port)

    def add(self, method, pattern, times=1, **what):
        """drop: the connection; or status and code of a refusal; or the body of an answer, with its status
        and headers; together: a barrier to wait at first.
        pattern: of the path and query."""
        self._faults.append([method, re.compile(pattern), times, what])

    def take(self, seen):
        with self.lock:
            for fault in self._faults:
                if fault[0] == seen.method and fault[2] and fault[1].search(
                        seen.path + "?" + urllib.parse.urlencode(seen.query)):
                    fault[2] -= 1
                    return fault[3]
        return {}

    def requests(self, method, **query):
        """Those with these in their query; None: whatever it is."""
        return [s for s in list(self.seen) if s.method == method and all(
            k in s.query and v in (None, s.query[k]) for k, v in query.items())]

    def fill(self, keys, content):
        """Objects, past the front."""
        store = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        headers = {"x-amz-date": now, "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
                   "Authorization": f"AWS4-HMAC-SHA256 Credential={KEY}/{now[:8]}/{REGION}/s3/aws4_request, "
                   f"SignedHeaders=host, Signature={'0' * 64}"}
        for key in keys:
            store.request("PUT", f"/{BUCKET}/{key}", content, headers)
            answer = store.getresponse()
            text = answer.read()
            assert answer.status == 200, text
        store.close()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        processes.kill(self.child)


def section(s3, secret_file, prefix="navette", **more):
    """The section store of a daemon's configuration."""
    return {"type": "s3", "url": s3.url, "bucket": BUCKET, "region": REGION, "prefix": prefix, "user": KEY,
            "password_file": secret_file, "grace": "1m", **more}
