"""AMQP: heartbeats, clients that stop in the middle, slow consumers, and many connections."""

import time

import amqp_wire as wire
from amqp_driver import PERSISTENT, Ended, Peer, frame, method, publishing
from escapement_driver import equal, eventually, unique
from suite import case, own, shared


def peer(**options):
    return Peer(shared().amqp_port, **options)


@case
def heartbeats_of_the_server():
    """The server sends something at least once in the interval that was agreed on."""
    with peer(heartbeat=1) as p:
        last = time.monotonic()
        for _ in range(4):
            kind, channel, payload = p.read_frame(5)
            equal((kind, channel, payload), (wire.FRAME_HEARTBEAT, 0, b""), "a heartbeat")
            assert time.monotonic() - last < 2, "the heartbeat is late"
            last = time.monotonic()
            p.raw(frame(wire.FRAME_HEARTBEAT, 0, b""))


@case
def a_client_without_heartbeat():
    """A client of which nothing is heard for two intervals is dropped, and what it had goes to others; any frame counts."""
    with peer() as other:
        other.channel()
        queue = other.queue(1, unique("q"))
        other.publish(1, queue)
        with peer(heartbeat=1) as silent, peer(heartbeat=1) as lively:
            silent.channel()
            lively.channel()
            equal(silent.get(1, queue, no_ack=False)["body"], b"x", "what the silent one got")
            began = time.monotonic()
            def is_dropped():
                lively.sync(1)
                return other.count(1, queue) == 1
            eventually(is_dropped, timeout=15, what="the silent connection is gone")
            assert time.monotonic() - began > 1.5, "it was dropped early"
            lively.sync(1)
            try:
                while True:
                    silent.read_frame(1)
            except Ended:
                pass


@case
def no_heartbeats():
    """With an interval of 0 there are none, and a connection may rest."""
    with peer(heartbeat=0) as p:
        p.channel()
        try:
            p.read_frame(3)
            raise AssertionError("something came")
        except TimeoutError:
            pass
        p.sync(1)


@case
def stopping_in_the_middle():
    """Clients that stop in the middle of a frame or of a content hold nobody up."""
    queue = unique("q")
    whole = publishing(1, queue, b"b" * 5000, frame_max=4096)
    with peer() as other:
        other.channel(confirms=True)
        other.queue(1, queue)
        stuck = []
        for place in (1, 6, 7, 20, len(whole) // 2, len(whole) - 1):
            p = peer()
            p.channel()
            p.raw(whole[:place])
            stuck.append((p, place))
        other.publish(1, queue)
        equal(other.confirmed(1), [], "refused")
        equal(other.count(1, queue), 1, "messages")
        for p, place in stuck:
            p.raw(whole[place:])
            p.sync(1)
            p.drop()
        equal(other.count(1, queue), 1 + len(stuck), "messages")


@case
def a_slow_consumer():
    """A consumer that reads nothing is given no more than a bounded number of bytes; others get theirs."""
    server = own("--max-unsent-bytes", "262144")
    with Peer(server.amqp_port) as slow, Peer(server.amqp_port) as other:
        for one in (slow, other):
            one.channel()
        queue = other.queue(1, "q")
        slow.send(1, "basic.consume", queue=queue)
        slow.expect("basic.consume-ok")
        body = b"b" * 100_000
        for _ in range(300):
            other.publish(1, queue, body)
        other.sync(1)
        with server.client() as line:
            def row():
                return next(one for one in line.ok("rabbitmq.queues")["queues"] if one["queue"] == "q")
            eventually(lambda: row()["messageCount"] > 100, what="messages wait for the slow one")
        got = other.get(1, queue)
        equal(got["body"], body, "what another connection gets")
        tags = [slow.expect("basic.deliver")["deliveryTag"] for _ in range(299)]
        equal(tags, list(range(1, 300)), "what the slow one gets in the end")


@case
def many_connections():
    """A thousand connections with ten channels each work side by side, and cost little memory."""
    server = own()
    def resident():
        with open(f"/proc/{server.process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    before = resident()
    peers = []
    try:
        for _ in range(1000):
            p = Peer(server.amqp_port)
            p.raw(b"".join(method(number, "channel.open") for number in range(1, 11)))
            peers.append(p)
        for p in peers:
            for number in range(1, 11):
                p.expect("channel.open-ok", number)
        grown = resident() - before
        assert grown < 100_000, f"a thousand connections take {grown} KiB"
        queue = peers[0].queue(1, "q")
        for place, p in enumerate(peers):
            p.publish(1 + place % 10, queue, b"%d" % place)
            p.send(1 + place % 10, "channel.flow", active=True)
        for p in peers:
            p.expect("channel.flow-ok")
        equal(peers[0].count(1, queue), 1000, "messages")
    finally:
        for p in peers:
            p.drop()


@case
def a_full_disk():
    """While the disk is nearly full, publishers wait and are told so if they know that; others are served as before."""
    server = own()
    with Peer(server.amqp_port) as p:
        p.channel(1, confirms=True)
        p.queue(1, "q", durable=True)
        p.publish(1, "q", b"before", properties=PERSISTENT)
        p.confirmed(1)
    server.stop()
    server.flags += ["--min-free-bytes", str(1 << 62)]
    server.start()
    p = eventually(lambda: blocked(server), what="a connection that is told so")
    with p, Peer(server.amqp_port, capabilities=()) as old:
        for one in (old, p):
            one.channel(1, confirms=True)
            one.publish(1, "q", b"waits", properties=PERSISTENT)
            one.send(1, "channel.flow", active=True)
            try:
                raise AssertionError(f"a publisher was answered: {one.read(0.5)}")
            except TimeoutError:
                pass
        with Peer(server.amqp_port) as consumer:
            consumer.expect("connection.blocked")
            consumer.channel()
            consumer.call(1, "basic.consume", queue="q")
            equal(consumer.expect("basic.deliver")["body"], b"before", "what was there before")
            consumer.send(1, "basic.ack", deliveryTag=1)
            equal(consumer.count(1, "q"), 0, "messages")
            consumer.send(1, "queue.declare", queue="new")
            consumer.channel_closed(406, "the disk is nearly full")
        server.stop()
        equal(p.expect("connection.close")["code"], 320, "what a publisher hears that waits when the server stops")


def blocked(server):
    """A connection if it is told at once that messages are refused, else None."""
    p = Peer(server.amqp_port)
    try:
        p.expect("connection.blocked", 0, 0.3)
        return p
    except TimeoutError:
        p.drop()
        return None
