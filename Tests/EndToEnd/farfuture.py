"""Far messages, beyond the slice that is kept in memory: everything works on them as on near ones.

The slices are made narrow here (`--slice-ms`), so that messages go to the disk and come back within seconds.
"""

from escapement_driver import equal, eventually, fetch_all, now_ms, topic_row, unique, wait_until_ms
from listing import listed, schedule_many
from suite import case, own

HOUR_MS = 3_600_000
NARROW = ("--slice-ms", 1_000, "--checkpoint-bytes", 65_536)


def narrow():
    server = own(*NARROW)
    return server, server.client()


@case
def far_messages_lie_on_disk():
    """`wheel`: `onDisk` counts what lies in the delay store."""
    _, client = narrow()
    schedule_many(client, "t", [now_ms() + HOUR_MS + 1_000 * n for n in range(500)])
    eventually(lambda: client.ok("wheel")["onDisk"] > 0, what="far messages on disk")
    equal(topic_row(client, "t")["pending"], 500, "pending")


@case
def far_messages_are_found_by_get():
    """`get` of a far message: its times, `body`, `key`, `tag`, `headers`."""
    server, client = narrow()
    body = b'{"a" : 1e400,\t"b":"\\u0041"}'
    client.send_raw(b'{"op":"schedule","topic":"t","id":"a","key":"k","tag":"g","headers":{"h":"1"},"delayMs":%d,"body":%s}\n'
                    % (HOUR_MS, body))
    due = client.recv()["deliverAtMs"]
    schedule_many(client, "t", [now_ms() + HOUR_MS + 1_000 * n for n in range(300)])
    for _ in range(2):
        state = client.ok("get", topic="t", id="a")
        equal([state.get(field) for field in ("state", "deliverAtMs", "key", "tag", "headers")],
              ["pending", due, "k", "g", {"h": "1"}], "the far message")
        equal(state.bodies(), [body], "its body")
        server.restart()
        client = server.client()


@case
def far_messages_can_be_cancelled():
    """`cancel` of a far message; an acknowledged cancel is never released."""
    server, client = narrow()
    schedule_many(client, "t", [now_ms() + 3_000 + 10 * n for n in range(200)])
    outcomes = {n: client.ok("cancel", topic="t", id=f"m{n}")["outcome"] for n in range(0, 200, 2)}
    cancelled = {n for n, outcome in outcomes.items() if outcome == "cancelled"}
    assert set(outcomes.values()) <= {"cancelled", "released"}, f"outcomes: {outcomes}"
    server.restart()
    client = server.client()
    messages = fetch_all(client, "t", "g", 200 - len(cancelled))
    equal({message["body"] for message in messages}, set(range(200)) - cancelled, "released")
    equal(topic_row(client, "t")["nextOffset"], 200 - len(cancelled), "messages in the topic")
    equal(topic_row(client, "t")["pending"], 0, "pending")


@case
def far_messages_can_be_moved():
    """`reschedule` of a far message: nearer, farther, and to now."""
    _, client = narrow()
    schedule_many(client, "t", [now_ms() + HOUR_MS + n for n in range(100)])
    due = now_ms() + 2_500
    equal(client.ok("reschedule", topic="t", id="m1", deliverAtMs=due)["outcome"], "rescheduled")
    equal(client.ok("reschedule", topic="t", id="m0", delayMs=0)["outcome"], "rescheduled")
    far = client.ok("reschedule", topic="t", id="m2", delayMs=400 * 24 * HOUR_MS)["deliverAtMs"]
    messages = fetch_all(client, "t", "g", 2)
    equal([message["body"] for message in messages], [0, 1], "released")
    equal(messages[1]["deliverAtMs"], due, "deliverAtMs")
    equal(client.ok("get", topic="t", id="m2")["deliverAtMs"], far, "the one moved farther")
    equal(topic_row(client, "t")["pending"], 98, "pending")
    equal(listed(client, "t", limit=50)[-1]["id"], "m2", "the last one listed")


@case
def near_messages_can_be_moved_far_and_back():
    """`reschedule` between near and far, again and again: one message, at its last time."""
    _, client = narrow()
    client.ok("schedule", topic="t", id="a", body=1, delayMs=600_000)
    for _ in range(20):
        equal(client.ok("reschedule", topic="t", id="a", delayMs=HOUR_MS)["outcome"], "rescheduled")
        equal(client.ok("reschedule", topic="t", id="a", delayMs=500_000)["outcome"], "rescheduled")
    equal(len(listed(client, "t")), 1, "entries")
    due = client.ok("reschedule", topic="t", id="a", delayMs=1_500)["deliverAtMs"]
    message, = fetch_all(client, "t", "g", 1)
    equal(message["deliverAtMs"], due, "deliverAtMs")
    equal(topic_row(client, "t")["nextOffset"], 1, "messages in the topic")


@case
def far_messages_can_be_kept_replaced_and_rejected():
    """`ifExists` against a far message."""
    server, client = narrow()
    due = client.ok("schedule", topic="t", id="a", body="old", delayMs=HOUR_MS)["deliverAtMs"]
    schedule_many(client, "t", [now_ms() + HOUR_MS + 1_000 * n for n in range(300)])
    reply = client.ok("schedule", topic="t", id="a", body="new", delayMs=1)
    equal((reply["outcome"], reply["deliverAtMs"]), ("kept", due), "keep")
    client.refused("exists", "schedule", topic="t", id="a", body="new", delayMs=1, ifExists="reject")
    equal(client.ok("schedule", topic="t", id="a", body="new", delayMs=2 * HOUR_MS, ifExists="replace")["outcome"], "replaced")
    equal(client.ok("get", topic="t", id="a")["body"], "new", "body")
    server.restart()
    client = server.client()
    equal(client.ok("get", topic="t", id="a")["body"], "new", "body after a crash")
    equal(client.ok("schedule", topic="t", id="a", body="now", delayMs=0, ifExists="replace")["outcome"], "replaced")
    equal([message["body"] for message in fetch_all(client, "t", "g", 1)], ["now"], "released")


@case
def far_messages_are_listed_in_due_order():
    """`list` in due order over many slices, with what was cancelled and moved."""
    _, client = narrow()
    base = now_ms() + 120_000
    dues = [base + (n * 7919) % 997 * 1_013 for n in range(2_000)]
    expected = dict((name, due) for due, name in schedule_many(client, "t", dues))
    for n in range(0, 2_000, 5):
        client.ok("cancel", topic="t", id=f"m{n}")
        del expected[f"m{n}"]
    for n in range(1, 2_000, 50):
        expected[f"m{n}"] = client.ok("reschedule", topic="t", id=f"m{n}", deliverAtMs=base + 17 * n)["deliverAtMs"]
    entries = listed(client, "t", limit=333)
    equal([entry["deliverAtMs"] for entry in entries], sorted(expected.values()), "due times")
    equal({entry["id"]: entry["deliverAtMs"] for entry in entries}, expected, "entries")


@case
def far_messages_come_back_on_time_and_in_order():
    """Never early, once, in due order, and in one millisecond in order of acceptance, across slices."""
    _, client = narrow()
    base = now_ms() + 2_500
    dues = [base + (n % 25) * 150 for n in range(1_000)]
    accepted = schedule_many(client, "t", dues)
    in_time = now_ms() < base
    messages = fetch_all(client, "t", "g", 1_000)
    equal([message["offset"] for message in messages], list(range(1_000)), "offsets")
    equal({message["id"] for message in messages}, {name for _, name in accepted}, "ids")
    if in_time:
        equal([message["id"] for message in messages], [name for _, name in sorted(accepted, key=lambda entry: entry[0])], "order")
    equal(topic_row(client, "t")["pending"], 0, "pending")


@case
def far_messages_survive_crashes_between_slices():
    """Released once, also across crashes, none early, while slices are loaded and dropped."""
    server, client = narrow()
    base = now_ms() + 1_000
    accepted = schedule_many(client, "t", [base + 5 * n for n in range(1_000)])
    client.ok("schedule", topic="t", id="last", body=1, deliverAtMs=base + 5_500)
    for moment in (1_700, 2_900, 4_100):
        wait_until_ms(base + moment)
        server.restart()
    client = server.client()
    messages = fetch_all(client, "t", "g", 1_001)
    equal(sorted(message["id"] for message in messages), sorted([name for _, name in accepted] + ["last"]), "ids")
    equal(sorted(message["offset"] for message in messages), list(range(1_001)), "offsets")


@case
def every_width_of_wheel_keeps_the_promises():
    """The wheel's shape (`--tick-ms`, `--wheel-size`, `--slice-ms`) changes nothing that a client sees."""
    for tick, size, width in ((1, 2, 64), (1, 20, 400), (5, 8, 640), (10, 60, 3_600)):
        server = own("--tick-ms", tick, "--wheel-size", size, "--slice-ms", width)
        with server.client() as client:
            topic, base = unique(), now_ms() + 300
            accepted = schedule_many(client, topic, [base + (n * 37) % 1_500 for n in range(300)])
            schedule_many(client, f"{topic}.far", [now_ms() + HOUR_MS * n for n in range(1, 50)])
            in_time = now_ms() < base
            messages = fetch_all(client, topic, "g", 300)
            equal({message["id"] for message in messages}, {name for _, name in accepted}, "ids")
            if in_time:
                dues = [message["deliverAtMs"] for message in messages]
                equal(dues, sorted(dues), "due times in offset order")
            equal(len(listed(client, f"{topic}.far")), 49, "far messages listed")
        server.close()
