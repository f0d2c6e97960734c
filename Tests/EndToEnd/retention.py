"""Retention: what goes, when, and what those who were slower are told (`truncated`); the end of a topic (`ended`)."""

import time

from consuming import LONG_MS, offsets, publish_many
from durability import after_each_ending
from escapement_driver import equal, eventually, fetch_all, group_row, now_ms, topic_row
from suite import case, own

PAD = "x" * 200
SMALL = ("--segment-bytes", 16_384)


def overtaken(server, client, group="slow", **fields):
    """A group that has one message of many and is then overtaken by retention; gives (client of the group, sub)."""
    member = server.client()
    sub = member.ok("subscribe", topic="t", credit=1, ackWaitMs=LONG_MS, **({"group": group} if group else {}), **fields)["sub"]
    publish_many(client, "t", 100, headers={"pad": PAD})
    equal(member.event()["offset"], 0, "the first message")
    return member, sub


def check_truncated(member, sub, lost_from):
    """The next event tells of the gap, and the message behind it follows."""
    gap = member.event()
    equal([gap.get(name) for name in ("event", "sub", "topic", "fromOffset")], ["truncated", sub, "t", lost_from], f"{gap!r}")
    following = member.event()
    equal((following["event"], following["offset"]), ("message", gap["toOffset"]), "the message behind the gap")
    assert gap["toOffset"] > lost_from, f"a gap that is none: {gap!r}"
    return gap


@case
def a_slow_group_is_told_what_bytes_took():
    """`truncated`: retention by bytes took messages [from, to) before this subscription had them."""
    server = own(*SMALL)
    client = server.client()
    client.ok("createTopic", topic="t", retentionBytes=65_536)
    member, sub = overtaken(server, client)
    publish_many(client, "t", 1_500, headers={"pad": PAD})
    first = eventually(lambda: topic_row(client, "t")["firstOffset"], what="the end of the oldest messages")
    member.ok("ack", sub=sub, offset=0)
    gap = check_truncated(member, sub, 1)
    assert gap["toOffset"] >= first, f"what was dropped is not delivered: {gap!r}"
    equal(group_row(client, "t", "slow")["inFlight"], 1, "inFlight")


@case
def a_slow_group_is_told_what_age_took():
    """`truncated`: retention by age took messages [from, to) before this subscription had them."""
    server = own(*SMALL)
    client = server.client()
    client.ok("createTopic", topic="t", retentionMs=1_000)
    member, sub = overtaken(server, client)
    eventually(lambda: topic_row(client, "t")["firstOffset"] == 100, what="the end of the old messages")
    equal(member.ok("ack", sub=sub, offset=0)["acked"], 1, "acked")
    equal(client.ok("publish", topic="t", body=1)["offset"], 100, "the next offset")
    gap = check_truncated(member, sub, 1)
    equal(gap["toOffset"], 100, "the end of the gap")


@case
def every_member_is_told():
    """`truncated` comes to each subscription of the group, and a fetch goes on behind the gap."""
    server = own(*SMALL)
    client = server.client()
    client.ok("createTopic", topic="t", retentionMs=1_000)
    publish_many(client, "t", 5)
    client.ok("seek", topic="t", group="g", to="earliest")
    client.ok("seek", topic="t", group="fetching", to={"offset": 2})
    eventually(lambda: topic_row(client, "t")["firstOffset"] == 5, what="the end of the old messages")
    publish_many(client, "t", 1)
    equal(offsets(fetch_all(client, "t", "fetching", 1)), [5], "what the fetch gives")
    members = [server.client() for _ in range(2)]
    for member in members:
        member.ok("subscribe", topic="t", group="g", credit=1)
    gap = members[0].event()
    equal((gap["event"], gap["fromOffset"], gap["toOffset"]), ("truncated", 0, 5), "the first member's")
    equal(client.ok("seek", topic="t", group="g", to={"offset": 0})["offset"], 5, "a seek below the first offset")


@case
def messages_stay_as_long_as_they_must():
    """A message stays at least as long as it must, and at most about a quarter longer."""
    server = own(*SMALL)
    client = server.client()
    keep_ms = 4_000
    client.ok("createTopic", topic="t", retentionMs=keep_ms)
    client.ok("publish", topic="t", body=1)
    published = now_ms()
    while (row := topic_row(client, "t"))["firstOffset"] == 0:
        assert now_ms() - published < 10 * keep_ms, "the message is never dropped"
        time.sleep(0.02)
        seen_ms = now_ms() - published
    assert seen_ms >= keep_ms - 100, f"dropped after {seen_ms} ms: {row!r}"


@case
def a_gap_is_told_after_a_restart():
    """`truncated` after a crash and after a stop: the group's position outlives what retention takes."""
    server = own(*SMALL)
    client = server.client()
    client.ok("createTopic", topic="t", retentionMs=1_000)
    member, _ = overtaken(server, client)
    member.close()
    eventually(lambda: topic_row(client, "t")["firstOffset"] == 100, what="the end of the old messages")
    for _, client in after_each_ending(server):
        equal(topic_row(client, "t")["firstOffset"], 100, "firstOffset")
    client.ok("publish", topic="t", body=1)
    sub = client.ok("subscribe", topic="t", group="slow", credit=1, ackWaitMs=LONG_MS)["sub"]
    equal(check_truncated(client, sub, 1)["toOffset"], 100, "the end of the gap")
    equal(group_row(client, "t", "slow")["lag"], 1, "lag")


@case
def a_slow_tail_is_told_too():
    """`truncated` for a private tail that did not read while retention took messages."""
    server = own(*SMALL, "--max-unsent-bytes", 65_536)
    client = server.client()
    client.ok("createTopic", topic="t", retentionBytes=65_536)
    tail = server.client()
    tail.shrink()
    sub = tail.ok("subscribe", topic="t")["sub"]
    total = 0
    # Until the sockets are full and the tail has fallen behind what is kept.
    for _ in range(8):
        total += len(publish_many(client, "t", 1_500, headers={"pad": PAD * 8}))
    eventually(lambda: topic_row(client, "t")["firstOffset"] > total // 2, what="the end of the oldest messages")
    client.ok("publish", topic="t", body="last")
    expected, gaps = 0, 0
    while expected <= total:
        event = tail.event()
        equal(event["sub"], sub, "sub")
        if event["event"] == "truncated":
            equal(event["fromOffset"], expected, "the gap begins where the tail is")
            expected, gaps = event["toOffset"], gaps + 1
        else:
            equal(event["offset"], expected, "no message is left out without a word")
            expected += 1
    assert gaps > 0, "the tail was never overtaken: the case proves nothing"


@case
def the_end_of_a_topic_ends_its_subscriptions():
    """`ended`: `{"event":"ended","sub","topic","reason":"topic_deleted"}` when the topic is gone; other subscriptions go on."""
    server = own()
    client, other = server.client(), server.client()
    subs = {client.ok("subscribe", topic="gone", group="g")["sub"], client.ok("subscribe", topic="gone")["sub"]}
    stays = client.ok("subscribe", topic="stays", group="g")["sub"]
    waiting = client.send("fetch", topic="gone", group="w", waitMs=60_000)
    client.ok("ping")
    assert other.ok("deleteTopic", topic="gone")["deleted"], "deleted"
    events = client.take(2)
    equal({event["sub"] for event in events}, subs, "the subscriptions that end")
    equal({(event["event"], event["topic"], event["reason"]) for event in events}, {("ended", "gone", "topic_deleted")}, "events")
    reply = client.reply(waiting)
    assert reply.get("messages") == [] or reply.get("error") == "not_found", f"the waiting fetch: {reply!r}"
    for sub in subs:
        client.refused("not_found", "unsubscribe", sub=sub)
        client.refused("not_found", "ack", sub=sub, offset=0)
    other.ok("publish", topic="stays", body=1)
    equal(client.event()["sub"], stays, "the other subscription")
    other.ok("publish", topic="gone", id="again", body=1)
    client.quiet(0.1)
    equal([(m["offset"], m["attempt"]) for m in fetch_all(client, "gone", "g", 1)], [(0, 1)], "a later topic of the same name")
