"""Topics and the inside: `createTopic`, `deleteTopic`, `topics`, `stats`, `wheel`."""

from consuming import LONG_MS, publish_many
from escapement_driver import equal, eventually, fetch_all, group_row, now_ms, topic_row, unique, wait_until_ms
from suite import case, connect, own

HOUR_MS = 3_600_000


@case
def create_topic_tells_whether_it_made_one():
    """`createTopic`: `created` (false: it stood already with the same settings; else `exists`)."""
    topic = unique()
    with connect() as client:
        equal(client.ok("createTopic", topic=topic, retentionMs=HOUR_MS)["created"], True, "created")
        equal(client.ok("createTopic", topic=topic, retentionMs=HOUR_MS)["created"], False, "created again")
        client.refused("exists", "createTopic", topic=topic, retentionMs=2 * HOUR_MS)
        client.refused("exists", "createTopic", topic=topic)
        client.refused("exists", "createTopic", topic=topic, retentionMs=HOUR_MS, retentionBytes=1 << 30)


@case
def the_default_retention_is_7_days():
    """`retentionMs?` (default 7 days): a topic made by first use or without it has that."""
    first, second = unique(), unique()
    with connect() as client:
        equal(client.ok("createTopic", topic=first)["created"], True, "created")
        equal(client.ok("createTopic", topic=first, retentionMs=7 * 24 * HOUR_MS)["created"], False, "the default, spelled out")
        client.ok("publish", topic=second, body=1)
        equal(client.ok("createTopic", topic=second)["created"], False, "made by first use")


@case
def delete_topic_takes_pending_messages_and_groups_along():
    """`deleteTopic`: `deleted`; its pending messages and groups go too."""
    topic = unique()
    with connect() as client:
        publish_many(client, topic, 5)
        fetch_all(client, topic, "g", 5)
        due = client.ok("schedule", topic=topic, id="soon", body="old", delayMs=700)["deliverAtMs"]
        client.ok("schedule", topic=topic, id="far", body="old", delayMs=HOUR_MS)
        assert client.ok("deleteTopic", topic=topic)["deleted"], "deleted"
        equal(topic_row(client, topic), None, "the topic in the list")
        client.ok("createTopic", topic=topic)
        for message_id in ("soon", "far"):
            equal(client.ok("get", topic=topic, id=message_id)["state"], "unknown", f"state of {message_id}")
        row = topic_row(client, topic)
        equal((row["pending"], row["groups"]), (0, []), "pending and groups")
        wait_until_ms(due + 200)
        last = client.ok("publish", topic=topic, id="new", body="new")["offset"]
        messages = fetch_all(client, topic, "g", 1)
        equal([(message["id"], message["offset"]) for message in messages], [("new", last)], "messages in the new topic")


@case
def delete_of_an_unknown_topic_says_so():
    """`deleteTopic` of a topic that is not there deletes nothing."""
    with connect() as client:
        reply = client.call("deleteTopic", topic=unique())
        assert reply.get("error") == "not_found" or (reply["ok"] and not reply["deleted"]), f"reply: {reply!r}"


@case
def topics_lists_topics_and_groups():
    """`topics`: [{`topic` `pending` `firstOffset` `nextOffset` `bytes` `groups`:[{`group` `committed` `lag` `inFlight` `members`}]}]"""
    topic = unique()
    with connect() as client, connect() as member:
        publish_many(client, topic, 10)
        for n in range(3):
            client.ok("schedule", topic=topic, body=n, delayMs=HOUR_MS)
        row = topic_row(client, topic)
        assert row["bytes"] > 0, f"bytes: {row!r}"
        equal({name: row[name] for name in row if name != "bytes"},
              {"topic": topic, "pending": 3, "firstOffset": 0, "nextOffset": 10, "groups": []}, "a topic without groups")
        sub = member.ok("subscribe", topic=topic, group="g", credit=6, ackWaitMs=LONG_MS)["sub"]
        member.take(6)
        equal(group_row(client, topic, "g"), {"group": "g", "committed": 0, "lag": 10, "inFlight": 6, "members": 1}, "a group")
        member.ok("ack", sub=sub, offsets=[0, 1, 3])
        member.take(3)
        row = group_row(client, topic, "g")
        equal([row[name] for name in ("committed", "inFlight", "members")], [2, 6, 1], "committed, inFlight, members")
        member.ok("ack", sub=sub, upTo=8)
        member.event()
        equal(group_row(client, topic, "g"), {"group": "g", "committed": 9, "lag": 1, "inFlight": 1, "members": 1}, "a group")
        member.close()
        eventually(lambda: group_row(client, topic, "g")["members"] == 0, what="the member to be gone")
        names = {entry["topic"] for entry in client.ok("topics")["topics"]}
        assert topic in names, "the topic in the list"


@case
def stats_are_numbers():
    """`stats`: counters and gauges, and they move."""
    topic = unique()
    with connect() as client:
        before = client.ok("stats")
        publish_many(client, topic, 50)
        client.ok("schedule", topic=topic, body=1, delayMs=HOUR_MS)
        after = client.ok("stats")

        def numbers(value, path=""):
            if isinstance(value, dict):
                return {name: number for key in value for name, number in numbers(value[key], f"{path}.{key}").items()}
            return {path: value} if type(value) in (int, float) else {}

        changed = [name for name, number in numbers(after).items() if number != numbers(before).get(name)]
        assert len(numbers(after)) >= 5, f"counters and gauges: {after!r}"
        assert changed, f"50 messages changed nothing: {after!r}"


@case
def wheel_shows_the_wheels():
    """`wheel`: `nowMs` `tickMs` `wheelSize` `levels`: [{`level` `tickMs` `intervalMs` `pending` `slots`:[[slot, count],…]}] `onDisk`"""
    server = own("--tick-ms", 1, "--wheel-size", 20)
    client = server.client()
    dues = [now_ms() + 5_000 + 31 * n for n in range(200)]
    for due in dues:
        client.send("schedule", topic="t", body=1, deliverAtMs=due, acks="none")
    reply = client.ok("wheel")
    equal((reply["tickMs"], reply["wheelSize"]), (1, 20), "tickMs and wheelSize")
    assert min(dues) - 60_000 < reply["nowMs"] <= now_ms() + 1_000, f"nowMs: {reply!r}"
    assert type(reply["onDisk"]) is int and reply["onDisk"] >= 0, f"onDisk: {reply!r}"
    tick = reply["tickMs"]
    for level in sorted(reply["levels"], key=lambda level: level["level"]):
        equal((level["tickMs"], level["intervalMs"]), (tick, tick * 20), f"tickMs and intervalMs of level {level['level']}")
        tick = level["intervalMs"]
        equal(sum(count for _, count in level["slots"]), level["pending"], "pending is the sum of the slots")
        for slot, count in level["slots"]:
            assert 0 <= slot < 20 and count > 0, f"slot {slot} with {count}"
    in_memory = sum(level["pending"] for level in reply["levels"])
    if now_ms() < min(dues):
        equal(in_memory + reply["onDisk"], 200, "pending in the wheels and on disk")


@case
def retention_bytes_drops_the_oldest():
    """`retentionBytes?`: the oldest messages go, `firstOffset` grows, and readers go on with what is there."""
    server = own("--segment-bytes", 16_384)
    client = server.client()
    client.ok("createTopic", topic="t", retentionBytes=65_536)
    total = 0
    for _ in range(4):
        total += len(publish_many(client, "t", 500, headers={"pad": "x" * 200}))
    first = eventually(lambda: topic_row(client, "t")["firstOffset"], what="firstOffset above 0")
    assert 0 < first < total, f"firstOffset: {first}"
    offsets = [message["offset"] for message in fetch_all(client, "t", "g", total - topic_row(client, "t")["firstOffset"])]
    equal(offsets, list(range(offsets[0], total)), "offsets from the earliest")
    assert offsets[0] >= first, "nothing that was dropped"
    equal(client.ok("publish", topic="t", body=1)["offset"], total, "the next offset")
