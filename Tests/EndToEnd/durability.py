"""What was acknowledged survives a crash and a clean stop; what comes due while the server is down is released after."""

import time

from consuming import LONG_MS, offsets, publish_many
from escapement_driver import equal, eventually, fetch_all, group_row, now_ms, topic_row, unique, wait_until_ms
from listing import listed, schedule_many
from suite import case, own

HOUR_MS = 3_600_000
FSYNC = ("--fsync", "always")
ENDINGS = ("kill9", "stop")


def after_each_ending(server):
    """Ends and starts the server, first by a crash, then by a clean stop; gives a client each time."""
    for ending in ENDINGS:
        getattr(server, ending)()
        server.start()
        yield ending, server.client()


@case
def an_acknowledged_schedule_survives():
    """`acks` `"disk"`: reply when it is on stable storage: the message is there after a crash and after a stop."""
    server, body = own(*FSYNC), b'{"a" : 1e400}'
    client = server.client()
    client.send_raw(b'{"op":"schedule","topic":"t","id":"a","key":"k","tag":"g","headers":{"h":"1"},"delayMs":%d,"body":%s}\n'
                    % (HOUR_MS, body))
    due = client.recv()["deliverAtMs"]
    before = client.ok("get", topic="t", id="a")
    schedule_many(client, "t", [now_ms() + HOUR_MS + n for n in range(200)])
    last = client.ok("schedule", topic="t", id="last", body=1, delayMs=30 * 24 * HOUR_MS)["deliverAtMs"]
    for ending, client in after_each_ending(server):
        state = client.ok("get", topic="t", id="a")
        equal([state.get(field) for field in ("state", "deliverAtMs", "key", "tag", "headers", "scheduledAtMs")],
              ["pending", due, "k", "g", {"h": "1"}, before["scheduledAtMs"]], ending)
        equal(state.bodies(), [body], f"body after {ending}")
        equal(client.ok("get", topic="t", id="last")["deliverAtMs"], last, f"the last one after {ending}")
        equal(topic_row(client, "t")["pending"], 202, f"pending after {ending}")


@case
def an_acknowledged_cancel_survives():
    """An acknowledged cancel is never released, also across crashes."""
    server = own(*FSYNC)
    client = server.client()
    schedule_many(client, "t", [now_ms() + 2_000 + n for n in range(100)])
    outcomes = [client.ok("cancel", topic="t", id=f"m{n}")["outcome"] for n in range(50)]
    cancelled = {n for n, outcome in enumerate(outcomes) if outcome == "cancelled"}
    for ending, client in after_each_ending(server):
        states = {client.ok("get", topic="t", id=f"m{n}")["state"] for n in cancelled}
        assert states <= {"cancelled"}, f"states after {ending}: {states}"
    messages = fetch_all(client, "t", "g", 100 - len(cancelled))
    equal({message["body"] for message in messages}, set(range(100)) - cancelled, "released")
    equal(topic_row(client, "t")["nextOffset"], 100 - len(cancelled), "messages in the topic")


@case
def an_acknowledged_reschedule_survives():
    """`reschedule`: the new time holds after a crash and after a stop."""
    server = own(*FSYNC)
    client = server.client()
    schedule_many(client, "t", [now_ms() + HOUR_MS + n for n in range(20)])
    moved = {f"m{n}": client.ok("reschedule", topic="t", id=f"m{n}", delayMs=(n + 2) * HOUR_MS)["deliverAtMs"] for n in range(10)}
    replaced = client.ok("schedule", topic="t", id="m10", body="new", delayMs=9 * HOUR_MS, ifExists="replace")["deliverAtMs"]
    for ending, client in after_each_ending(server):
        due = {entry["id"]: entry["deliverAtMs"] for entry in listed(client, "t")}
        equal({name: due[name] for name in moved}, moved, f"times after {ending}")
        equal((due["m10"], client.ok("get", topic="t", id="m10")["body"]), (replaced, "new"), f"the replaced one after {ending}")
        equal(len(due), 20, f"pending after {ending}")


@case
def an_acknowledged_publish_survives():
    """`publish`: `offset`: the message stays at that offset after a crash and after a stop; offsets go on from there."""
    server, count = own(*FSYNC, "--segment-bytes", 16_384), 500
    client = server.client()
    equal(publish_many(client, "t", count, key="k", tag="g", headers={"h": "1"}), list(range(count)), "offsets")
    before = fetch_all(client, "t", "before", count)
    for ending, client in after_each_ending(server):
        messages = fetch_all(client, "t", f"after-{ending}", count)
        for old, new in zip(before, messages):
            equal(new, old, f"a message after {ending}")
        equal(client.ok("publish", topic="t", body="next")["offset"], count, f"the next offset after {ending}")
        count += 1


@case
def acknowledgements_and_positions_survive():
    """Each group has its own position; what was acknowledged is not delivered again after a crash or a stop."""
    server = own(*FSYNC)
    client = server.client()
    publish_many(client, "t", 30)
    fetch_all(client, "t", "most", 30)
    client.ok("ack", topic="t", group="most", upTo=19)
    client.ok("ack", topic="t", group="most", offsets=[22, 25])
    fetch_all(client, "t", "all", 30)
    client.ok("ack", topic="t", group="all", upTo=29)
    client.ok("seek", topic="t", group="moved", to={"offset": 12})
    for ending, client in after_each_ending(server):
        again = fetch_all(client, "t", "most", 8, ackWaitMs=LONG_MS)
        equal(sorted(offsets(again)), [20, 21, 23, 24, 26, 27, 28, 29], f"of the group `most` after {ending}")
        equal(client.ok("fetch", topic="t", group="all")["messages"], [], f"of the group `all` after {ending}")
        equal(group_row(client, "t", "moved")["committed"], 12, f"of the group `moved` after {ending}")


@case
def attempts_survive():
    """Delivered again, `attempt` + 1: the count goes on after a crash, and `maxAttempts` with it."""
    server = own(*FSYNC)
    client = server.client()
    client.ok("publish", topic="t", body=1)
    fields = {"topic": "t", "group": "g", "maxAttempts": 4, "ackWaitMs": LONG_MS, "waitMs": 60_000}
    for attempt in (1, 2):
        equal(client.ok("fetch", **fields)["messages"][0]["attempt"], attempt, "attempt")
        client.ok("nack", topic="t", group="g", offset=0, delayMs=0)
    server.restart()
    client = server.client()
    message, = client.ok("fetch", **fields)["messages"]
    assert 3 <= message["attempt"] <= 4, f"the attempt after a crash: {message!r}"
    while message["attempt"] < 4:
        client.ok("nack", topic="t", group="g", offset=0, delayMs=0)
        message, = client.ok("fetch", **fields)["messages"]
    client.ok("nack", topic="t", group="g", offset=0, delayMs=0)
    letter, = fetch_all(client, "t.g.dlq", "judge", 1)
    equal(letter["headers"]["x-attempts"], "4", "x-attempts")


@case
def nack_delays_survive():
    """`nack`: delivered again after its delay, not earlier, also across a crash."""
    server = own(*FSYNC)
    client = server.client()
    client.ok("publish", topic="t", body=1)
    fields = {"topic": "t", "group": "g", "ackWaitMs": LONG_MS}
    client.ok("fetch", **fields)
    before = now_ms()
    client.ok("nack", topic="t", group="g", offset=0, delayMs=3_000)
    server.restart()
    client = server.client()
    message, = eventually(lambda: client.ok("fetch", waitMs=5_000, **fields)["messages"], what="the redelivery")
    assert now_ms() >= before + 3_000, "delivered again too early"
    equal((message["offset"], message["attempt"]), (0, 2), "offset and attempt")


@case
def dead_letters_survive():
    """After `maxAttempts` the message is in the dead letters once, also across crashes, and is not delivered again."""
    server = own(*FSYNC)
    client = server.client()
    publish_many(client, "t", 3)
    fetch_all(client, "t", "g", 3, maxAttempts=1, ackWaitMs=LONG_MS)
    client.ok("nack", topic="t", group="g", offsets=[0, 1, 2], delayMs=0)
    eventually(lambda: (topic_row(client, "t.g.dlq") or {}).get("nextOffset") == 3, what="three dead letters")
    fetch_all(client, "t.g.dlq", "seen", 3)
    for ending, client in after_each_ending(server):
        equal(client.ok("fetch", topic="t", group="g", maxAttempts=1)["messages"], [], f"messages after {ending}")
        equal(topic_row(client, "t.g.dlq")["nextOffset"], 3, f"dead letters after {ending}")


@case
def released_messages_are_not_released_again():
    """Released once into its topic (one offset), also across crashes; the id window survives too."""
    server = own(*FSYNC)
    client = server.client()
    schedule_many(client, "t", [now_ms() + n for n in range(100)])
    before = {message["id"]: message["offset"] for message in fetch_all(client, "t", "before", 100)}
    for ending, client in after_each_ending(server):
        after = {message["id"]: message["offset"] for message in fetch_all(client, "t", f"after-{ending}", 100)}
        equal(after, before, f"offsets after {ending}")
        equal(client.ok("schedule", topic="t", id="m5", body=1, delayMs=0)["outcome"], "released", f"outcome after {ending}")
        equal(topic_row(client, "t")["nextOffset"], 100, f"messages after {ending}")


@case
def what_comes_due_while_the_server_is_down_is_released_after():
    """The server down while messages become due: released after the start, in due order, none early, none twice."""
    server = own(*FSYNC)
    client = server.client()
    base = now_ms() + 1_000
    accepted = schedule_many(client, "t", [base + 10 * ((n * 37) % 100) for n in range(100)])
    later = schedule_many(client, "later", [base + 4_000])
    client.ok("schedule", topic="t", id="end", body="end", deliverAtMs=base + 1_500)
    in_time = now_ms() < base
    server.kill9()
    wait_until_ms(base + 1_600)
    server.start()
    client = server.client()
    messages = fetch_all(client, "t", "g", 101)
    equal([message["offset"] for message in messages], list(range(101)), "offsets")
    if in_time:
        expected = [name for _, name in sorted(accepted, key=lambda entry: entry[0])] + ["end"]
        equal([message["id"] for message in messages], expected, "due order")
    equal(fetch_all(client, "later", "g", 1)[0]["deliverAtMs"], later[0][0], "the one that was not due yet")
    server.restart()
    equal(topic_row(server.client(), "t")["nextOffset"], 101, "messages after another crash")


@case
def topics_survive():
    """`createTopic` and `deleteTopic` hold after a crash and after a stop."""
    server = own(*FSYNC)
    client = server.client()
    client.ok("createTopic", topic="made", retentionMs=HOUR_MS)
    publish_many(client, "gone", 10)
    client.ok("schedule", topic="gone", id="a", body=1, delayMs=1_500)
    due = client.ok("schedule", topic="stays", id="a", body=1, delayMs=1_500)["deliverAtMs"]
    assert client.ok("deleteTopic", topic="gone")["deleted"]
    for ending, client in after_each_ending(server):
        equal({row["topic"] for row in client.ok("topics")["topics"]}, {"made", "stays"}, f"topics after {ending}")
        equal(client.ok("createTopic", topic="made", retentionMs=HOUR_MS)["created"], False, f"settings after {ending}")
    wait_until_ms(due)
    fetch_all(client, "stays", "g", 1)
    equal(topic_row(client, "gone"), None, "the deleted topic when its message would have been due")


@case
def many_small_checkpoints_lose_nothing():
    """State = what was acknowledged, however often the journal is cut (`--checkpoint-bytes`) and the server crashes."""
    server = own(*FSYNC, "--checkpoint-bytes", 8_192, "--segment-bytes", 8_192, "--slice-ms", 1_000)
    published, pending = 0, {}
    for round_number in range(6):
        client = server.client()
        rids = client.send_many(("publish", {"topic": "t", "body": n}) for n in range(100))
        equal([client.reply(rid)["offset"] for rid in rids], list(range(published, published + 100)), "offsets")
        published += 100
        for n in range(60):
            name = f"{round_number}-{n}"
            pending[name] = client.ok("schedule", topic="t", id=name, body=name, delayMs=HOUR_MS + n, acks="disk")["deliverAtMs"]
        for name in list(pending)[::7]:
            equal(client.ok("cancel", topic="t", id=name)["outcome"], "cancelled")
            del pending[name]
        messages = fetch_all(client, "t", "g", 100, ackWaitMs=LONG_MS)
        equal(sorted(offsets(messages)), list(range(published - 100, published)), f"messages of round {round_number}")
        equal(client.ok("ack", topic="t", group="g", upTo=published - 1)["acked"], 100, "acked")
        server.restart()
    client = server.client()
    equal({entry["id"]: entry["deliverAtMs"] for entry in listed(client, "t")}, pending, "pending")
    equal(offsets(fetch_all(client, "t", "all", published)), list(range(published)), "published")


@case
def replies_that_rest_on_earlier_records_are_not_kept_waiting():
    """A reply that must be durable asks for a sync even when its own command recorded nothing."""
    rounds = 30
    server = own()
    with server.client() as client:
        def timed(body):
            start = time.monotonic()
            for number in range(rounds):
                body(number)
            return time.monotonic() - start

        def kept(number):
            client.ok("schedule", topic="t", id=f"k{number}", delayMs=3_600_000, body=1, acks="memory")
            equal(client.ok("schedule", topic="t", id=f"k{number}", delayMs=3_600_000, body=1)["outcome"], "kept",
                  "outcome")

        def fresh(number):
            client.ok("schedule", topic="t", id=f"f{number}", delayMs=3_600_000, body=1)
            client.ok("schedule", topic="t", id=f"g{number}", delayMs=3_600_000, body=1)

        # Beside the same number of requests that record something: no clock of a slow machine decides.
        usual, resting = timed(fresh), timed(kept)
        assert resting < usual * 20 + rounds * 0.05, f"{resting:.3f} s, where new ones take {usual:.3f} s"
