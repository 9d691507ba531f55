# SPDX-License-Identifier: GPL-3.0-or-later
"""What the system tests stand on: real servers and the real daemons, each test with its own.

processes.py     every process we start, and what ends them if the tests die
ports.py wait.py free ports; waiting for a condition, never for a time
rabbit.py        a RabbitMQ node and its management API
cluster.py       three of them as one broker
redis_server.py  a Redis on a unix socket; one with a replica and sentinels
prometheus.py    Prometheus with deploy/monitoring
load.py          requests that come while something happens
staging.py       a WebDAV store: nginx; fault_proxy.py goes wrong in front of it
keys.py wire.py  keys, and envelopes forged in Python from proto/README.md
mbz.py samples.py  course archives: compare them, make them
sites.py         course server and client as folders (core/site/README.md)
daemon.py        one of Navette's daemons
farm.py          all of it together
api.py           the producer's HTTP API, as a program of somebody's uses it
window.py        time windows that are open, or closed, now

By hand: /usr/bin/python3 -m pytest tests/system/test_window.py; NAVETTE_BUILD names another build
folder, NAVETTE_KEEP=1 keeps the folders (those of a failed test are always kept), NAVETTE_NIGHTLY=1
runs the long forms. A failing test prints where its folder is and the end of each daemon's log.
"""
