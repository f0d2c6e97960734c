"""Starts the real program: `Server` for `escapement serve`, `run_command` for the rest; and what every case needs.

Holds: every wait has a deadline; a server that was started is stopped by its pid.
Leaves to others: the socket (line_client.py, re-exported here), what a case expects (the case files), which cases run
(run.py).
"""

import atexit
import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

from line_client import (  # noqa: F401
    DEADLINE_S, Client, ConnectionClosed, Line, fetch_all, group_row, now_ms, topic_row,
)

_settings = {"binary": None}
_running = set()
_names = itertools.count(1)


def use_binary(path):
    """Sets the program under test for every server and command from here on."""
    _settings["binary"] = os.path.abspath(path)


def binary():
    return _settings["binary"]


def unique(stem="topic"):
    """A topic or group name that no other case uses."""
    return f"{stem}-{os.getpid()}-{next(_names)}"


def eventually(condition, timeout=DEADLINE_S, what="the condition"):
    """Asks again and again until `condition()` is true and gives its value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not come true within {timeout:.0f} s (last value: {value!r})"
        time.sleep(0.02)


def wait_until_ms(moment_ms):
    """Returns when the wall clock has passed `moment_ms`."""
    while now_ms() <= moment_ms:
        time.sleep(min(0.05, max(0.001, (moment_ms - now_ms()) / 1000)))


def equal(actual, expected, what="value"):
    assert actual == expected, f"{what}: got {actual!r}, expected {expected!r}"


def run_command(*arguments, timeout=60):
    """Runs `escapement ARGUMENTS…` to its end; gives (exit status, stdout + stderr as text)."""
    done = subprocess.run(
        [binary(), *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        timeout=timeout,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace")


class Server:
    """One `escapement serve` on a data folder of its own, on a free port of the loopback."""

    def __init__(self, *flags, data=None, environment=None):
        self.flags = [str(flag) for flag in flags]
        self.environment = {**os.environ, **environment} if environment else None
        self.folder = tempfile.mkdtemp(prefix="escapement-e2e-")
        self.data = data or os.path.join(self.folder, "data")
        self.errors_path = os.path.join(self.folder, "stderr")
        self.process = None
        self.host, self.port = None, None
        _running.add(self)
        self.start()

    def start(self):
        """Starts the program and waits for its `escapement listening on HOST:PORT`."""
        assert self.try_start(), f"the server did not start:\n{self.errors()}"

    def try_start(self):
        """Like `start`, but gives False when the program ended instead of listening."""
        assert self.process is None, "the server runs already"
        command = [binary(), "serve", "--data", self.data, "--listen", "127.0.0.1:0", *self.flags]
        if "--http" not in self.flags:
            command += ["--http", "off"]
        if "--amqp" not in self.flags:
            command += ["--amqp", "127.0.0.1:0"]
        with open(self.errors_path, "ab") as errors:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, cwd=self.folder,
                env=self.environment)
        self.lines, seen = [], threading.Event()
        threading.Thread(target=self._drain, args=(self.process.stdout, self.lines, seen), daemon=True).start()
        if not seen.wait(4 * DEADLINE_S):
            self.kill9()
            raise AssertionError(f"the server neither listened nor ended:\n{self.errors()}")
        first = self.lines[:1]
        match = re.fullmatch(r"escapement listening on (\S+):(\d+)", first[0]) if first else None
        if match:
            self.host, self.port = match.group(1).strip("[]"), int(match.group(2))
            return True
        if first:
            self.kill9()
            raise AssertionError(f"first line of stdout is {first[0]!r}, not 'escapement listening on HOST:PORT'")
        self.exit_status = self._wait()
        return False

    @staticmethod
    def _drain(pipe, lines, seen):
        # Reads stdout to its end so that the server can never block on a full pipe.
        with pipe:
            for line in pipe:
                lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                seen.set()
        seen.set()

    @property
    def amqp_port(self):
        """The port that AMQP clients connect to."""
        def find():
            for line in self.lines:
                if match := re.fullmatch(r"escapement listening on \S+:(\d+) for AMQP", line):
                    return int(match[1])
        return eventually(find, what="the line about AMQP")

    def _wait(self):
        try:
            status = self.process.wait(2 * DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not end by itself:\n{self.errors()}") from None
        self.process = None
        return status

    def kill9(self):
        """Ends the server as a crash of its process does."""
        if self.process:
            self.process.kill()
            self._wait()

    def stop(self, signal_number=signal.SIGTERM):
        """Ends the server politely; it must exit 0."""
        self.process.send_signal(signal_number)
        status = self._wait()
        assert status == 0, f"a stopped server exits 0, not {status}:\n{self.errors()}"

    def restart(self):
        """A crash and a new start on the same data."""
        self.kill9()
        self.start()

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def errors(self):
        """The end of what the server wrote to stderr."""
        with contextlib.suppress(OSError), open(self.errors_path, "rb") as file:
            file.seek(max(0, os.path.getsize(self.errors_path) - 4000))
            return file.read().decode("utf-8", "replace")
        return ""

    def client(self):
        return Client(self.host, self.port)

    def address_for(self, wire):
        """Where it says to be listening for another protocol: (host, port)."""
        def found():
            matches = [re.fullmatch(rf"escapement listening on (\S+):(\d+) for {wire}", line) for line in self.lines]
            return next((match for match in matches if match), None)
        match = eventually(found, what=f"listening for {wire}")
        return match.group(1).strip("[]"), int(match.group(2))

    def close(self):
        """Ends the process if it still runs and removes its folder."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process = None
        _running.discard(self)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def running_servers():
    return list(_running)


@atexit.register
def _close_all():
    for server in running_servers():
        server.close()
