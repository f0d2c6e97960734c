"""Storms: many connections, slow ones, short ones and garbage. Others keep being served, in order, with right answers."""

import contextlib
import random
import resource
import socket
import threading
import time

from escapement_driver import DEADLINE_S, Client, equal, eventually
from suite import case, own, randomness

HOUR_MS = 3_600_000


def files(count):
    """Lets this process open so many files; whether it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            return False
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    return True


def connect(server):
    return socket.create_connection((server.host, server.port), timeout=DEADLINE_S)


class Witness:
    """A client that publishes and gets its own messages back, and sees that every answer is the right one."""

    def __init__(self, server):
        self.client = server.client()
        self.sub = self.client.ok("subscribe", topic="witness", group="g", credit=1_000)["sub"]
        self.count = 0

    def check(self, rounds=20):
        for _ in range(rounds):
            equal(self.client.ok("publish", topic="witness", body=self.count)["offset"], self.count)
            event = self.client.event()
            equal((event["offset"], event["body"]), (self.count, self.count))
            equal(self.client.ok("ack", sub=self.sub, offset=event["offset"])["acked"], 1)
            self.count += 1


@case
def ten_thousand_connections_rest():
    """10 000 connections that do nothing: others are served, memory stays small, and all of them still answer."""
    if not files(11_000):
        return
    server = own("--http", "127.0.0.1:0")
    witness = Witness(server)
    resting = []
    for number in range(10_000):
        resting.append(connect(server))
        if number % 2_000 == 0:
            witness.check()
    eventually(lambda: witness.client.ok("stats")["connections"] == 10_001, what="all connections")
    witness.check(100)
    with open(f"/proc/{server.process.pid}/statm", encoding="ascii") as file:
        resident = int(file.read().split()[1]) * resource.getpagesize()
    assert resident < 400 << 20, f"{resident >> 20} MiB for 10 000 connections"
    for one in resting[::100]:
        one.sendall(b'{"op":"ping"}\n')
        assert b'"ok":true' in one.recv(1_000)
    for one in resting:
        one.close()
    eventually(lambda: witness.client.ok("stats")["connections"] == 1, what="the end of all of them")
    witness.check()


@case
def five_thousand_reconnect():
    """5 000 clients come at once, say hello, subscribe, lose their connection and come again; others keep their order."""
    if not files(6_000):
        return
    server = own()
    witness = Witness(server)
    hello = b'{"op":"hello","protocol":1}\n{"op":"subscribe","topic":"storm","group":"g"}\n'
    for _ in range(2):
        clients = []
        for number in range(5_000):
            one = connect(server)
            one.sendall(hello)
            clients.append(one)
            if number % 1_000 == 0:
                witness.check(5)
        for one in clients:
            data = b""
            while data.count(b"\n") < 2:
                part = one.recv(4_096)
                assert part, "the server closed a connection"
                data += part
            assert data.count(b'"ok":true') == 2, data
        witness.check()
        for one in clients:
            # Without a farewell, as a machine that was switched off.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            one.close()
    eventually(lambda: witness.client.ok("stats")["connections"] == 1, what="the end of all of them")
    equal(witness.client.ok("stats")["consumers"], 1)
    witness.check()


@case
def slow_clients_hold_nobody_up():
    """Hundreds of clients that send a byte now and then are cut off in time; others do not feel them."""
    server = own("--request-timeout-ms", 1_500, "--http", "127.0.0.1:0")
    witness = Witness(server)
    http = server.address_for("HTTP")
    slow = [connect(server) for _ in range(300)] + [socket.create_connection(http, timeout=DEADLINE_S) for _ in range(300)]
    starts = [b'{"op":"publish","topic":"slow","body":"'] * 300 + [b"POST /v1 HTTP/1.1\r\nHost: localhost\r\nX-Slow: "] * 300
    for one, start in zip(slow, starts):
        one.sendall(start)
    left, end = set(slow), time.monotonic() + 2 * DEADLINE_S
    while left:
        assert time.monotonic() < end, f"{len(left)} slow connections are still there"
        witness.check(3)
        for one in list(left):
            try:
                one.send(b"x")
                one.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while one.recv(4_096):
                        pass
                    left.discard(one)
                one.setblocking(True)
            except ConnectionError:
                left.discard(one)
    equal([row["topic"] for row in witness.client.ok("topics")["topics"]], ["witness"])
    witness.check()


@case
def garbage_is_refused_and_felt_by_nobody():
    """Random bytes on every listener end their own connections; the server lives, and others get right answers."""
    server = own("--http", "127.0.0.1:0", "--request-timeout-ms", 2_000)
    witness = Witness(server)
    places = [(server.host, server.port), server.address_for("HTTP"), ("127.0.0.1", server.amqp_port)]
    draw = randomness()
    heads = [b"", b"{", b'{"op":', b"POST /v1 HTTP/1.1\r\n", b"AMQP\x00\x00\x09\x01", b"AMQP\x00\x00\x09\x01\x01\x00\x00", b"\x16\x03\x01"]
    seeds = [draw.randrange(1 << 60) for _ in range(4)]

    def flood(seed):
        random_bytes = random.Random(seed)
        for number in range(150):
            with contextlib.suppress(OSError), socket.create_connection(places[number % 3], timeout=DEADLINE_S) as one:
                for _ in range(random_bytes.randrange(1, 6)):
                    one.sendall(random_bytes.choice(heads) + random_bytes.randbytes(random_bytes.randrange(1, 60_000)))

    threads = [threading.Thread(target=flood, args=(seed,)) for seed in seeds]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        witness.check(2)
    for thread in threads:
        thread.join()
    eventually(lambda: witness.client.ok("stats")["connections"] == 1, what="the end of all of them")
    equal([row["topic"] for row in witness.client.ok("topics")["topics"]], ["witness"])
    witness.check(100)
    with Client(server.host, server.port) as client:
        client.ok("schedule", topic="after", body=1, delayMs=HOUR_MS)
