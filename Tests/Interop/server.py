"""The program under test, started for a suite on ports of its own and stopped by its process id."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile

import tools

START_S = 30


def token_file(token):
    """A token file with this one token."""
    path = tools.HOME / f"{token}.tokens"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(token + "\n")
    return os.fspath(path)


@contextlib.contextmanager
def escapement(binary, *flags, data=None):
    """Runs `escapement serve` with these flags; gives the ports by the name of the wire, as it prints them.

    With a data folder of the caller's it is not stopped but killed at the end, as a crash ends it.
    """
    folder = data or tempfile.mkdtemp(prefix="escapement-interop-")
    http = [] if "--http" in flags else ["--http", "off"]
    process = subprocess.Popen(
        [binary, "serve", "--data", f"{folder}/data", "--listen", "127.0.0.1:0", *http, *flags],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield _ports(process, len([flag for flag in flags if flag.endswith(":0")]) + 1)
    finally:
        process.send_signal(signal.SIGKILL if data else signal.SIGTERM)
        try:
            process.communicate(timeout=START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        if not data:
            shutil.rmtree(folder, ignore_errors=True)
    expected = -signal.SIGKILL if data else 0
    assert process.returncode == expected, f"the server ended with {process.returncode}"


def _ports(process, count):
    ports, said = {}, []
    while len(ports) < count:
        line = process.stdout.readline()
        said.append(line)
        assert line, f"the server did not start: status {process.wait()}, {said}"
        if match := re.match(r"escapement listening on 127\.0\.0\.1:(\d+)(?: for (\w+))?$", line):
            ports[(match[2] or "line").lower()] = int(match[1])
    return ports
