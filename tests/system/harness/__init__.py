# SPDX-License-Identifier: GPL-3.0-or-later
"""What the system tests stand on: real servers and the real daemons, each test with its own.

processes.py     every process we start, and what ends them if the tests die
ports.py wait.py free ports; waiting for a condition, never for a time
rabbit.py        a RabbitMQ node and its management API
redis_server.py  a Redis on a unix socket
nginx.py         a WebDAV store
keys.py wire.py  keys, and envelopes forged in Python from proto/README.md
mbz.py samples.py  course archives: compare them, make them
sites.py         course server and client as folders (core/site/README.md)
daemon.py        one of Navette's daemons
farm.py          all of it together
api.py           the producer's HTTP API
"""
