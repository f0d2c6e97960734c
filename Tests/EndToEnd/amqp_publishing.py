"""AMQP: publishing: contents, returns, confirms and their truth."""

import threading

from amqp_driver import PERSISTENT, Ended, Peer, content, frame, method, publishing
from amqp_wire import FRAME_BODY, FRAME_HEADER, encode_header
from escapement_driver import equal, eventually, unique
from suite import case, own, randomness, shared


def peer(**options):
    return Peer(shared().amqp_port, **options)


@case
def properties_and_bodies_come_back():
    """All properties, headers of all types and any bytes come back as they were published."""
    properties = {
        "contentType": "text/plain", "contentEncoding": "gzip", "deliveryMode": 2, "priority": 5, "correlationId": "c",
        "replyTo": "r", "expiration": "60000", "messageId": "m", "timestamp": 1_700_000_000, "type": "t", "userId": "guest",
        "appId": "a",
        "headers": {"n": 1, "s": "é", "f": 1.5, "t": True, "v": None, "a": [1, "x", [None]], "o": {"deep": {"er": 1}}, "": "empty"},
    }
    with peer() as p:
        queue = p.queue(p.channel())
        for body in (b"", b"\x00\xff\xce", bytes(range(256)) * 700):
            p.publish(1, queue, body, properties=properties)
            got = p.get(1, queue)
            equal(got["body"], body, "the body")
            equal(got["properties"], properties, "the properties")
            equal((got["exchange"], got["routingKey"], got["redelivered"]), ("", queue, False), "where it came from")


@case
def frames_of_other_channels_between():
    """Frames of other channels may stand between those of a content."""
    random = randomness()
    with peer() as p:
        channels = [p.channel(number) for number in (1, 2, 3)]
        queue = p.queue(1)
        rows = []
        for number in channels:
            frames = []
            for message in range(20):
                body = b"%d.%d " % (number, message) * random.choice((0, 1, 3))
                frames.append(method(number, "basic.publish", routingKey=queue))
                frames.append(frame(FRAME_HEADER, number, encode_header(len(body), {"messageId": f"{number}.{message}"})))
                while body:
                    count = random.randint(1, len(body))
                    frames.append(frame(FRAME_BODY, number, body[:count]))
                    body = body[count:]
            rows.append(frames)
        mixed = b""
        while any(rows):
            mixed += random.choice([row for row in rows if row]).pop(0)
            if random.random() < 0.1:
                p.raw(mixed)
                mixed = b""
        p.raw(mixed)
        for number in channels:
            p.sync(number)
        seen = {1: [], 2: [], 3: []}
        for _ in range(60):
            got = p.get(1, queue)
            name = got["properties"]["messageId"]
            assert not got["body"].replace(name.encode() + b" ", b""), got
            seen[int(name[0])].append(int(name[2:]))
        for number in channels:
            equal(seen[number], list(range(20)), f"the messages of channel {number}, in order")


@case
def messages_that_are_too_large():
    """A message over 16 MiB is 406 as soon as that is announced; one of 16 MiB is taken."""
    with peer() as p:
        queue = p.queue(p.channel())
        p.raw(method(1, "basic.publish", routingKey=queue) + frame(FRAME_HEADER, 1, encode_header((16 << 20) + 1, {}))
              + frame(FRAME_BODY, 1, b"x"))
        p.channel_closed(406, "PRECONDITION_FAILED - message size 16777217 is larger than configured max size 16777216")
        p.channel(1, confirms=True)
        body = bytes(range(256)) * (1 << 16)
        p.publish(1, queue, body)
        equal(p.confirmed(1), [], "refused")
        assert p.get(1, queue)["body"] == body


@case
def unfinished_contents_are_bounded():
    """A connection that begins many large messages and ends none is ended before it takes much memory."""
    with peer() as p:
        for number in range(1, 12):
            p.channel(number)
        try:
            for number in range(1, 12):
                p.raw(method(number, "basic.publish") + frame(FRAME_HEADER, number, encode_header(16 << 20, {})))
                p.raw(frame(FRAME_BODY, number, bytes(131_064)) * 100)
            p.connection_closed(506, "RESOURCE_ERROR")
        except (ConnectionError, Ended):
            pass
    with peer() as p:
        p.channel()


@case
def returns_come_before_confirms():
    """A mandatory message that finds no queue comes back with 312 before its confirm."""
    with peer() as p:
        p.channel(confirms=True)
        p.publish(1, "nowhere", b"lost", properties={"headers": {"BCC": ["secret"], "n": 1}, "messageId": "m"}, mandatory=True)
        returned = p.expect("basic.return", 1)
        equal((returned["replyCode"], returned["replyText"]), (312, "NO_ROUTE"), "the reason")
        equal((returned["exchange"], returned["routingKey"], returned["body"]), ("", "nowhere", b"lost"), "the message")
        equal(returned["properties"], {"headers": {"n": 1}, "messageId": "m"}, "its properties")
        equal(p.expect("basic.ack", 1)["deliveryTag"], 1, "the confirm")
        p.publish(1, "nowhere", b"dropped")
        equal(p.expect("basic.ack", 1)["deliveryTag"], 2, "the confirm of one that nobody missed")


@case
def confirms_tell_all():
    """Every message is confirmed once, in order, whatever mixture of queues it goes to."""
    random = randomness()
    with peer() as p:
        p.channel(1, confirms=True)
        durable, transient = p.queue(1, unique("d"), durable=True), p.queue(1)
        count = 2000
        def publish():
            for _ in range(count):
                p.publish(1, random.choice((durable, transient, "nowhere")), properties=random.choice((PERSISTENT, {})))
        thread = threading.Thread(target=publish)
        thread.start()
        told = 0
        while told < count:
            fields = p.expect("basic.ack", 1)
            assert fields["multiple"] or fields["deliveryTag"] == told + 1, (told, fields)
            assert fields["deliveryTag"] > told, (told, fields)
            told = fields["deliveryTag"]
        thread.join()
        equal(told, count, "confirms")


@case
def full_queues_refuse():
    """A full queue with `reject-publish` refuses by nack, and only what does not fit."""
    with peer() as p:
        p.channel(confirms=True)
        queue = p.queue(1, arguments={"x-max-length": 3, "x-overflow": "reject-publish"})
        p.raw(b"".join(publishing(1, queue, b"%d" % number) for number in range(6)) + publishing(1, "nowhere"))
        equal(p.confirmed(7), [4, 5, 6], "refused")
        equal(p.bodies(1, queue), [b"0", b"1", b"2"], "taken")


@case
def confirmed_is_durable():
    """What was confirmed is there after a crash in the middle of publishing, and nothing is there twice."""
    server = own()
    random = randomness()
    names = ["left", "right"]
    confirmed, sent = {name: 0 for name in names}, {name: 0 for name in names}
    with Peer(server.amqp_port) as p:
        p.channel()
        for name in names:
            p.queue(1, name, durable=True)
    for _ in range(4):
        peers = {name: Peer(server.amqp_port) for name in names}
        threads = []
        moment = random.uniform(0.05, 0.5)
        for name, p in peers.items():
            p.channel(confirms=True)
            threads.append(threading.Thread(target=keep_publishing, args=(p, name, sent, confirmed)))
        killer = threading.Timer(moment, server.kill9)
        for thread in [*threads, killer]:
            thread.start()
        for thread in [*threads, killer]:
            thread.join()
        server.start()
        with Peer(server.amqp_port) as p:
            p.channel()
            for name in names:
                found = [int(body) for body in p.bodies(1, name)]
                equal(found, sorted(set(found)), f"the messages of {name}, each once and in order")
                assert found[-1:] >= [confirmed[name]] or not confirmed[name], (name, found[-3:], confirmed)
                equal(set(range(1, confirmed[name] + 1)) - set(found), set(), "confirmed, and lost")
                sent[name] = confirmed[name] = 0


def keep_publishing(p, name, sent, confirmed):
    """Publishes numbers until the server is gone; `confirmed` has the last that it vouched for."""
    try:
        while True:
            burst = b""
            for _ in range(50):
                sent[name] += 1
                burst += publishing(1, name, b"%d" % sent[name], properties=PERSISTENT)
            p.raw(burst)
            while confirmed[name] < sent[name]:
                confirmed[name] = p.expect("basic.ack", 1)["deliveryTag"]
    except (Ended, ConnectionError):
        p.drop()


@case
def confirms_that_nobody_reads():
    """A publisher that never reads its confirms is held up, and takes nothing from others."""
    server = own("--max-unsent-bytes", "65536")
    with Peer(server.amqp_port) as deaf, Peer(server.amqp_port) as other:
        deaf.channel(confirms=True)
        deaf.socket.settimeout(5)
        burst = publishing(1, "nowhere", b"x" * 100, mandatory=True) * 1000
        try:
            for _ in range(1000):
                deaf.raw(burst)
            raise AssertionError("the server took everything from a publisher that reads nothing")
        except TimeoutError:
            pass
        queue = other.queue(other.channel(confirms=True))
        other.publish(1, queue, b"through")
        equal(other.confirmed(1), [], "refused")
        equal(other.get(1, queue)["body"], b"through", "the other's message")


@case
def both_wires_see_the_same():
    """What is published by AMQP is consumed by the line protocol, and the other way round."""
    server = shared()
    with server.client() as line, peer() as p:
        queue = p.queue(p.channel(confirms=True), unique("q"), durable=True)
        p.publish(1, queue, "é".encode(), properties={"headers": {"n": [1, None]}, "deliveryMode": 2, "messageId": "m"})
        p.confirmed(1)
        got = line.ok("rabbitmq.get", queue=queue, noAck=True)
        equal((got["body"], got["properties"]), ("é", {"deliveryMode": 2, "messageId": "m", "headers": {"n": [1, None]}}), "on a line")
        p.publish(1, queue, b"\xff")
        p.confirmed(1)
        equal(line.ok("rabbitmq.get", queue=queue, noAck=True)["bodyBase64"], "/w==", "bytes on a line")
        line.ok("rabbitmq.publish", exchange="", routingKey=queue, body="ü",
                properties={"headers": {"n": {"o": 1.5}}, "contentType": "c", "expiration": "60000"})
        got = p.get(1, queue)
        equal((got["body"], got["properties"]), ("ü".encode(), {"headers": {"n": {"o": 1.5}}, "contentType": "c", "expiration": "60000"}),
              "by AMQP")


@case
def dead_letters_of_amqp_messages():
    """A dead letter keeps the publisher's properties and says in `x-death` what happened."""
    with peer() as p:
        p.channel()
        dead = p.queue(1)
        queue = p.queue(1, arguments={"x-message-ttl": 50, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
        p.publish(1, queue, b"body", properties={"headers": {"n": 1}, "messageId": "m", "expiration": "60000"})
        got = eventually(lambda: p.get(1, dead), what="the dead letter")
        death = got["properties"]["headers"]["x-death"][0]
        equal((death["queue"], death["reason"], death["count"], death["exchange"], death["routing-keys"], death["original-expiration"]),
              (queue, "expired", 1, "", [queue], "60000"), "the death")
        equal((got["body"], got["properties"]["messageId"], got["properties"]["headers"]["n"]), (b"body", "m", 1), "the message")
        assert "expiration" not in got["properties"], got
