"""RocketMQ's remoting protocol: frames, routes, sending in its three forms, pulling, offsets, members."""

import json
import struct
import time

import remoting_driver as wire
from escapement_driver import equal, eventually, now_ms, unique
from remoting_driver import Ended, Peer, messages
from suite import case, own

FLAGS = ("--rocketmq", "127.0.0.1:0")


def server():
    return own(*FLAGS, "--delay-levels", "1s 1s 1s 1s 1s 2s")


def port(one):
    return one.address_for("RocketMQ")[1]


def peer(one, **options):
    return Peer(port(one), **options)


@case
def routes():
    """A route names this server with the queues of the topic, for any topic that may come into being, for TBW102 and for retries."""
    one = server()
    with peer(one) as p:
        for topic, queues in ((unique("t"), 4), ("TBW102", 4), ("%RETRY%g", 1)):
            route = json.loads(p.ok(wire.ROUTE, {"topic": topic}).body)
            equal(route["brokerDatas"], [{"brokerAddrs": {"0": f"127.0.0.1:{port(one)}"}, "brokerName": wire.BROKER,
                                          "cluster": "DefaultCluster"}], "the brokers")
            equal(route["queueDatas"], [{"brokerName": wire.BROKER, "perm": 6, "readQueueNums": queues, "writeQueueNums": queues,
                                         "topicSynFlag": 0}], f"the queues of {topic}")


@case
def no_auto_create():
    """With auto-create off an unknown topic has code 17, at a route, a send and a pull; retries of a group are there."""
    one = own(*FLAGS, "--auto-create", "off", "--rocketmq-queues", "2")
    topic = unique("t")
    with peer(one) as p:
        equal(p.call(wire.ROUTE, {"topic": topic}).code, 17, "the route")
        equal(p.call(wire.SEND, p.publish_fields(topic), b"x").code, 17, "the send")
        equal(p.pull(topic)[0], 17, "the pull")
        p.ok(wire.ROUTE, {"topic": "%RETRY%g"})
        p.ok(wire.CREATE_TOPIC, {"topic": topic, "defaultTopic": "TBW102", "readQueueNums": 3, "writeQueueNums": 3, "perm": 6})
        equal(json.loads(p.ok(wire.ROUTE, {"topic": topic}).body)["queueDatas"][0]["readQueueNums"], 3, "queues that were asked for")
        p.publish(topic, queue=2)
        equal(p.call(wire.SEND, p.publish_fields(topic, queue=3), b"x").code, 1, "a queue that is not there")
        one.client().ok("createTopic", topic=topic + "n")
        equal(json.loads(p.ok(wire.ROUTE, {"topic": topic + "n"}).body)["queueDatas"][0]["readQueueNums"], 2, "queues by the setting")


@case
def sends_and_pulls():
    """A message comes back from its queue with everything it was sent with; queues have offsets of their own, without gaps."""
    one, topic = server(), unique("t")
    with peer(one) as p:
        before = now_ms()
        for number in range(12):
            got = p.publish(topic, b"%d" % number, queue=number % 3, TAGS="A", KEYS="k1 k2", UNIQ_KEY=f"U{number}", WAIT="true",
                            mine="é\"\\", more={"flag": 7, "bornTimestamp": 1234567890123})
            equal((got["queueId"], got["queueOffset"]), (str(number % 3), str(number // 3)), "queue and offset")
            equal(len(got["msgId"]), 32, "digits of the id")
        for queue in range(3):
            code, after, found = p.pull(topic, queue=queue)
            equal((code, after), (0, 4), "the pull")
            equal([m["body"] for m in found], [b"%d" % n for n in range(queue, 12, 3)], "the bodies of a queue")
            equal([m["offset"] for m in found], [0, 1, 2, 3], "their offsets")
            for m in found:
                equal((m["topic"], m["queue"], m["flag"], m["born"], m["times"]), (topic, queue, 7, 1234567890123, 0), "fields")
                equal((m["born_host"], m["store_host"], m["store_port"]), ("127.0.0.1", "127.0.0.1", port(one)), "hosts")
                assert before <= m["stored"] <= now_ms(), m["stored"]
                equal(m["properties"], {"TAGS": "A", "KEYS": "k1 k2", "UNIQ_KEY": f"U{int(m['body'])}", "mine": "é\"\\"}, "properties")
        equal(p.pull(topic, queue=3)[0], 19, "an empty queue")
        equal(p.call(wire.PULL, p.pull_fields(topic, queue=4)).code, 1, "a queue that is not there")
        # Queue 1 from its third message on, one at a time.
        equal([m["body"] for m in p.pull(topic, queue=1, offset=2, maximum=1)[2]], [b"7"], "one message")


@case
def forms_of_sending():
    """V2 with its letters, batches by their code and by their field, and headers in RocketMQ's own layout."""
    one, topic = server(), unique("t")
    with peer(one) as p, peer(one, binary=True) as q:
        p.publish(topic, b"v2", code=wire.SEND_V2, TAGS="T")
        parts = wire.batch((b"b1", wire.properties(TAGS="A", x="1")), (b"", wire.properties(TAGS="B")), (b"b3" * 999, ""))
        got = p.publish(topic, parts, code=wire.SEND_BATCH, more={"batch": "true"})
        equal((got["queueOffset"], len(got["msgId"].split(","))), ("1", 3), "the answer to a batch")
        p.publish(topic, wire.batch((b"c1", "")), more={"batch": "1"})
        answer = q.call(wire.SEND, q.publish_fields(topic, text=wire.properties(TAGS="Bin")), b"binary")
        equal((answer.code, answer.serialization, answer.fields["queueOffset"]), (0, 1, "5"), "the answer in the same layout")
        for reader in (p, q):
            got = reader.call(wire.PULL, reader.pull_fields(topic))
            found = messages(got.body)
            equal([m["body"] for m in found], [b"v2", b"b1", b"", b"b3" * 999, b"c1", b"binary"], "the bodies")
            equal([m["properties"] for m in found],
                  [{"TAGS": "T"}, {"TAGS": "A", "x": "1"}, {"TAGS": "B"}, {}, {}, {"TAGS": "Bin"}], "the properties")
        broken = parts[:-1]
        equal(p.call(wire.SEND_BATCH, {wire.V2[n]: v for n, v in p.publish_fields(topic).items()}, broken).code, 1, "a broken batch")
        equal(p.ok(wire.MAX_OFFSET, {"topic": topic, "queueId": 0}).fields["offset"], "6", "nothing of it was taken")


@case
def one_way():
    """A request that is one-way is done and not answered."""
    one, topic = server(), unique("t")
    with peer(one) as p:
        for number in range(3):
            p.send(wire.SEND, p.publish_fields(topic), b"%d" % number, flag=2)
        p.send(wire.PULL, p.pull_fields("", queue=9), flag=2)
        equal([m["body"] for m in p.collect(topic, 3, queues=1)], [b"0", b"1", b"2"], "what came")
        equal(len(p.responses), 0, "answers that nobody asked for")


@case
def unknown_codes():
    """A code that is not served is answered with 3 and words; the connection goes on."""
    one = server()
    with peer(one) as p:
        for code in (9999, 12, 307, -5):
            got = p.call(code, {"x": "y"})
            equal(got.code, 3, f"the answer to {code}")
            assert str(code) in got.remark, got.remark
        p.ok(wire.ROUTE, {"topic": "t"})
        got = p.call(wire.SEND, {"topic": "t"}, b"x")
        equal(got.code, 1, "a field is missing")
        assert "producerGroup" in got.remark, got.remark
        p.raw(wire.frame(0, 77, flag=1))
        p.ok(wire.ROUTE, {"topic": "t"})


@case
def delays():
    """Level, seconds, milliseconds and time of delivery: never early, with the real topic and queue and without delay properties."""
    one, topic = server(), unique("t")
    with peer(one) as p:
        due = {}
        for name, (text, least_ms) in {
            "level": ({"DELAY": "6"}, 2000), "seconds": ({"TIMER_DELAY_SEC": "1"}, 1000), "ms": ({"TIMER_DELAY_MS": "300"}, 300),
            "time": ({"TIMER_DELIVER_MS": str(now_ms() + 700)}, 0), "level 0": ({"DELAY": "0"}, 0),
            "high": ({"DELAY": "30", "TIMER_DELAY_MS": "1"}, 2000), "past": ({"TIMER_DELIVER_MS": "1"}, 0),
            "negative": ({"DELAY": "-1"}, 0),
        }.items():
            due[name] = (now_ms() + least_ms) if name != "time" else int(text["TIMER_DELIVER_MS"])
            got = p.publish(topic, name.encode(), queue=2, TAGS="D", **text)
            equal("recallHandle" in got, name not in ("level 0", "past", "negative"), f"a recall handle of {name}")
        found = p.collect(topic, len(due))
        for m in found:
            assert m["stored"] >= due[m["body"].decode()], f"{m['body']} came early"
            equal((m["queue"], m["properties"]), (2, {"TAGS": "D"}), "queue and properties")
        equal([m["offset"] for m in found], list(range(len(due))), "offsets in the order of release")
        for text in ({"TIMER_DELAY_SEC": str(1 << 40)}, {"DELAY": "soon"}):
            got = p.call(wire.SEND, p.publish_fields(topic, text=wire.properties(**text)), b"x")
            equal(got.code, 13, f"the answer to {text}")


@case
def long_polls():
    """A pull with nothing to give is held: until a message comes, or for its time and then code 19."""
    one, topic = server(), unique("t")
    with peer(one) as p, peer(one) as q:
        began = time.monotonic()
        code, after, found = p.pull(topic, queue=1, wait_ms=700)
        assert 0.65 < time.monotonic() - began < 5, time.monotonic() - began
        equal((code, after, found), (19, 0, []), "nothing came")
        waiting = [p.send(wire.PULL, p.pull_fields(topic, queue=queue, wait_ms=15_000)) for queue in range(4)]
        q.publish(topic, b"there", queue=3)
        got = p.response(waiting[3], 5)
        equal((got.code, [m["body"] for m in messages(got.body)]), (0, [b"there"]), "what came for one of them")
        p.quiet(0.3)
        q.publish(topic, b"later", queue=0, TIMER_DELAY_MS="300")
        began = time.monotonic()
        got = p.response(waiting[0], 5)
        assert time.monotonic() - began > 0.2, "early"
        equal([m["body"] for m in messages(got.body)], [b"later"], "what came late")


@case
def tags():
    """The broker filters by tags; a pull that finds none of its own goes on behind what it has passed."""
    one, topic = server(), unique("t")
    with peer(one) as p:
        for tag in "ABCAB":
            p.publish(topic, tag.encode(), TAGS=tag)
        p.publish(topic, b"none")
        equal([m["body"] for m in p.pull(topic, tags="A || C")[2]], [b"A", b"C", b"A"], "two tags")
        equal([m["body"] for m in p.pull(topic, tags="*")[2]], [b"A", b"B", b"C", b"A", b"B", b"none"], "all")
        equal(p.pull(topic, tags="Z")[:2], (19, 6), "none, and where to go on")
        waiting = p.send(wire.PULL, p.pull_fields(topic, tags="Z", wait_ms=10_000))
        p.publish(topic, b"y", TAGS="Y")
        p.publish(topic, b"z", TAGS="Z")
        got = p.response(waiting, 5)
        equal(([m["body"] for m in messages(got.body)], got.fields["nextBeginOffset"]), ([b"z"], "8"), "what it waited for")
        fields = {**p.pull_fields(topic), "expressionType": "SQL92", "subscription": "a > 1"}
        equal(p.call(wire.PULL, fields).code, 1, "a filter by SQL")


@case
def offsets():
    """Offsets of groups: 22 for a new group, kept by updates and by pulls, per queue, across kill -9; begin, end and time of queues."""
    one, topic = server(), unique("t")
    with peer(one) as p:
        stamps = []
        for number in range(5):
            p.publish(topic, b"%d" % number, queue=1)
            stamps.append(p.pull(topic, queue=1, offset=number)[2][0]["stored"])
            time.sleep(0.01)
        ask = {"consumerGroup": "g", "topic": topic, "queueId": 1}
        equal(p.call(wire.QUERY_OFFSET, ask).code, 22, "a new group")
        p.ok(wire.UPDATE_OFFSET, {**ask, "commitOffset": 3})
        equal(p.ok(wire.QUERY_OFFSET, ask).fields["offset"], "3", "what was kept")
        equal(p.call(wire.QUERY_OFFSET, {**ask, "queueId": 0}).code, 22, "another queue")
        equal(p.call(wire.QUERY_OFFSET, {**ask, "consumerGroup": "h"}).code, 22, "another group")
        p.pull(topic, queue=1, offset=4, commit=4, group="h")
        equal(p.ok(wire.MAX_OFFSET, {"topic": topic, "queueId": 1}).fields["offset"], "5", "the end")
        equal(p.ok(wire.MIN_OFFSET, {"topic": topic, "queueId": 1}).fields["offset"], "0", "the beginning")
        for number, stamp in enumerate(stamps):
            got = p.ok(wire.SEARCH, {"topic": topic, "queueId": 1, "timestamp": stamp}).fields["offset"]
            equal(got, str(number), "the offset by time")
        equal(p.ok(wire.SEARCH, {"topic": topic, "queueId": 1, "timestamp": now_ms() + 9999}).fields["offset"], "5", "later than all")
        equal(p.pull(topic, queue=1, offset=99)[:2], (21, 5), "an offset that is not there")
        p.publish(topic, b"again", queue=1)
    one.restart()
    with peer(one) as p:
        equal(p.ok(wire.QUERY_OFFSET, ask).fields["offset"], "3", "kept by an update")
        equal(p.ok(wire.QUERY_OFFSET, {**ask, "consumerGroup": "h"}).fields["offset"], "4", "kept by a pull")
        found = p.pull(topic, queue=1, offset=3)[2]
        equal([(m["offset"], m["body"]) for m in found], [(3, b"3"), (4, b"4"), (5, b"again")], "the rest of the queue")


@case
def queues_survive():
    """Offsets of queues stay what they were through checkpoints, sealed segments, trimmed ones and kill -9."""
    one = own(*FLAGS, "--segment-bytes", "65536", "--checkpoint-bytes", "65536")
    topic = unique("t")
    with peer(one) as p:
        one.client().ok("createTopic", topic=topic, retentionBytes=300_000)
        sent = {queue: [] for queue in range(4)}
        number = 0
        for round_number in range(3):
            for _ in range(300):
                queue = (number * 7) % 4 if number % 5 else 1
                body = b"%d " % number + b"x" * 600
                got = p.publish(topic, body, queue=queue)
                equal(int(got["queueOffset"]), len(sent[queue]), "the offset of a queue")
                sent[queue].append(body)
                number += 1
            p.close()
            one.restart()
            p = peer(one)
            for queue in range(4):
                first = int(p.ok(wire.MIN_OFFSET, {"topic": topic, "queueId": queue}).fields["offset"])
                equal(int(p.ok(wire.MAX_OFFSET, {"topic": topic, "queueId": queue}).fields["offset"]), len(sent[queue]), "the end")
                offset, found = first, []
                while offset < len(sent[queue]):
                    _, offset, got = p.pull(topic, queue=queue, offset=offset)
                    found += got
                equal([m["body"] for m in found], sent[queue][first:], f"queue {queue} in round {round_number}")
                equal([m["offset"] for m in found], list(range(first, len(sent[queue]))), "offsets without gaps")
        assert int(p.ok(wire.MIN_OFFSET, {"topic": topic, "queueId": 1}).fields["offset"]) > 0, "nothing was trimmed"
        p.close()


@case
def members():
    """Heartbeats make members of a group; each is told when others come and go, by unregistering or by the end of a connection."""
    one, topic = server(), unique("t")
    with peer(one) as p:
        equal(p.call(wire.MEMBERS, {"consumerGroup": "g"}).code, 1, "a group without members")
        p.heartbeat("c1", "g", [(topic, "*")])
        equal(p.members("g"), ["c1"], "the first member")
        equal(p.request().code, wire.CHANGED, "it is told of itself")
        p.heartbeat("c1", "g", [(topic, "*")])
        with peer(one) as q:
            q.heartbeat("c2", "g", [(topic, "*")])
            told = p.request()
            equal((told.code, told.fields, told.flag), (wire.CHANGED, {"consumerGroup": "g"}, 2), "it is told of another")
            equal(p.members("g"), ["c1", "c2"], "both")
            q.ok(wire.UNREGISTER, {"clientID": "c2", "producerGroup": "", "consumerGroup": "g"})
            equal(p.request().code, wire.CHANGED, "the other has left")
            equal(p.members("g"), ["c1"], "one is left")
            q.heartbeat("c2", "g", [(topic, "*")])
            equal(p.request().code, wire.CHANGED, "it is back")
        equal(p.request().code, wire.CHANGED, "its connection is gone")
        eventually(lambda: p.members("g") == ["c1"], what="one is left")


@case
def locks():
    """A queue is locked by one client of a group at a time; a refusal is answered a little later, so that clients do not spin."""
    one, topic = server(), unique("t")
    with peer(one) as p, peer(one) as q:
        p.publish(topic)
        equal(p.lock(wire.LOCK, "c1", "g", (topic, 0), (topic, 1)), [(topic, 0), (topic, 1)], "both queues")
        began = time.monotonic()
        equal(q.lock(wire.LOCK, "c2", "g", (topic, 1), (topic, 2)), [(topic, 2)], "the free one")
        assert time.monotonic() - began > 0.5, "a refusal came at once"
        equal(q.lock(wire.LOCK, "c2", "other", (topic, 1)), [(topic, 1)], "another group")
        equal(p.lock(wire.LOCK, "c1", "g", (topic, 0)), [(topic, 0)], "again by its holder")
        q.lock(wire.UNLOCK, "c2", "g", (topic, 0))
        equal(q.lock(wire.LOCK, "c2", "g", (topic, 0)), [], "nobody unlocks for another")
        p.lock(wire.UNLOCK, "c1", "g", (topic, 0), (topic, 1))
        equal(q.lock(wire.LOCK, "c2", "g", (topic, 0), (topic, 1)), [(topic, 0), (topic, 1)], "after unlocking")


@case
def advertised():
    """The address that clients are told can be said; messages and ids carry it, too."""
    one, topic = own(*FLAGS, "--rocketmq-advertise", "127.0.0.9:1234"), unique("t")
    with peer(one) as p:
        route = json.loads(p.ok(wire.ROUTE, {"topic": topic}).body)
        equal(route["brokerDatas"][0]["brokerAddrs"], {"0": "127.0.0.9:1234"}, "the address in the route")
        got = p.publish(topic)
        equal(got["msgId"][:16], (bytes([127, 0, 0, 9]) + struct.pack(">i", 1234)).hex().upper(), "the id")
        m = p.pull(topic)[2][0]
        equal((m["store_host"], m["store_port"], wire.message_id(m)), ("127.0.0.9", 1234, got["msgId"]), "the message")


@case
def garbage():
    """What is no frame closes its connection and harms no other; half a frame is waited for."""
    one, topic = server(), unique("t")
    with peer(one) as good:
        waiting = good.send(wire.PULL, good.pull_fields(topic, wait_ms=15_000))
        for data in (b"GET / HTTP/1.1\r\n\r\n", struct.pack(">iI", 2, 0), struct.pack(">iI", 20, 2 << 24 | 4) + b"x" * 16,
                     struct.pack(">iI", 12, 99), struct.pack(">iI", 1 << 30, 8), b"\xff" * 64,
                     struct.pack(">iI", 8, 4) + b"{\"a\"", wire.frame(105, 1, {"topic": "t"})[:-1] + b"]"):
            with peer(one) as p:
                p.raw(data)
                try:
                    p.read(time.monotonic() + 10)
                    raise AssertionError(f"{data!r} was answered")
                except Ended:
                    pass
        with peer(one) as p:
            whole = wire.frame(wire.ROUTE, 5, {"topic": "t"})
            for byte in whole[:-1]:
                p.raw(bytes([byte]))
            p.quiet(0.2)
            p.raw(whole[-1:])
            equal(p.response(5).code, 0, "the answer to a frame in pieces")
        good.publish(topic, b"fine")
        equal([m["body"] for m in messages(good.response(waiting).body)], [b"fine"], "the other connection")


@case
def where_clients_must_say_who_they_are():
    """Where the server asks who its clients are, this protocol is refused with code 16 and words."""
    import os
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        tokens = os.path.join(folder, "tokens")
        with open(tokens, "w") as file:
            file.write("secret\n")
        one = own(*FLAGS, "--token-file", tokens)
        with peer(one) as p:
            for code, fields in ((wire.ROUTE, {"topic": "t"}), (wire.SEND, p.publish_fields("t"))):
                got = p.call(code, fields)
                equal(got.code, 16, "the answer")
                assert "who its clients are" in got.remark, got.remark


@case
def shared_with_other_protocols():
    """The same messages by the line protocol and by this one: body, tag, key, headers; the topic's own offsets there."""
    one, topic = server(), unique("t")
    with peer(one) as p:
        client = one.client()
        p.publish(topic, b"wire", queue=2, TAGS="A", KEYS="k", __SHARDINGKEY="s", p="v")
        client.ok("publish", topic=topic, body={"a": 1}, tag="B", key="o", headers={"h": "1"})
        client.ok("rocketmq.send", topic=topic, body="text", tags="C", keys="k2")
        rows = client.ok("fetch", topic=topic, group="native")["messages"]
        equal([(row["offset"], row.get("tag")) for row in rows], [(0, "A"), (1, "B"), (2, "C")], "the whole topic")
        equal(rows[0]["key"], "s", "the sharding key")
        equal({name: rows[0]["headers"][name] for name in ("KEYS", "p")}, {"KEYS": "k", "p": "v"}, "the headers")
        found = p.pull(topic)[2]
        equal([(m["body"], m["offset"]) for m in found], [(b'{"a": 1}', 0), (b"text", 1)], "queue 0 has what chose no queue")
        equal([m["properties"] for m in found],
              [{"h": "1", "TAGS": "B", "__SHARDINGKEY": "o"}, {"KEYS": "k2", "TAGS": "C"}], "properties of others' messages")
        client.ok("deleteTopic", topic=topic)
        equal(p.ok(wire.MAX_OFFSET, {"topic": topic, "queueId": 0}).fields["offset"], "0", "after a deletion")


