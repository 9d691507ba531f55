# SPDX-License-Identifier: GPL-3.0-or-later
"""A mail server that keeps what it gets, and may misbehave: refuse for now, or take a message and
fall silent before it says so."""
import email
import email.policy
import threading

from aiosmtpd.controller import Controller

from . import ports, wait


class _Handler:
    def __init__(self, sink):
        self.sink = sink

    async def handle_DATA(self, server, session, envelope):
        with self.sink.lock:
            answer = self.sink.answers.pop(0) if self.sink.answers else "250 OK"
            if answer.startswith("250") or answer == "":
                message = email.message_from_bytes(envelope.content, policy=email.policy.default)
                self.sink.mails.append((envelope.rcpt_tos, message))
        if not answer:
            server.transport.close()
        return answer or "421 closing"


class Sink:
    def __init__(self):
        self.mails = []     # [([recipient], message)]
        self.answers = []   # to the next messages; "": taken, then the connection breaks
        self.lock = threading.Lock()
        self.port = ports.free()
        self._controller = Controller(_Handler(self), hostname="127.0.0.1", port=self.port)
        self._controller.start()

    def to(self, address):
        with self.lock:
            return [m for recipients, m in self.mails if recipients == [address]]

    def wait_count(self, count, timeout=60):
        wait.until(lambda: len(self.mails) >= count,
                   lambda: f"{count} mails, not {[(r, m['Subject']) for r, m in self.mails]}",
                   timeout)

    def close(self):
        self._controller.stop()
