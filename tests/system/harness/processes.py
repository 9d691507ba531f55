# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that tests start. A guard, a small process of its own, knows their ids and ends them
when the tests themselves are killed (its standard input closes), so that nothing is left behind."""
import os
import signal
import subprocess
import sys

_GUARD = r"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pids = set()
for line in sys.stdin:
    sign, pid = line[0], int(line[1:])
    pids.add(pid) if sign == "+" else pids.discard(pid)
for pid in pids:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""
_guard = None


def _tell(sign, pid):
    global _guard
    if _guard is None:
        _guard = subprocess.Popen([sys.executable, "-c", _GUARD], stdin=subprocess.PIPE, text=True,
                                  start_new_session=True)
    _guard.stdin.write(f"{sign}{pid}\n")
    _guard.stdin.flush()


def guard(pid):
    _tell("+", pid)


def unguard(pid):
    _tell("-", pid)


def start(args, log, env=None, cwd=None):
    """A child whose output is appended to the file `log`."""
    with open(log, "ab") as out:
        child = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env,
                                 cwd=cwd, start_new_session=True)
    guard(child.pid)
    return child


def reap(child, timeout):
    """Its exit status (negative: ended by that signal); None: still there."""
    try:
        status = child.wait(timeout)
    except subprocess.TimeoutExpired:
        return None
    unguard(child.pid)
    return status


def kill(child):
    if child.poll() is None:
        os.kill(child.pid, signal.SIGKILL)
    return reap(child, 30)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
