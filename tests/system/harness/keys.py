# SPDX-License-Identifier: GPL-3.0-or-later
"""Ed25519 key files, in the format of proto/keys.h."""
import base64
import os

import nacl.signing


class Key:
    def __init__(self):
        self.signing = nacl.signing.SigningKey.generate()

    @property
    def public(self):
        return "ed25519:" + base64.b64encode(bytes(self.signing.verify_key)).decode()

    def write(self, path):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(fd, "wb") as f:
            f.write(b"ed25519-secret:" + base64.b64encode(bytes(self.signing)) + b"\n")
        return path


def write_secret(path, text):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(fd, "w", encoding="utf-8") as f:
        f.write(text + "\n")
    return path
