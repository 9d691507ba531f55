# SPDX-License-Identifier: GPL-3.0-or-later
"""A mail server that keeps what it gets, and may misbehave: be away, offer TLS or not, refuse a sender
or a recipient, refuse for now, or fall silent before it says that it took a message, or goodbye."""
import asyncio
import datetime
import email
import email.policy
import ipaddress
import os
import ssl
import threading

from aiosmtpd.controller import Controller
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from . import ports, wait


class _Handler:
    def __init__(self, sink):
        self.sink = sink

    async def handle_MAIL(self, server, session, envelope, address, mail_options):
        if self.sink.sender_answer:
            return self.sink.sender_answer
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):
        with self.sink.lock:
            self.sink.asked.append(address)
        if address in self.sink.recipients:
            return self.sink.recipients[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        with self.sink.lock:
            answer = self.sink.answers.pop(0) if self.sink.answers else "250 OK"
            late = isinstance(answer, threading.Event)
            if late or answer.startswith("250") or answer == "":
                message = email.message_from_bytes(envelope.content, policy=email.policy.default)
                self.sink.mails.append((envelope.rcpt_tos, message))
                self.sink.encrypted.append(session.ssl is not None)
        if late:
            await asyncio.to_thread(answer.wait, 30)
            return "250 OK"
        if not answer:
            server.transport.close()
        return answer or "421 closing"

    async def handle_QUIT(self, server, session, envelope):
        if self.sink.goodbye:
            await asyncio.to_thread(self.sink.goodbye.wait, 150)
        return "221 Bye"


class Sink:
    def __init__(self, tls=None):
        """tls: a Certificate, to offer STARTTLS with."""
        self.mails = []          # [([recipient], message)]
        self.encrypted = []      # for each of them
        self.asked = []          # every recipient that was named
        # To the next messages; "": taken, then the connection breaks; an Event: taken, and said so
        # when it is set.
        self.answers = []
        self.goodbye = None      # an Event: QUIT is answered when it is set
        self.sender_answer = ""  # to every sender, where it is not empty
        self.recipients = {}     # what is answered to these addresses
        self.lock = threading.Lock()
        self.port = ports.free()
        self._tls = tls.context() if tls else None
        self._controller = None
        self.open()

    def open(self):
        self._controller = Controller(_Handler(self), hostname="127.0.0.1", port=self.port,
                                      tls_context=self._tls)
        self._controller.start()

    def close(self):
        """Away; open() brings it back."""
        if self._controller:
            self._controller.stop()
        self._controller = None

    def to(self, address):
        with self.lock:
            return [m for recipients, m in self.mails if recipients == [address]]

    def wait_count(self, count, timeout=60):
        wait.until(lambda: len(self.mails) >= count,
                   lambda: f"{count} mails, not {[(r, m['Subject']) for r, m in self.mails]}",
                   timeout)


class Certificate:
    """Of 127.0.0.1, signed by itself: its file is the authority to trust."""
    def __init__(self, folder):
        os.makedirs(folder)
        self.path = os.path.join(folder, "mail.crt")
        self._key = os.path.join(folder, "mail.key")
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
        now = datetime.datetime.utcnow()
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        made = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
                .public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(hours=1))
                .not_valid_after(now + datetime.timedelta(days=1))
                .add_extension(x509.SubjectAlternativeName([address]), False)
                .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
                .sign(key, hashes.SHA256()))
        with open(self.path, "wb") as f:
            f.write(made.public_bytes(serialization.Encoding.PEM))
        with open(self._key, "wb") as f:
            f.write(key.private_bytes(serialization.Encoding.PEM,
                                      serialization.PrivateFormat.PKCS8,
                                      serialization.NoEncryption()))

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self._key)
        return context
