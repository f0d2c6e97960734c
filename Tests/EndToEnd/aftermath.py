"""Consuming across a crash (`kill -9`) and a clean stop: attempts, delays, keys, dead letters, positions, what is on disk."""

from consuming import LONG_MS, offsets, publish_many
from durability import FSYNC, after_each_ending
from escapement_driver import equal, eventually, fetch_all, group_row, now_ms, topic_row
from suite import case, own

# Small segments and the smallest cache: nearly everything must be read from disk.
ON_DISK = (*FSYNC, "--segment-bytes", 16_384, "--cache-bytes", 1_048_576, "--checkpoint-bytes", 65_536)
PAD = "x" * 8_000


@case
def attempts_count_on():
    """Connection gone: delivered again, `attempt` + 1, also when it is the server that was gone."""
    server = own(*FSYNC)
    client = server.client()
    publish_many(client, "t", 10)
    fields = {"topic": "t", "group": "g", "ackWaitMs": LONG_MS, "max": 10, "waitMs": 30_000}
    equal({message["attempt"] for message in client.ok("fetch", **fields)["messages"]}, {1}, "first attempts")
    client.ok("ack", topic="t", group="g", offset=4)
    for attempt, (ending, client) in enumerate(after_each_ending(server), 2):
        messages = client.ok("fetch", **fields)["messages"]
        equal([(message["offset"], message["attempt"]) for message in messages],
              [(n, attempt) for n in range(10) if n != 4], f"after {ending}")


@case
def a_refused_message_keeps_waiting():
    """`nack`: delivered again after its delay, not earlier, after a crash and after a stop; the back-off grows on."""
    server = own(*FSYNC)
    client = server.client()
    publish_many(client, "t", 3)
    fields = {"topic": "t", "group": "g", "ackWaitMs": LONG_MS}
    client.ok("fetch", **fields)
    before = now_ms()
    client.ok("nack", topic="t", group="g", offset=0, delayMs=2_500)
    client.ok("nack", topic="t", group="g", offset=1, delayMs=LONG_MS)
    client.ok("nack", topic="t", group="g", offset=2)
    for ending, client in after_each_ending(server):
        equal(group_row(client, "t", "g")["lag"], 3, f"lag after {ending}")
    got = {}
    while len(got) < 2:
        for message in client.ok("fetch", waitMs=5_000, **fields)["messages"]:
            got[message["offset"]] = (message["attempt"], now_ms() - before)
    equal({offset: attempt for offset, (attempt, _) in got.items()}, {0: 2, 2: 2}, "attempts")
    assert got[0][1] >= 2_500 and got[2][1] >= 1_000, f"delivered again too early: {got}"
    refused = now_ms()
    client.ok("nack", topic="t", group="g", offset=2)
    server.restart()
    client = server.client()
    message, = client.ok("fetch", waitMs=30_000, max=1, **fields)["messages"]
    while message["offset"] != 2:
        message, = client.ok("fetch", waitMs=30_000, max=1, **fields)["messages"]
    equal(message["attempt"], 3, "attempt")
    assert now_ms() - refused >= 2_000, "the second back-off is two seconds"


@case
def ordered_keys_stay_in_order():
    """`ordered?`: messages with one `key` one at a time, in offset order, also after a crash and after a stop."""
    server = own(*FSYNC)
    client = server.client()
    for n in range(24):
        client.ok("publish", topic="t", body=n, key="abc"[n % 3])
    fields = {"topic": "t", "group": "g", "ordered": True, "ackWaitMs": LONG_MS}
    equal(offsets(client.ok("fetch", **fields)["messages"]), [0, 1, 2], "the first of each key")
    client.ok("ack", topic="t", group="g", offset=0)
    equal(offsets(client.ok("fetch", **fields)["messages"]), [3], "the second of key a")
    client.ok("nack", topic="t", group="g", offset=1, delayMs=LONG_MS)
    expected = {0: 3, 1: None, 2: 2}
    for ending, client in after_each_ending(server):
        heads = client.ok("fetch", waitMs=30_000, **fields)["messages"]
        equal(sorted(offsets(heads)), sorted(n for n in expected.values() if n is not None), f"heads after {ending}")
        equal(client.ok("fetch", **fields)["messages"], [], f"what is behind them after {ending}")
        for message in heads:
            client.ok("ack", topic="t", group="g", offset=message["offset"])
            expected[message["offset"] % 3] += 3
        following = client.ok("fetch", **fields)["messages"]
        equal(sorted(offsets(following)), sorted(n for n in expected.values() if n is not None), f"the next after {ending}")
    seen = {0: [], 2: []}
    while any(len(entries) < 8 - start for entries, start in ((seen[0], 3), (seen[2], 2))):
        for message in following:
            seen[message["offset"] % 3].append(message["offset"])
            client.ok("ack", topic="t", group="g", offset=message["offset"])
        following = client.ok("fetch", **fields)["messages"]
        if not following:
            break
    equal(seen, {0: list(range(9, 24, 3)), 2: list(range(8, 24, 3))}, "the rest, in order, key b still waiting")


@case
def dead_letters_are_made_once():
    """After `maxAttempts` deliveries, those before a crash counted: one dead letter each, its origin finished."""
    server = own(*FSYNC)
    client = server.client()
    publish_many(client, "t", 4)
    fields = {"topic": "t", "group": "g", "ackWaitMs": LONG_MS, "maxAttempts": 3, "waitMs": 30_000}
    client.ok("fetch", **fields)
    for _, client in after_each_ending(server):
        client.ok("fetch", **fields)
    client.ok("nack", topic="t", group="g", offsets=[0, 1, 2, 3], delayMs=0)
    letters = fetch_all(client, "t.g.dlq", "judge", 4, ackWaitMs=LONG_MS)
    equal({letter["headers"]["x-attempts"] for letter in letters}, {"3"}, "x-attempts")
    for ending, client in after_each_ending(server):
        equal(topic_row(client, "t.g.dlq")["nextOffset"], 4, f"dead letters after {ending}")
        equal((group_row(client, "t", "g")["lag"], group_row(client, "t", "g")["committed"]), (0, 4), f"lag after {ending}")


@case
def a_message_that_died_with_the_server_is_buried_after():
    """A crash between the last delivery and its end: the message is a dead letter, not delivered once more."""
    server = own(*FSYNC)
    client = server.client()
    publish_many(client, "t", 2)
    fields = {"topic": "t", "group": "g", "ackWaitMs": LONG_MS, "maxAttempts": 1}
    client.ok("fetch", **fields)
    server.restart()
    client = server.client()
    equal(client.ok("fetch", **fields)["messages"], [], "delivered once more")
    equal(len(fetch_all(client, "t.g.dlq", "judge", 2)), 2, "dead letters")


@case
def positions_survive_on_disk():
    """Each group has its own position, after a crash and after a stop, with the log on disk only."""
    server = own(*ON_DISK)
    client = server.client()
    publish_many(client, "t", 1_000, headers={"pad": PAD})
    for group, upTo in (("a", 9), ("b", 499), ("c", 998)):
        client.ok("seek", topic="t", group=group, to={"offset": max(0, upTo - 5)})
        left = 6
        while left:
            left -= len(client.ok("fetch", topic="t", group=group, max=left, waitMs=1_000)["messages"])
        client.ok("ack", topic="t", group=group, upTo=upTo)
    for ending, client in after_each_ending(server):
        for group, upTo in (("a", 9), ("b", 499), ("c", 998)):
            row = group_row(client, "t", group)
            equal(row["committed"], upTo + 1, f"{group} after {ending}")
            message, = client.ok("fetch", topic="t", group=group, max=1)["messages"]
            equal((message["offset"], message["body"]), (upTo + 1, upTo + 1), f"the next of {group} after {ending}")
    server.stop()
    server.start()
    client = server.client()
    for group, upTo in (("a", 9), ("b", 499), ("c", 998)):
        client.ok("fetch", topic="t", group=group, max=1)
        equal(client.ok("ack", topic="t", group=group, upTo=999)["acked"], 1, f"what {group} had out")


@case
def times_are_found_on_disk():
    """`from` and `seek` by `timeMs`: the first message released at or after that time, where it is on disk only."""
    server = own(*ON_DISK)
    client = server.client()
    marks = {}
    for n in range(12):
        publish_many(client, "t", 60, headers={"pad": PAD})
        last = client.ok("ping")["nowMs"]
        marks[60 * (n + 1)] = last + 1
        eventually(lambda: client.ok("ping")["nowMs"] > last, what="the next millisecond")
    del marks[720]
    for ending, client in after_each_ending(server):
        for offset, time_ms in marks.items():
            fields = {"topic": "t", "max": 1, "group": f"{ending}{offset}"}
            # Replies keep their order while the first one waits for the disk.
            rids = client.send_many([("fetch", {**fields, "from": {"timeMs": time_ms}}), ("ping", {})])
            lines = [client.recv(), client.recv()]
            equal([line["rid"] for line in lines], rids, "order of the replies")
            equal(offsets(lines[0]["messages"]), [offset], f"from {time_ms} after {ending}")
            equal(client.ok("seek", topic="t", group="s", to={"timeMs": time_ms})["offset"], offset, f"seek after {ending}")
            tail = server.client()
            tail.ok("subscribe", topic="t", **{"from": {"timeMs": time_ms}})
            equal(tail.event()["offset"], offset, f"a tail after {ending}")
            tail.close()


@case
def redeliveries_come_from_disk():
    """Delivered again, byte for byte, when the log is on disk only and other groups read elsewhere."""
    server = own(*ON_DISK)
    client = server.client()
    publish_many(client, "t", 600, headers={"pad": PAD})
    fields = {"topic": "t", "group": "g", "ackWaitMs": LONG_MS, "max": 600}
    first = fetch_all(client, "t", "g", 600, ackWaitMs=LONG_MS)
    client.ok("nack", topic="t", group="g", offsets=list(range(0, 600, 50)), delayMs=0)
    again = []
    while len(again) < 12:
        again += client.ok("fetch", waitMs=1_000, **fields)["messages"]
    for message in again:
        old = first[message["offset"]]
        equal({**message, "attempt": 1}, {**old, "attempt": 1}, "the same message")
        equal(message["attempt"], 2, "attempt")


@case
def a_moved_group_stays_moved():
    """`seek`: `offset`: after a crash and after a stop the group goes on from there, with nothing given out before it."""
    server = own(*FSYNC)
    client = server.client()
    publish_many(client, "t", 20)
    fetch_all(client, "t", "g", 20, ackWaitMs=LONG_MS)
    client.ok("ack", topic="t", group="g", offsets=[12, 15])
    client.ok("seek", topic="t", group="g", to={"offset": 10})
    for ending, client in after_each_ending(server):
        row = group_row(client, "t", "g")
        equal((row["committed"], row["lag"], row["inFlight"]), (10, 10, 0), f"the group after {ending}")
    messages = fetch_all(client, "t", "g", 10)
    equal([(message["offset"], message["attempt"]) for message in messages], [(n, 1) for n in range(10, 20)], "messages")
