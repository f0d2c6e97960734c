"""AMQP: sessions with bytes changed, left out, doubled and moved: the server lives, and other connections are unharmed."""

import os

from amqp_driver import HEADER, PERSISTENT, Ended, Peer, content, frame, method, publishing
from amqp_wire import FRAME_BODY, FRAME_HEADER, FRAME_METHOD, METHODS, encode_header, encode_method
from escapement_driver import equal, unique
from suite import case, randomness, shared

SESSIONS = int(os.environ.get("ESCAPEMENT_AMQP_SESSIONS", "1000"))


def opening(random):
    """The frames of a client that opens its connection, mostly well."""
    yield HEADER if random.random() < 0.98 else random.randbytes(8)
    yield method(0, "connection.start-ok", mechanism=random.choice(("PLAIN",) * 9 + ("AMQPLAIN",)), response="\0guest\0guest",
                 locale="en_US", properties={"capabilities": {"consumer_cancel_notify": True}})
    yield method(0, "connection.tune-ok", channel_max=random.choice((0, 10, 2047)), frame_max=random.choice((0, 4096, 131_072)),
                 heartbeat=random.choice((0, 60)))
    yield method(0, "connection.open", vhost="/")
    for channel in (1, 2):
        yield method(channel, "channel.open")


def value(random, kind, names):
    """A value for a field of a method."""
    if kind == "b":
        return random.random() < 0.3
    if kind == "t":
        return random.choice(({}, {}, {"x-message-ttl": 1000}, {"x-max-length": 3}, {"x-expires": 60_000}, {"x-match": "any", "k": 1},
                              {"x-dead-letter-exchange": random.choice(names)}, {"n": [1, {"o": None}]}))
    if kind in "sS":
        return random.choice((*names, *names, "", "k", "direct", "topic", "fanout", "a.#", "*", "é"))
    bits = {"o": 8, "h": 16, "l": 32, "L": 64}[kind]
    return random.choice((0, 0, 1, 2, 3, random.getrandbits(bits)))


def steps(random, names):
    """Frames of methods that a client may send, on channels that are there, mostly."""
    choices = [name for name in METHODS if not name.endswith("-ok") and name not in (
        "connection.close", "channel.close", "basic.deliver", "basic.return", "connection.blocked", "connection.unblocked")]
    for _ in range(random.randint(1, 30)):
        channel = random.choice((1, 1, 1, 2, 2, 3, 0))
        if random.random() < 0.3:
            headers = random.choice(({}, {"CC": ["k"]}, {"BCC": [random.choice(names)]}, {"x-delay": 5}, {"h": [None, {"a": 1}]}))
            properties = random.choice(({}, PERSISTENT, {"expiration": "100"}, {"headers": headers}, {"headers": headers, "replyTo": "r"}))
            yield publishing(channel or 1, random.choice(names), random.randbytes(random.choice((0, 1, 100, 5000))),
                             random.choice(("", "amq.topic", *names)), properties, 4096, mandatory=random.random() < 0.3)
            continue
        name = random.choice(choices)
        fields = {field: value(random, kind, names) for field, kind in
                  (part.split(":") for part in METHODS[name][2].split()) if not field.startswith("reserved")}
        yield method(channel, name, **fields)


def mutated(random, frames):
    """The frames with one or a few things wrong with them."""
    frames = list(frames)
    for _ in range(random.choice((0, 1, 1, 1, 2, 4))):
        place = random.randrange(len(frames))
        data = bytearray(frames[place])
        kind = random.randrange(8)
        at = random.randrange(len(data)) if data else 0
        if kind == 0 and data:
            data[at] ^= 1 << random.randrange(8)
        elif kind == 1 and data:
            data[at] = random.choice((0, 0xFF, 0xCE, 0x7F, 0x80))
        elif kind == 2:
            del data[at:at + random.randint(1, 8)]
        elif kind == 3:
            data[at:at] = random.randbytes(random.randint(1, 8))
        elif kind == 4:
            data += frames[random.randrange(len(frames))]
        elif kind == 5:
            del data[at:]
        elif kind == 6:
            other = random.randrange(len(frames))
            frames[place], frames[other] = frames[other], frames[place]
            continue
        else:
            kinds = (FRAME_METHOD, FRAME_HEADER, FRAME_BODY, 8, random.getrandbits(8))
            data += frame(random.choice(kinds), random.randrange(4), random.randbytes(random.randrange(40)))
        frames[place] = bytes(data)
    return frames


def run(random, names):
    """One session, sent in pieces; what the server answers is read until it has nothing more to say."""
    with Peer(shared().amqp_port, opens=False) as p:
        data = b"".join(mutated(random, [*opening(random), *steps(random, names)]))
        try:
            while data:
                count = random.randint(1, 1 + 2 * len(data))
                p.raw(data[:count])
                data = data[count:]
            if random.random() < 0.5:
                p.socket.settimeout(0.02)
                while p.socket.recv(65_536):
                    pass
        except (ConnectionError, TimeoutError):
            pass


@case(limit_s=1800)
def mutated_sessions():
    """Thousands of mutated sessions end somehow; meanwhile another connection's messages go through, each once and in order."""
    random = randomness()
    # The fuzz may know these names, and not that of the bystander's queue.
    names = [unique("fuzz") for _ in range(3)]
    with Peer(shared().amqp_port) as p:
        p.channel(1, confirms=True)
        mine = p.queue(1, exclusive=True)
        p.call(1, "basic.consume", queue=mine, consumerTag="c")
        for number in range(SESSIONS):
            run(random, names)
            if number % 10 == 0:
                p.publish(1, mine, b"%d" % number, properties=PERSISTENT)
                found = sorted((p.read() for _ in range(2)), key=lambda one: one[1])
                equal([name for _, name, _ in found], ["basic.ack", "basic.deliver"], "what the bystander gets")
                equal(found[1][2]["body"], b"%d" % number, "its message")
                p.send(1, "basic.ack", deliveryTag=found[1][2]["deliveryTag"])
        with shared().client() as line:
            stats = line.ok("stats")
            assert stats["connections"] < 100, stats
        p.close()


@case(limit_s=600)
def garbage():
    """Random bytes behind an open connection, and behind an open channel, end that connection and no other."""
    random = randomness()
    with Peer(shared().amqp_port) as bystander:
        bystander.channel()
        for _ in range(SESSIONS // 5):
            with Peer(shared().amqp_port) as p:
                p.channel()
                p.raw(encode_method("basic.publish")[:random.randrange(5)] + random.randbytes(random.randint(8, 2000)))
                try:
                    p.read_frame(0.005)
                except (TimeoutError, Ended, AssertionError):
                    pass
            bystander.sync(1)
        with Peer(shared().amqp_port) as p:
            p.channel()
            p.raw(method(1, "basic.publish", routingKey="q") + frame(FRAME_HEADER, 1, encode_header(3, {})) + content(1, b"x"))
            p.connection_closed(505)
