"""Limits by topic, by memory and by time, each reached: what is told, that it stays bounded, and that there is room again."""

import contextlib
import json
import tempfile
import time

from amqp_driver import Peer
from escapement_driver import ConnectionClosed, equal, eventually, topic_row
from http_client import HttpClient
from suite import case, own

HOUR_MS = 3_600_000
KIB = 1 << 10
MIB = 1 << 20


@case
def pending_messages_of_a_topic_are_bounded():
    """`limit_exceeded`: `--max-topic-pending` messages are pending in one topic; other topics do not feel it."""
    client = own("--max-topic-pending", 3).client()
    for n in range(3):
        client.ok("schedule", topic="t", id=f"m{n}", body=n, delayMs=HOUR_MS)
    reply = client.refused("limit_exceeded", "schedule", topic="t", body=1, delayMs=HOUR_MS)
    assert "3" in reply["message"], f"the message names the bound: {reply!r}"
    client.refused("limit_exceeded", "scheduleMany", topic="t", messages=[{"body": 1, "delayMs": HOUR_MS}])
    client.refused("limit_exceeded", "scheduleMany", topic="new", messages=[{"body": 1, "delayMs": HOUR_MS}] * 4)
    equal(client.ok("schedule", topic="t", id="m1", body=1, delayMs=1)["outcome"], "kept")
    equal(client.ok("schedule", topic="t", id="m1", body=1, delayMs=HOUR_MS, ifExists="replace")["outcome"], "replaced")
    equal(client.ok("reschedule", topic="t", id="m1", delayMs=2 * HOUR_MS)["outcome"], "rescheduled")
    client.ok("schedule", topic="other", body=1, delayMs=HOUR_MS)
    client.ok("publish", topic="t", body=1)
    client.ok("cancel", topic="t", id="m0")
    client.ok("schedule", topic="t", id="m3", body=1, delayMs=HOUR_MS)
    client.ok("schedule", topic="t", id="m2", body=1, delayMs=1, ifExists="replace")
    eventually(lambda: topic_row(client, "t")["pending"] == 2, what="a release")
    client.ok("schedule", topic="t", body=1, delayMs=HOUR_MS)


@case
def bytes_of_pending_messages_of_a_topic_are_bounded():
    """`limit_exceeded`: pending messages of one topic have `--max-topic-pending-bytes`; also after a crash, and until some go."""
    server = own("--max-topic-pending-bytes", 100 * KIB)
    client = server.client()
    body = "x" * (10 * KIB)
    # One topic's are in memory, the other's on disk.
    for topic, delay_ms in (("t0", 60_000), ("t1", HOUR_MS)):
        for n in range(9):
            client.ok("schedule", topic=topic, id=f"m{n}", body=body, delayMs=delay_ms)
        client.refused("limit_exceeded", "schedule", topic=topic, body=body, delayMs=HOUR_MS)
        client.refused("limit_exceeded", "scheduleMany", topic=topic, messages=[{"body": body, "delayMs": HOUR_MS}])
        client.refused("limit_exceeded", "schedule", topic=topic, id="m1", body=body * 2, delayMs=HOUR_MS, ifExists="replace")
    server.restart()
    server.stop()
    server.start()
    client = server.client()
    for topic in ("t0", "t1"):
        client.refused("limit_exceeded", "schedule", topic=topic, body=body, delayMs=HOUR_MS)
        for n in range(9):
            equal(client.ok("cancel", topic=topic, id=f"m{n}")["outcome"], "cancelled")
        for n in range(9):
            client.ok("schedule", topic=topic, body=body, delayMs=HOUR_MS)
        client.refused("limit_exceeded", "schedule", topic=topic, body=body, delayMs=HOUR_MS)


@case
def topics_and_groups_are_bounded():
    """`limit_exceeded`: `--max-topics` topics, `--max-groups` groups; deleting a topic makes room for both."""
    client = own("--max-topics", 2, "--max-groups", 2).client()
    client.ok("publish", topic="a", body=1)
    client.ok("createTopic", topic="b")
    for op, fields in (("publish", {"body": 1}), ("schedule", {"body": 1, "delayMs": 1}), ("createTopic", {})):
        assert "2" in client.refused("limit_exceeded", op, topic="c", **fields)["message"]
    client.ok("fetch", topic="a", group="g1")
    client.ok("seek", topic="b", group="g2", to="latest")
    client.refused("limit_exceeded", "fetch", topic="a", group="g3")
    client.refused("limit_exceeded", "subscribe", topic="a", group="g3")
    client.ok("fetch", topic="a", group="g1")
    client.ok("deleteTopic", topic="b")
    client.ok("fetch", topic="a", group="g3")
    client.ok("publish", topic="c", body=1)


@case
def exchanges_and_bindings_are_bounded():
    """`limit_exceeded`: `--max-exchanges` and `--max-bindings` of the RabbitMQ front end; a deletion makes room."""
    client = own("--max-exchanges", 10, "--max-bindings", 2).client()
    client.ok("rabbitmq.queueDeclare", queue="q", durable=True)
    made = 0
    while (reply := client.call("rabbitmq.exchangeDeclare", exchange=f"e{made}", type="fanout"))["ok"]:
        made += 1
    equal(reply["error"], "limit_exceeded")
    assert 0 < made < 10, made
    for key in ("a", "b"):
        client.ok("rabbitmq.queueBind", queue="q", exchange="amq.direct", routingKey=key)
    client.refused("limit_exceeded", "rabbitmq.queueBind", queue="q", exchange="amq.direct", routingKey="c")
    client.ok("rabbitmq.queueUnbind", queue="q", exchange="amq.direct", routingKey="a")
    client.ok("rabbitmq.queueBind", queue="q", exchange="amq.direct", routingKey="c")
    client.ok("rabbitmq.exchangeDelete", exchange="e0")
    client.ok("rabbitmq.exchangeDeclare", exchange="other", type="fanout")


@case
def memory_is_bounded():
    """`busy`: new messages are refused while what is in memory is beyond `--max-memory-bytes`; all else goes on."""
    server = own("--max-memory-bytes", 32 * MIB, "--http", "127.0.0.1:0", "--cache-bytes", 1 * MIB)
    client = server.client()
    http = HttpClient(server.address_for("HTTP"))
    body = "x" * (200 * KIB)
    accepted = 0

    def fill():
        nonlocal accepted
        reply = client.call("schedule", topic="t", id=f"m{accepted}", body=body, delayMs=50_000)
        accepted += reply["ok"]
        return reply

    reply = eventually(lambda: next((reply for reply in [fill()] if not reply["ok"]), None), what="the bound")
    equal(reply["error"], "busy")
    assert 100 < accepted < 1_000, f"{accepted} messages were accepted"
    for op, fields in (("publish", {"body": 1}), ("scheduleMany", {"messages": [{"body": 1, "delayMs": 5}]})):
        equal(client.call(op, topic="t", **fields).get("error"), "busy", op)
    equal(http.refused("publish", topic="t", body=1), (429, "busy"))
    equal(client.ok("stats")["memoryFull"], 1)
    client.ok("ping")
    equal(client.ok("get", topic="t", id="m1")["state"], "pending")
    for n in range(accepted):
        equal(client.ok("cancel", topic="t", id=f"m{n}")["outcome"], "cancelled")
    eventually(lambda: client.call("publish", topic="t", body=1)["ok"], what="room after messages have gone")
    equal(client.ok("stats")["memoryFull"], 0)


@case
def a_line_must_come_in_whole_in_time():
    """A line that does not come in whole in `--request-timeout-ms` is refused and the connection closed, however it drips."""
    server = own("--request-timeout-ms", 400)
    slow, dripping, good = server.client(), server.client(), server.client()
    slow.send_raw(b'{"op":"pi')
    dripping.ok("ping")
    end = time.monotonic() + 20
    with contextlib.suppress(ConnectionClosed):
        while dripping.poll(0) is None and time.monotonic() < end and not dripping.ended:
            dripping.send_raw(b" ")
            time.sleep(0.02)
    equal(slow.recv()["error"], "bad_request")
    slow.closed()
    assert time.monotonic() < end, "the one that drips was not closed"
    # Lines in pieces are fine, and so is resting between lines.
    for _ in range(8):
        line = good.line("ping", {"rid": 1})
        good.send_raw(line[:7])
        time.sleep(0.1)
        good.send_raw(line[7:])
        equal(good.recv()["ok"], True)
    time.sleep(0.6)
    good.ok("ping")


@case
def whoever_was_told_to_go_is_cut_off():
    """After a refusal that closes, a client that keeps its end open is cut off after `--request-timeout-ms`."""
    server = own("--request-timeout-ms", 300)
    client = server.client()
    client.send_raw(b"no json\n")
    equal(client.recv()["error"], "bad_json")
    other = server.client()
    eventually(lambda: other.ok("stats")["connections"] == 1, what="the end of the connection")


@case
def a_connection_that_rests_is_closed_when_that_is_wanted():
    """With `--line-idle-timeout-ms` a connection that sends nothing is closed, unless it waits for messages."""
    server = own("--line-idle-timeout-ms", 400)
    idle, subscribed, fetching = server.client(), server.client(), server.client()
    subscribed.ok("subscribe", topic="t", group="g")
    rid = fetching.send("fetch", topic="t", group="other", waitMs=3_000)
    idle.ok("ping")
    idle.closed()
    time.sleep(1.0)
    publisher = server.client()
    publisher.ok("publish", topic="t", body=1)
    equal(subscribed.event()["body"], 1)
    equal(len(fetching.reply(rid)["messages"]), 1)


@case
def strangers_send_short_bodies():
    """By HTTP, too, whoever has not said who he is sends 8 192 bytes at most."""
    with tempfile.NamedTemporaryFile("w", suffix=".tokens") as file:
        file.write("open-sesame\n")
        file.flush()
        server = own("--token-file", file.name, "--http", "127.0.0.1:0")
    request = json.dumps({"op": "publish", "topic": "t", "body": "x" * 300_000}).encode()
    stranger = HttpClient(server.address_for("HTTP"))
    stranger.send(f"POST /v1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(request)}\r\n\r\n".encode() + request[:20_000])
    response = stranger.response()
    equal((response.status, json.loads(response.body)["error"]), (413, "line_too_long"))
    equal(stranger.response(), None)
    known = HttpClient(server.address_for("HTTP"), ["Authorization: Bearer open-sesame"])
    equal(known.request("POST", "/v1", request).status, 200)


@case
def a_message_by_amqp_is_bounded():
    """A message by AMQP that is larger than `--max-amqp-message-bytes` closes its channel with 406; a smaller one is taken."""
    server = own("--max-amqp-message-bytes", 1_000)
    with Peer(server.amqp_port) as peer:
        channel = peer.channel()
        peer.queue(channel, "q")
        peer.publish(channel, "q", b"x" * 1_000)
        equal(peer.get(channel, "q")["body"], b"x" * 1_000)
        peer.publish(channel, "q", b"x" * 1_001)
        peer.channel_closed(406, "larger than configured max size 1000")


@case
def the_reply_to_a_fetch_is_bounded():
    """A fetch ends with the message that reaches `--max-fetch-bytes`; the next one goes on from there."""
    client = own("--max-fetch-bytes", 10_000).client()
    for n in range(10):
        client.ok("publish", topic="t", body="x" * 3_000 + str(n))
    counts = []
    while sum(counts) < 10:
        counts.append(len(client.ok("fetch", topic="t", group="g", max=1_000)["messages"]))
        assert counts[-1] > 0, counts
    equal(counts, [4, 4, 2])


@case
def undecided_transactions_are_bounded():
    """`limit_exceeded`: half messages beyond `--max-transaction-bytes`; a decision makes room."""
    client = own("--max-transaction-bytes", 10_000).client()
    fields = {"topic": "t", "producerGroup": "p", "body": "x" * 3_000}
    open_ones = []
    while (reply := client.call("rocketmq.sendHalf", **fields))["ok"]:
        open_ones.append(reply["transactionId"])
        assert len(open_ones) < 10, "nothing is bounded"
    equal((reply["error"], len(open_ones)), ("limit_exceeded", 3))
    client.ok("rocketmq.endTransaction", transactionId=open_ones[0], state="ROLLBACK")
    client.ok("rocketmq.sendHalf", **fields)
    client.refused("limit_exceeded", "rocketmq.sendHalf", **fields)


@case
def what_is_on_the_way_to_the_disk_is_bounded():
    """With `--max-in-flight-bytes` as small as it may be, nothing is read for a while and everything is done, in its order."""
    client = own("--max-in-flight-bytes", 65_536).client()
    lines = [("publish", {"topic": "t", "body": "x" * 20_000, "acks": "memory"}) for _ in range(200)]
    rids = client.send_many(lines)
    equal([client.reply(rid)["offset"] for rid in rids], list(range(200)))
