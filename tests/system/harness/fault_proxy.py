# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy in front of the staging store that goes wrong when it is told to, and writes down every
request with the bytes that really moved."""
import collections
import http.client
import http.server
import itertools
import re
import threading

BLOCK = 16384

# nth: in which order it came; they are written down when they end.
Seen = collections.namedtuple("Seen", "nth method path range status up down")


class Fault:
    """status: answered instead of asking the store; cut_up, cut_down: break off after so many bytes
    of the body; flip: the last byte of what goes down is another; flip_up: the same on the way up;
    stall: half of the answer, then silence; hold: an event that is waited for before the store is asked."""

    def __init__(self, method, pattern, times, **what):
        self.method, self.pattern = method, re.compile(pattern)
        self.times = times
        self.used = 0
        self.what = what

    def take(self, method, path):
        if method != self.method or not self.pattern.search(path) or self.used >= self.times:
            return False
        self.used += 1
        return True


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def parse_request(self):
        self.fault = {}
        self.up = self.down = 0
        self.nth = next(self.server.proxy.arrivals)
        return super().parse_request()

    def handle_expect_100(self):
        self.fault = self.server.proxy.take(self.command, self.path)
        if "status" in self.fault:
            self._refuse(self.fault["status"])
            return False
        return super().handle_expect_100()

    def _refuse(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()
        self._end(status)
        self.close_connection = True

    def _end(self, status):
        self.server.proxy.seen.append(Seen(self.nth, self.command, self.path,
                                           self.headers.get("Range"), status, self.up, self.down))

    def _forward(self):
        if "Expect" not in self.headers:
            self.fault = self.server.proxy.take(self.command, self.path)
        if "hold" in self.fault:
            self.fault["hold"].wait(60)
        if "status" in self.fault:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return self._refuse(self.fault["status"])
        store = http.client.HTTPConnection("127.0.0.1", self.server.proxy.upstream, timeout=60)
        try:
            store.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("expect", "connection"):
                    store.putheader(name, value)
            store.endheaders()
            if self._send_up(store):
                self._send_down(store.getresponse())
        finally:
            store.close()
        return None

    def _send_up(self, store):
        left = int(self.headers.get("Content-Length", 0))
        cut = self.fault.get("cut_up")
        while left:
            block = self.rfile.read1(min(left, BLOCK))
            if not block:
                self._drop(None)
                return False
            left -= len(block)
            self.up += len(block)
            if cut is not None and self.up >= cut:
                self._drop(None)
                return False
            if not left and self.fault.get("flip_up"):
                block = block[:-1] + bytes([block[-1] ^ 1])
            store.send(block)
        return True

    def _send_down(self, answer):
        body = answer.read()
        self.send_response(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        length = len(body) if self.command != "HEAD" else answer.getheader("Content-Length", 0)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.fault.get("flip") and body:
            body = body[:-1] + bytes([body[-1] ^ 1])
        cut = self.fault.get("cut_down")
        if self.fault.get("stall"):
            cut = len(body) // 2
        part = body if cut is None else body[:cut]
        self.wfile.write(part)
        self.wfile.flush()
        self.down = len(part)
        if len(part) < len(body):
            self._drop(answer.status)
            if self.fault.get("stall"):
                self.connection.recv(1)  # until the other side gives up
        else:
            self._end(answer.status)

    def _drop(self, status):
        self.close_connection = True
        self._end(status)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_MKCOL = do_PROPFIND = _forward


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # the other side went away: wanted


class FaultProxy:
    def __init__(self, upstream):
        self.upstream = upstream
        self.seen = []
        self.arrivals = itertools.count()
        self._faults = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def add(self, method, pattern, times=1, **what):
        fault = Fault(method, pattern, times, **what)
        with self._lock:
            self._faults.append(fault)
        return fault

    def take(self, method, path):
        with self._lock:
            for fault in self._faults:
                if fault.take(method, path):
                    return fault.what
        return {}

    def requests(self, method, pattern=""):
        """In the order in which they came."""
        return sorted(s for s in list(self.seen) if s.method == method and re.search(pattern, s.path))

    def close(self):
        self._server.shutdown()
        self._server.server_close()
