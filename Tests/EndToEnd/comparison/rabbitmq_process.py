"""Finds an installed RabbitMQ and runs a node of it of our own: in a folder of its own, on the loopback, stopped by its
process id.

Holds: nothing of the node outlives `close`: the broker and its epmd are our children, their folder is removed; nothing of
an installed service is read or touched (its cookie, its database, its port, its epmd).
Leaves to others: AMQP (amqp_client.py).
"""

import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

START_S = 180
STOP_S = 30


def find():
    """The script that starts RabbitMQ, or None. The one on the PATH of a Debian package changes to another user first."""
    places = sorted(glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"), reverse=True)
    places += ["/opt/rabbitmq/sbin/rabbitmq-server", "/usr/local/sbin/rabbitmq-server"]
    named = os.environ.get("RABBITMQ_SERVER")
    for place in ([named] if named else places):
        if os.access(place, os.X_OK):
            return place
    return None


def free_ports(count):
    """Ports of the loopback that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class RabbitMQProcess:
    """One running node; `port` speaks AMQP."""

    def __init__(self, script):
        self.folder = tempfile.mkdtemp(prefix="rabbitmq-comparison-")
        self.script, self.processes = script, []
        self.port, self.distribution_port, self.epmd_port = free_ports(3)
        try:
            self._prepare()
            self._start()
        except BaseException:
            self.close()
            raise

    def _prepare(self):
        path = self._path
        with open(path("cookie-home", ".erlang.cookie"), "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o400)
            file.write(os.urandom(16).hex())
        for name in ("env.conf", "rabbitmq.conf", "enabled_plugins"):
            with open(path(name), "w", encoding="ascii") as file:
                file.write({"rabbitmq.conf": "log.file.level = warning\n", "enabled_plugins": "[].\n"}.get(name, ""))
        for folder in ("mnesia", "log"):
            os.mkdir(path(folder))

    def _environment(self):
        path = self._path
        return {
            "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LANG": "C.UTF-8",
            "HOME": path("cookie-home"),
            "RABBITMQ_CONF_ENV_FILE": path("env.conf"), "RABBITMQ_CONFIG_FILE": path("rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": path("enabled_plugins"),
            "RABBITMQ_NODENAME": f"comparison{os.getpid()}@localhost",
            "RABBITMQ_MNESIA_BASE": path("mnesia"), "RABBITMQ_LOG_BASE": path("log"),
            "RABBITMQ_PID_FILE": path("pid"), "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port), "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": str(self.epmd_port),
            # Our epmd is a child of ours, so that it can be stopped; the node must not start one that stays behind.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1} +S 2:2",
            # The script then becomes the node instead of waiting for it.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def _path(self, *parts):
        path = os.path.join(self.folder, *parts)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return path

    def _start(self):
        environment = self._environment()
        self._run(["epmd", "-address", "127.0.0.1", "-port", str(self.epmd_port)], environment)
        self._run([self.script], environment)
        end = time.monotonic() + START_S
        while True:
            for process in self.processes:
                if process.poll() is not None:
                    raise RuntimeError(f"RabbitMQ ended with {process.returncode}:\n{self.output()}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > end:
                    raise RuntimeError(f"RabbitMQ did not listen within {START_S} s:\n{self.output()}") from None
                time.sleep(0.1)

    def _run(self, command, environment):
        with open(self._path("output"), "ab") as output:
            self.processes.append(subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.folder, env=environment))

    def output(self):
        """The end of what the node said."""
        with open(self._path("output"), "rb") as file:
            return file.read()[-4000:].decode("utf-8", "replace")

    def restart(self):
        """Stops the node in good order and starts it again on what it left."""
        self._stop()
        self._start()

    def close(self):
        """Ends what was started and removes the folder."""
        self._stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _stop(self):
        # The node before its epmd.
        while self.processes:
            process = self.processes.pop()
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
