"""RocketMQ's remoting protocol: idle polls, clients that do not read, bounds, and requests with bytes changed."""

import os
import time

import remoting_driver as wire
from escapement_driver import equal, unique
from remoting_basics import FLAGS, peer, server
from remoting_driver import Ended, messages
from suite import case, own, randomness

SESSIONS = int(os.environ.get("ESCAPEMENT_REMOTING_SESSIONS", "200"))


def processor_s(one):
    """Processor time of the server so far."""
    with open(f"/proc/{one.process.pid}/stat", "rb") as file:
        fields = file.read().rsplit(b")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@case
def idle_polls():
    """A thousand pulls that wait cost no processor time, and one message answers those that it concerns."""
    one, topic = server(), unique("t")
    peers = [peer(one) for _ in range(50)]
    waiting = [[p.send(wire.PULL, p.pull_fields(topic, queue=number % 4, wait_ms=60_000)) for number in range(20)] for p in peers]
    for p in peers:
        p.ok(wire.ROUTE, {"topic": topic})
    before = processor_s(one)
    time.sleep(3)
    assert processor_s(one) - before < 0.1, f"{processor_s(one) - before} s of processor time in 3 s"
    peers[0].publish(topic, b"wake", queue=2)
    for p, numbers in zip(peers, waiting):
        for number in numbers[2::4]:
            equal([m["body"] for m in messages(p.response(number, 20).body)], [b"wake"], "what came")
    peers[1].quiet(0.2)
    for p in peers:
        p.close()


@case
def too_many_polls():
    """A connection can have 1024 pulls that wait; one more is refused as busy, and the others go on."""
    one, topic = server(), unique("t")
    with peer(one) as p:
        numbers = [p.send(wire.PULL, p.pull_fields(topic, wait_ms=60_000)) for _ in range(1025)]
        equal(p.response(numbers[-1]).code, 2, "the one too many")
        p.publish(topic, b"x")
        for number in numbers[:-1]:
            equal(p.response(number).code, 0, "one that waited")


@case(limit_s=120)
def slow_readers():
    """A client that does not read its answers is held back; what it asked comes when it reads, and others are served meanwhile."""
    one, topic = own(*FLAGS, "--max-unsent-bytes", "1000000"), unique("t")
    with peer(one) as p, peer(one) as slow:
        body = os.urandom(50_000)
        for _ in range(40):
            p.publish(topic, body)
        numbers = [slow.send(wire.PULL, slow.pull_fields(topic, maximum=4)) for _ in range(300)]
        for _ in range(5):
            equal(len(p.pull(topic, maximum=1)[2]), 1, "another client")
        with open(f"/proc/{one.process.pid}/statm") as file:
            resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        assert resident < 300 << 20, f"{resident >> 20} MiB are resident"
        for number in numbers:
            equal(len(slow.response(number).body) // 50_000, 4, "messages of an answer")


@case
def large_messages():
    """A body may be as large as the server allows; a larger one has code 13, and a frame beyond all bounds ends the connection."""
    one, topic = own(*FLAGS, "--max-body-bytes", "100000"), unique("t")
    with peer(one) as p:
        body = os.urandom(100_000)
        p.publish(topic, body)
        equal(p.call(wire.SEND, p.publish_fields(topic), body + b"x").code, 13, "a larger body")
        equal([m["body"] for m in p.pull(topic)[2]], [body], "what was kept")
        for text, code in ((wire.properties(TAGS="t" * 129), 13), (wire.properties(p="v" * 32_000), 0), (wire.properties(p="v" * 33_000), 13)):
            equal(p.call(wire.SEND, p.publish_fields(topic, text=text), b"x").code, code, "the answer")
        equal(p.call(wire.SEND, p.publish_fields("no/name"), b"x").code, 1, "a name that is none")
    with peer(one) as p:
        try:
            p.raw(wire.frame(wire.SEND, 1, p.publish_fields(topic), b"x" * (8 << 20)))
            p.read(time.monotonic() + 10)
            raise AssertionError("it was answered")
        except (Ended, ConnectionError):
            pass


@case(limit_s=170)
def spoiled_requests():
    """Requests with bytes changed, left out, doubled and moved: the server lives, and a client that behaves is served."""
    random = randomness()
    one, topic = server(), unique("t")
    with peer(one) as good:
        good.publish(topic, b"kept")
        requests = [
            (wire.ROUTE, {"topic": topic}, b""), (wire.SEND, good.publish_fields(topic, text=wire.properties(TAGS="A", DELAY="1")), b"body"),
            (wire.PULL, good.pull_fields(topic, wait_ms=50), b""), (wire.MEMBERS, {"consumerGroup": "g"}, b""),
            (wire.SEND_BATCH, {wire.V2[n]: v for n, v in good.publish_fields(topic).items()}, wire.batch((b"a", "x\x01y\x02"), (b"b", ""))),
            (wire.HEARTBEAT, {}, b'{"clientID":"c","consumerDataSet":[{"groupName":"g","subscriptionDataSet":[]}]}'),
            (wire.LOCK, {}, b'{"consumerGroup":"g","clientId":"c","mqSet":[{"topic":"t","brokerName":"b","queueId":0}]}'),
            (wire.SEND_BACK, {"offset": 1 << 40, "group": "g", "delayLevel": 0}, b""),
            (wire.END_TRANSACTION, {"commitLogOffset": 1 << 62, "commitOrRollback": 8}, b""),
        ]
        for _ in range(SESSIONS):
            data = bytearray()
            for _ in range(random.randint(1, 6)):
                code, fields, body = random.choice(requests)
                data += wire.frame(code, random.getrandbits(31), fields, body, random.choice((0, 0, 2)), random.random() < 0.5)
            for _ in range(random.randint(1, 4)):
                at = random.randrange(len(data)) if data else 0
                kind = random.randrange(5)
                if kind == 0 and data:
                    data[at] ^= 1 << random.randrange(8)
                elif kind == 1 and data:
                    data[at] = random.choice((0, 0xFF, 0x7F, 0x80, 0x22))
                elif kind == 2:
                    del data[at:at + random.randint(1, 8)]
                elif kind == 3:
                    data[at:at] = random.randbytes(random.randint(1, 8))
                else:
                    del data[at:]
            with peer(one) as p:
                try:
                    p.raw(bytes(data))
                except ConnectionError:
                    pass
        assert one.alive(), "the server died"
        equal(good.pull(topic)[2][0]["body"], b"kept", "the one who behaves")
        offset = int(good.publish(topic, b"last")["queueOffset"])
        equal(good.pull(topic, offset=offset)[2][0]["body"], b"last", "its message")
