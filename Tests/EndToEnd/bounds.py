"""Every bound of the server: what happens at it, and that nobody else feels it."""

import contextlib
import json
import os
import resource

from consuming import LONG_MS, offsets, publish_many
from escapement_driver import Client, equal, eventually, fetch_all, group_row, topic_row, unique
from http_client import HttpClient
from suite import case, own

HOUR_MS = 3_600_000
MIB = 1 << 20


def resident_bytes(server):
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@case
def pending_messages_are_bounded():
    """`limit_exceeded`: `--max-pending` pending messages, and there is room again when one has gone."""
    client = own("--max-pending", 10).client()
    for n in range(10):
        client.ok("schedule", topic="t", id=f"m{n}", body=n, delayMs=HOUR_MS)
    reply = client.refused("limit_exceeded", "schedule", topic="t", id="over", body=1, delayMs=HOUR_MS)
    assert "10" in reply["message"], f"the message names the bound: {reply!r}"
    client.refused("limit_exceeded", "scheduleMany", topic="t", messages=[{"body": 1, "delayMs": HOUR_MS}])
    equal(client.ok("schedule", topic="t", id="m3", body=1, delayMs=1)["outcome"], "kept", "an id that is there")
    equal(client.ok("schedule", topic="t", id="m3", body=1, delayMs=HOUR_MS, ifExists="replace")["outcome"], "replaced", "replaced")
    client.ok("publish", topic="t", body=1)
    client.ok("cancel", topic="t", id="m0")
    client.ok("schedule", topic="t", id="over", body=1, delayMs=HOUR_MS)
    client.ok("schedule", topic="t", id="m1", body=1, delayMs=0, ifExists="replace")
    eventually(lambda: topic_row(client, "t")["pending"] == 9, what="room after a release")
    client.ok("schedule", topic="t", body=1, delayMs=HOUR_MS)


@case
def connections_are_bounded():
    """`busy`: too many connections; the connection is closed, and there is room again when one has gone."""
    server = own("--max-connections", 5)
    clients = [server.client() for _ in range(5)]
    for client in clients:
        client.ok("ping")
    for _ in range(3):
        refused = Client(server.host, server.port)
        equal(refused.recv()["error"], "busy", "error")
        refused.closed()
    clients.pop().close()

    def served():
        with contextlib.suppress(Exception), Client(server.host, server.port) as client:
            return client.ok("ping")

    eventually(served, what="room after one has gone")


@case
def connections_from_one_address_are_bounded():
    """`busy`: too many connections from one address, whatever they speak; there is room again when one has gone."""
    server = own("--max-connections-per-address", 3, "--http", "127.0.0.1:0")
    address = server.address_for("HTTP")
    clients = [server.client(), server.client()]
    for client in clients:
        client.ok("ping")
    http = HttpClient(address)
    http.ok("ping")
    refused = Client(server.host, server.port)
    equal(refused.recv()["error"], "busy", "error")
    refused.closed()
    response = HttpClient(address).response()
    equal((response.status, json.loads(response.body)["error"]), (429, "busy"))
    clients.pop().close()

    def served():
        with contextlib.suppress(Exception), Client(server.host, server.port) as client:
            return client.ok("ping")

    eventually(served, what="room after one has gone")
    for client in clients:
        client.ok("ping")


@case
def the_limit_of_open_files_is_raised():
    """A shell's soft limit of open files does not bound the connections; the hard limit does."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    server = own()
    equal(resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE), (hard, hard), "soft and hard limit")


@case
def bodies_are_bounded():
    """`body_too_large`: the body is larger than allowed (`--max-body-bytes`); the connection stays open."""
    client = own("--max-body-bytes", 1_000).client()
    fits, over = "x" * 998, "x" * 999
    client.ok("publish", topic="t", body=fits)
    client.ok("schedule", topic="t", body=fits, delayMs=1)
    client.refused("body_too_large", "publish", topic="t", body=over)
    client.refused("body_too_large", "schedule", topic="t", body=over, delayMs=1)
    messages = [{"body": 1, "delayMs": 1}, {"body": over, "delayMs": 1}]
    assert "messages[1]" in client.refused("body_too_large", "scheduleMany", topic="t", messages=messages)["message"]
    equal(len(fetch_all(client, "t", "g", 2)), 2, "what was accepted")


@case
def a_full_disk_refuses_new_messages_only():
    """`disk_full`: new messages are refused until there is space; cancel, acknowledge and release go on."""
    server = own("--fsync", "always")
    client = server.client()
    client.ok("schedule", topic="t", id="cancelled", body=1, delayMs=HOUR_MS)
    client.ok("schedule", topic="t", id="moved", body=1, delayMs=HOUR_MS)
    publish_many(client, "t", 5)
    equal(len(client.ok("fetch", topic="t", group="g", max=2, ackWaitMs=LONG_MS)["messages"]), 2, "messages")
    server.stop()
    server.flags += ["--min-free-bytes", str(1 << 60)]
    server.start()
    client = server.client()
    for op, fields in (("schedule", {"body": 1, "delayMs": 5}), ("publish", {"body": 1}),
                       ("scheduleMany", {"messages": [{"body": 1, "delayMs": 5}]})):
        eventually(lambda: client.call(op, topic="t", **fields).get("error") == "disk_full", what=f"disk_full for {op}")
    equal(client.ok("cancel", topic="t", id="cancelled")["outcome"], "cancelled", "cancel")
    equal(client.ok("reschedule", topic="t", id="moved", delayMs=1)["outcome"], "rescheduled", "reschedule")
    before = topic_row(client, "t")["nextOffset"]
    eventually(lambda: client.ok("get", topic="t", id="moved")["state"] == "released", what="the release")
    messages = fetch_all(client, "t", "g", 3, ackWaitMs=LONG_MS)
    assert len(messages) >= 3, f"fetch: {messages!r}"
    equal(client.ok("nack", topic="t", group="g", offset=messages[0]["offset"], delayMs=0)["nacked"], 1, "nack")
    equal(fetch_all(client, "t", "g", 1)[0]["offset"] >= 0, True, "the refused one again")
    client.ok("ack", topic="t", group="g", upTo=before + 1)
    client.ok("subscribe", topic="t", group="other")
    equal(client.event()["offset"], 0, "another group")
    equal(client.ok("stats")["diskFull"], 1, "diskFull")
    client.ok("deleteTopic", topic="t")
    server.stop()
    server.flags = server.flags[:-2]
    server.start()
    client = server.client()
    client.ok("publish", topic="t", body=1)


@case
def subscriptions_of_a_connection_are_bounded():
    """`limit_exceeded`: thousands of subscriptions on one connection; one that ends makes room."""
    server = own()
    with server.client() as client:
        rids = client.send_many(("subscribe", {"topic": f"t{n % 10}", "group": f"g{n}"}) for n in range(2_000))
        replies = [client.reply(rid) for rid in rids]
        accepted = sum(reply["ok"] for reply in replies)
        equal(accepted, 1_024, "subscriptions")
        equal({reply["error"] for reply in replies if not reply["ok"]}, {"limit_exceeded"}, "errors")
        client.ok("unsubscribe", sub=replies[5]["sub"])
        client.ok("subscribe", topic="t", group="room")
        client.refused("limit_exceeded", "subscribe", topic="t", group="none")
    with server.client() as client:
        client.ok("subscribe", topic="t", group="other")


@case
def what_a_group_has_out_is_bounded():
    """A group holds at most `--max-outstanding` delivered and unfinished messages; then it gets nothing new until some are."""
    client = own("--max-outstanding", 50).client()
    publish_many(client, "t", 120)
    equal(offsets(client.ok("fetch", topic="t", group="g", max=1_000, ackWaitMs=LONG_MS)["messages"]), list(range(50)), "the first")
    equal(client.ok("fetch", topic="t", group="g", max=1_000)["messages"], [], "nothing more")
    equal(len(client.ok("fetch", topic="t", group="other", max=30)["messages"]), 30, "another group")
    client.ok("nack", topic="t", group="g", offset=7, delayMs=0)
    equal(offsets(client.ok("fetch", topic="t", group="g", waitMs=5_000)["messages"]), [7], "a redelivery is not new")
    client.ok("ack", topic="t", group="g", upTo=9)
    equal(offsets(client.ok("fetch", topic="t", group="g", max=1_000, ackWaitMs=LONG_MS)["messages"]), list(range(50, 60)), "more")


@case
def a_consumer_that_does_not_read_is_felt_by_nobody():
    """When a client does not read, the server stops delivering to it at `--max-unsent-bytes`; others do not feel it."""
    server = own("--max-unsent-bytes", 65_536)
    stuck, client, sender = server.client(), server.client(), server.client()
    stuck.shrink()
    for credit, group in ((65_536, "stuck"), (65_536, None)):
        stuck.ok("subscribe", topic="t", credit=credit, ackWaitMs=LONG_MS, **({"group": group} if group else {}))
    sub = client.ok("subscribe", topic="t", group="good", credit=1_000, ackWaitMs=LONG_MS)["sub"]
    pad, count = "x" * 60_000, 1_500
    before = resident_bytes(server)
    for n in range(count):
        sender.send("publish", topic="t", body=n, headers={"pad": pad}, acks="none")
        if n % 50 == 49:
            for event in client.take(50):
                client.send("ack", sub=sub, offset=event["offset"], acks="none")
    eventually(lambda: group_row(sender, "t", "good")["lag"] == 0, what="the good group at the end")
    assert group_row(sender, "t", "stuck")["inFlight"] < count, "the stuck one was not given everything"
    # 90 MB went by. The cache of the log may hold all of it; what waits for the stuck one may not come on top.
    grown = resident_bytes(server) - before
    assert grown < 2 * count * len(pad), f"the server grew by {grown >> 20} MiB"
    # It reads after all: everything comes, in order.
    seen = {}
    while min(len(seen.get(number, ())) for number in (1, 2)) < count:
        event = stuck.event()
        seen.setdefault(event["sub"], []).append(event["offset"])
    equal(seen, {1: list(range(count)), 2: list(range(count))}, "offsets of the one that was stuck")


@case
def a_backlog_of_large_messages_is_given_piece_by_piece():
    """Memory for unsent bytes is bounded, however large the messages of a backlog and however large the credit."""
    server = own("--max-unsent-bytes", 65_536, "--cache-bytes", 16 * MIB)
    sender = server.client()
    pad, count = "x" * 500_000, 300
    for n in range(count):
        sender.ok("publish", topic="t", body=n, headers={"pad": pad}, acks="memory")
    eventually(lambda: sender.ok("stats")["cacheBytes"] < 48 * MIB, what="the cache within its bound")
    before = resident_bytes(server)
    stuck = [server.client() for _ in range(3)]
    for n, client in enumerate(stuck):
        client.shrink()
        client.ok("subscribe", topic="t", group=f"g{n}", credit=65_536, ackWaitMs=LONG_MS)
        for rid in range(3):
            client.send("fetch", topic="t", group=f"f{n}", max=1_000, ackWaitMs=LONG_MS)
    for _ in range(50):
        sender.ok("ping")
    grown = resident_bytes(server) - before
    assert grown < 100 * MIB, f"the server grew by {grown >> 20} MiB for {count * len(pad) >> 20} MiB of backlog"
    messages = fetch_all(sender, "t", "large", count)
    equal(offsets(messages), list(range(count)), "what a reader gets by fetching")
    for client in stuck[:1]:
        equal(offsets(client.take(count)), list(range(count)), "what a subscriber gets")


@case
def replies_that_nobody_reads_are_bounded():
    """`--max-unsent-bytes`: a client that asks and does not read is not read any more, until it does."""
    server = own("--max-unsent-bytes", 65_536)
    client, other = server.client(), server.client()
    other.ok("schedule", topic=unique(), body=1, delayMs=HOUR_MS)
    other.ok("schedule", topic="t", id="big", body="x" * 60_000, delayMs=HOUR_MS)
    before = resident_bytes(server)
    line = client.line("get", {"topic": "t", "id": "big"})
    client.socket.setblocking(True)
    client.socket.settimeout(1.0)
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < 200_000 * len(line):
            sent += client.socket.send(line * 100)
    grown = resident_bytes(server) - before
    assert grown < 64 * MIB, f"the server grew by {grown >> 20} MiB"
    other.ok("ping")
    client.socket.setblocking(False)
    for _ in range(100):
        equal(len(client.recv()["body"]), 60_000, "a reply")
    client.close()
    other.ok("ping")


@case
def messages_larger_than_a_record():
    """`body_too_large`: what does not fit into a record of the journal, however long lines may be."""
    client = own("--max-line-bytes", 64 * MIB).client()
    message = {"body": "x" * (11 * MIB), "delayMs": HOUR_MS}
    client.refused("body_too_large", "publish", topic="t", body="x" * (21 * MIB))
    client.refused("body_too_large", "scheduleMany", topic="t", messages=[message, message])
    equal(client.ok("publish", topic="t", body="x" * (19 * MIB))["offset"], 0, "a large one")
