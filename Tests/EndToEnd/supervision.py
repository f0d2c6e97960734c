"""What a service manager is told over its notify socket, and what it is not kept from: the end within a bound."""

import os
import signal
import socket
import tempfile

from escapement_driver import equal
from suite import case, own


class Manager:
    """The other end of the notify socket."""

    def __init__(self, abstract=False):
        self.folder = tempfile.TemporaryDirectory(prefix="escapement-notify-")
        path = os.path.join(self.folder.name, "notify")
        self.name = "@" + path if abstract else path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + path if abstract else path)
        self.socket.settimeout(30)

    def read(self):
        return self.socket.recv(4096).decode().split("\n")

    def expect(self, line):
        """The next message that is no sign of life; it has this line."""
        while (lines := self.read()) == ["WATCHDOG=1"]:
            pass
        assert line in lines, f"{line} is not in {lines}"
        return lines

    def close(self):
        self.socket.close()
        self.folder.cleanup()


@case
def a_manager_is_told_of_start_reload_and_stop():
    """`READY=1` when it listens, `RELOADING=1` and `READY=1` on SIGHUP, `STOPPING=1` on SIGTERM; also by an abstract name."""
    for abstract in (False, True):
        manager = Manager(abstract)
        server = own(environment={"NOTIFY_SOCKET": manager.name})
        manager.expect("READY=1")
        server.client().ok("ping")
        server.process.send_signal(signal.SIGHUP)
        assert any(line.startswith("MONOTONIC_USEC=") for line in manager.expect("RELOADING=1"))
        manager.expect("READY=1")
        server.stop()
        manager.expect("STOPPING=1")
        manager.close()


@case
def a_watchdog_hears_of_a_loop_that_turns():
    """`WATCHDOG=1` comes in time although nothing happens, and not for a watchdog of another process."""
    manager = Manager()
    own(environment={"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "200000"})
    manager.expect("READY=1")
    for _ in range(5):
        equal(manager.read(), ["WATCHDOG=1"])
    other = Manager()
    server = own(environment={"NOTIFY_SOCKET": other.name, "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
    equal(other.read()[0], "READY=1")
    server.stop()
    equal(other.read()[0], "STOPPING=1")


@case
def without_a_manager_nothing_changes():
    """A notify socket that is not there is nobody: the server runs."""
    server = own(environment={"NOTIFY_SOCKET": "/nowhere/notify"})
    server.client().ok("ping")
    server.stop()
