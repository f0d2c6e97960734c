"""TLS on every listener: with Python's ssl, `openssl s_client` and curl; versions, certificates of clients, reload, rude handshakes."""

import functools
import itertools
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from amqp_driver import HEADER
from escapement_driver import DEADLINE_S, equal, eventually, run_command
from suite import case, own

_numbers = itertools.count(1)


@functools.cache
def folder():
    """A folder that goes away with this process."""
    return tempfile.TemporaryDirectory(prefix="escapement-tls-")


def openssl(*words, **options):
    return subprocess.run(["openssl", *words], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60, **options)


class Authority:
    """An authority and what it signs."""

    def __init__(self):
        self.path = os.path.join(folder().name, f"ca{next(_numbers)}")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                "-keyout", self.path + ".key", "-out", self.path + ".pem", "-subj", "/CN=Test authority")
        self.pem = self.path + ".pem"

    def sign(self, name="localhost", names="DNS:localhost,IP:127.0.0.1"):
        """(certificate, key) for these names."""
        path = os.path.join(folder().name, f"{name}{next(_numbers)}")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path + ".key",
                "-out", path + ".csr", "-subj", f"/CN={name}")
        with open(path + ".ext", "w", encoding="utf-8") as file:
            file.write(f"subjectAltName={names}\n")
        openssl("x509", "-req", "-in", path + ".csr", "-CA", self.pem, "-CAkey", self.path + ".key", "-CAcreateserial",
                "-days", "30", "-extfile", path + ".ext", "-out", path + ".pem")
        return path + ".pem", path + ".key"


@functools.cache
def authority():
    return Authority()


def secure(*flags, http=True):
    """A server with TLS."""
    certificate, key = authority().sign()
    wires = ("--http", "127.0.0.1:0") if http else ()
    return own("--tls-cert", certificate, "--tls-key", key, *wires, *flags)


def context(ca=None, certificate=None):
    made = ssl.create_default_context(cafile=ca or authority().pem)
    if certificate:
        made.load_cert_chain(*certificate)
    return made


class Line:
    """The line protocol over TLS."""

    def __init__(self, address, tls=None):
        plain = socket.create_connection(address, timeout=DEADLINE_S)
        self.socket = (tls or context()).wrap_socket(plain, server_hostname="localhost")
        self.file = self.socket.makefile("rwb")

    def send(self, op, **fields):
        self.file.write(json.dumps({"op": op, **fields}).encode() + b"\n")
        self.file.flush()

    def read(self):
        line = self.file.readline()
        return json.loads(line) if line else None

    def ok(self, op, **fields):
        self.send(op, **fields)
        reply = self.read()
        assert reply and reply["ok"], f"{op}: {reply!r}"
        return reply

    def close(self):
        self.file.close()
        self.socket.close()


def address(server):
    return server.host, server.port


@case
def every_listener_speaks_tls():
    """Line protocol, HTTP and AMQP go through TLS with `--tls-cert` and `--tls-key`; a plain client is not answered."""
    server = secure("--amqp", "127.0.0.1:0")
    line = Line(address(server))
    line.ok("subscribe", topic="t", group="g")
    line.send("publish", topic="t", body={"n": 1}, rid=1)
    got = [line.read() for _ in range(2)]
    equal(sorted(("event" in row, row.get("rid")) for row in got), [(False, 1), (True, None)])
    http = context().wrap_socket(
        socket.create_connection(server.address_for("HTTP"), timeout=DEADLINE_S), server_hostname="localhost")
    http.sendall(b'POST /v1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 13\r\n\r\n{"op":"ping"}')
    answer = b"".join(iter(lambda: http.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    amqp = context().wrap_socket(
        socket.create_connection(("127.0.0.1", server.amqp_port), timeout=DEADLINE_S), server_hostname="localhost")
    amqp.sendall(HEADER)
    equal(amqp.recv(3), b"\x01\x00\x00", "the start of connection.start")
    plain = server.client()
    plain.send_raw(b'{"op":"ping"}\n')
    while (data := plain.socket.recv(100) if readable(plain.socket) else None) is not None:
        assert b"{" not in data, data
        if not data:
            break
    line.ok("ping")


def readable(raw):
    import select
    return bool(select.select([raw], [], [], DEADLINE_S)[0])


@case
def much_goes_through_in_both_directions():
    """Large bodies, many pipelined requests, and a client that reads late: all of it comes, in its order."""
    server = secure(http=False)
    client = Line(address(server))
    body = "x" * 400_000
    for number in range(5):
        client.ok("publish", topic="t", body=body + str(number))
    messages = client.ok("fetch", topic="t", group="g", max=5)["messages"]
    equal([message["body"] for message in messages], [body + str(number) for number in range(5)])
    lines = b"".join(json.dumps({"op": "publish", "topic": "u", "body": n, "rid": n}).encode() + b"\n" for n in range(20_000))
    writer = threading.Thread(target=client.socket.sendall, args=(lines,))
    writer.start()
    time.sleep(0.3)
    equal([client.read()["rid"] for _ in range(20_000)], list(range(20_000)))
    writer.join()
    other = Line(address(server))
    other.ok("subscribe", topic="u", group="g", credit=65_536)
    equal([other.read()["offset"] for _ in range(20_000)], list(range(20_000)))


@case
def only_tls_1_2_and_1_3_are_spoken():
    """TLS 1.2 and 1.3 are spoken, older versions are not."""
    server = secure(http=False)
    for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
        tls = context()
        tls.minimum_version = tls.maximum_version = version
        client = Line(address(server), tls)
        equal(client.socket.version(), name)
        client.ok("ping")
    old = context()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    try:
        Line(address(server), old)
        raise AssertionError("TLS 1.1 was spoken")
    except (ssl.SSLError, ConnectionError):
        pass


@case
def clients_show_certificates():
    """With `--tls-client-ca` a client without a certificate of that authority gets nowhere; sessions are resumed."""
    clients = Authority()
    server = secure("--tls-client-ca", clients.pem, http=False)
    good = context(certificate=clients.sign("shop"))
    client = Line(address(server), good)
    client.ok("ping")
    session = client.socket.session
    client.close()
    again = socket.create_connection(address(server), timeout=DEADLINE_S)
    again = good.wrap_socket(again, server_hostname="localhost", session=session)
    again.sendall(b'{"op":"ping"}\n')
    assert b'"ok":true' in again.recv(1000)
    for bad in (context(), context(certificate=authority().sign("foreign"))):
        try:
            equal(Line(address(server), bad).ok("ping"), None, "a client of nobody's")
        except (ssl.SSLError, ConnectionError, AssertionError) as problem:
            assert "nobody's" not in str(problem), problem
    Line(address(server), good).ok("ping")


@case
def the_certificate_is_read_again():
    """On SIGHUP new connections get the new certificate, old ones go on; bad files change nothing and are reported."""
    certificate, key = authority().sign()
    server = own("--tls-cert", certificate, "--tls-key", key)
    old = Line(address(server))
    first = old.socket.getpeercert()["serialNumber"]
    new_certificate, new_key = authority().sign()
    shutil.copy(new_key, key)
    shutil.copy(new_certificate, certificate)
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: "read the files of TLS again" in server.errors(), what="the reload")
    new = Line(address(server))
    assert new.socket.getpeercert()["serialNumber"] != first, "the new certificate"
    old.ok("ping")
    with open(certificate, "w", encoding="utf-8") as file:
        file.write("nonsense\n")
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: "were not read again" in server.errors(), what="the report")
    equal(Line(address(server)).socket.getpeercert()["serialNumber"], new.socket.getpeercert()["serialNumber"])


@case
def what_is_wrong_with_the_files_is_said():
    """Missing files, keys that do not fit and settings that belong together are told with exit status 2."""
    certificate, key = authority().sign()
    _, other = authority().sign()
    locked = key + ".locked"
    openssl("ec", "-in", key, "-aes256", "-passout", "pass:secret", "-out", locked)
    for flags, words in ((("--tls-cert", "/nowhere.pem"), "/nowhere.pem"),
                         (("--tls-cert", certificate), certificate),
                         (("--tls-cert", certificate, "--tls-key", other), "key"),
                         (("--tls-cert", certificate, "--tls-key", locked), "passphrase"),
                         (("--tls-key", key), "--tls-cert"), (("--tls-client-ca", authority().pem), "--tls-cert"),
                         (("--tls-cert", certificate, "--tls-key", key, "--tls-client-ca", key), key)):
        status, output = run_command("serve", "--listen", "127.0.0.1:0", *flags, "--print-settings")
        assert status == 2 and words in output, f"{flags}: {status} {output}"


@case
def slow_and_broken_handshakes_are_bounded():
    """A handshake that is not done in `--handshake-timeout-ms`, or is none, ends its connection; others do not feel it."""
    server = secure("--handshake-timeout-ms", 700, http=False)
    good = Line(address(server))
    silent = [socket.create_connection(address(server), timeout=DEADLINE_S) for _ in range(50)]
    hello = client_hello()
    half = [socket.create_connection(address(server), timeout=DEADLINE_S) for _ in range(50)]
    for one in half:
        one.sendall(hello[:40])
    broken = [socket.create_connection(address(server), timeout=DEADLINE_S) for _ in range(50)]
    for number, one in enumerate(broken):
        one.sendall([b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 70_000, hello[:20] + b"\x00" * 400, b"\x15\x03\x01\x00\x02\x02\x28"][number % 4])
    for number in range(100):
        equal(good.ok("publish", topic="t", body=number)["offset"], number)
    for one in silent + half + broken:
        closed(one)
    # Whole handshakes go on.
    another = Line(address(server))  # Kept, since a client that is forgotten closes its connection.
    another.ok("ping")
    stats = good.ok("stats")
    equal(stats["connections"], 2)
    assert stats["tlsHandshakesFailed"] >= 150 and stats["tlsHandshakes"] == 2, stats


def client_hello():
    """The first bytes of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    side = context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


def closed(one):
    try:
        while one.recv(4096):
            pass
    except ConnectionError:
        pass
    one.close()


class ByHand:
    """A connection whose sealed bytes are moved by hand."""

    def __init__(self, place):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.side = context().wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.raw = socket.create_connection(place, timeout=DEADLINE_S)
        self.step(self.side.do_handshake)

    def step(self, call):
        """Does something that may need more from the other side; gives what it gives."""
        while True:
            try:
                return call()
            except ssl.SSLWantReadError:
                self.flush()
                data = self.raw.recv(1 << 16)
                assert data, "the server closed without saying so"
                self.incoming.write(data)
            finally:
                self.flush()

    def flush(self):
        if self.outgoing.pending:
            self.raw.sendall(self.outgoing.read())


@case
def damaged_records_end_their_connection_alone():
    """Bytes that were changed on the way end the connection with an alert; nothing of them is done."""
    server = secure(http=False)
    client = ByHand(address(server))
    client.side.write(b'{"op":"publish","topic":"t","body":1}\n')
    record = bytearray(client.outgoing.read())
    record[-5] ^= 1
    client.raw.sendall(record)
    closed(client.raw)
    equal(Line(address(server)).ok("topics")["topics"], [])


@case
def closing_is_said_both_ways():
    """A client that ends its direction still gets all replies, and then the server's own end."""
    server = secure(http=False)
    client = ByHand(address(server))
    client.side.write(b"".join(b'{"op":"publish","topic":"t","body":1,"rid":%d}\n' % number for number in range(10)))
    # The end of our direction goes out behind the requests, in the same piece.
    try:
        client.side.unwrap()
    except ssl.SSLWantReadError:
        pass
    received = b""
    while received.count(b"\n") < 10:
        received += client.step(lambda: client.side.read(1 << 16))
    equal([json.loads(line)["rid"] for line in received.splitlines()], list(range(10)))
    try:
        raise AssertionError(f"after the replies: {client.step(lambda: client.side.read(1 << 16))}")
    except ssl.SSLZeroReturnError:
        pass
    other = Line(address(server))
    other.send("frobnicate")
    equal(other.read()["error"], "unknown_op")
    other.file.write(b"no json\n")
    other.file.flush()
    equal(other.read()["error"], "bad_json")
    equal(other.read(), None, "after the server's end")


@case
def s_client_and_curl_work():
    """`openssl s_client` and curl, where they are installed, check the certificate and get answers."""
    server = secure()
    host, port = server.address_for("HTTP")
    if shutil.which("curl"):
        done = subprocess.run(
            ["curl", "-sS", "--cacert", authority().pem, f"https://localhost:{port}/v1", "-d", '{"op":"ping"}',
             "--resolve", f"localhost:{port}:{host}"], stdout=subprocess.PIPE, timeout=30, check=True)
        equal(json.loads(done.stdout)["ok"], True)
    command = ["openssl", "s_client", "-connect", f"{server.host}:{server.port}", "-CAfile", authority().pem, "-quiet",
               "-verify_return_error", "-verify_hostname", "localhost"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdin.write(b'{"op":"ping","rid":"s_client"}\n')
        process.stdin.flush()
        equal(json.loads(process.stdout.readline())["rid"], "s_client")
        process.terminate()


@case
def a_server_that_stops_says_so():
    """SIGTERM ends connections with TLS in order: what was answered is read, then comes the end."""
    server = secure(http=False)
    client = Line(address(server))
    client.send("fetch", topic="t", group="g", waitMs=60_000, rid=1)
    eventually(lambda: Line(address(server)).ok("stats")["consumers"] == 1, what="the fetch")
    server.stop()
    equal(client.read()["error"], "shutting_down")
    equal(client.read(), None)


@case
def the_commands_speak_tls():
    """`--tls-ca` lets the commands of a client talk to such a server; a certificate of somebody else's is refused."""
    server = secure(http=False)
    place = ("--server", f"localhost:{server.port}")
    status, output = run_command("publish", "t", "--body", '"hello"', *place, "--tls-ca", authority().pem)
    equal(status, 0, output)
    status, output = run_command("topics", *place, "--tls-ca", authority().pem)
    assert status == 0 and " t" in " " + output, output
    status, output = run_command("topics", *place, "--tls-ca", Authority().pem)
    assert status == 1 and "certificate" in output, output
    status, output = run_command("topics", *place, "--tls")
    assert status == 1 and "certificate" in output, output
    status, output = run_command("topics", *place)
    assert status == 1, output
