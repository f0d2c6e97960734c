"""Message ids: limits, `ifExists`, the id window, and `cancel`, `reschedule`, `get` by id."""

import datetime

from escapement_driver import equal, eventually, fetch_all, now_ms, topic_row, unique, wait_until_ms
from suite import case, connect, own

HOUR_MS = 3_600_000


def wait_released(client, topic, message_id):
    eventually(lambda: client.ok("get", topic=topic, id=message_id)["state"] == "released", what=f"release of {message_id}")


@case
def an_id_is_1_to_128_bytes_without_control_characters():
    """Message `id`: 1 to 128 bytes of UTF-8 without control characters."""
    topic = unique()
    with connect() as client:
        for good in ("a", " ", "é" * 64, "😀" * 32, "x" * 128, 'quote " and \\ and /', "{}", "0"):
            for op, extra in (("schedule", {"delayMs": HOUR_MS}), ("publish", {})):
                name = f"{topic}.{op}"
                equal(client.ok(op, topic=name, id=good, body=1, **extra)["id"], good, "id")
            equal(client.ok("get", topic=f"{topic}.schedule", id=good)["state"], "pending", "state")
        for bad in ("", "x" * 129, "é" * 65, "😀" * 32 + "x", "a\nb", "\u0000", "a\u001f", "\t", "\r"):
            for op, extra in (("schedule", {"body": 1, "delayMs": HOUR_MS}), ("publish", {"body": 1}), ("get", {}), ("cancel", {}),
                              ("reschedule", {"delayMs": 1})):
                reply = client.refused("bad_request", op, topic=topic, id=bad, **extra)
                assert "id" in reply["message"], f"the message names the field: {reply!r}"


@case
def the_server_makes_an_id_when_none_is_given():
    """`id` (else the server makes one)."""
    topic = unique()
    with connect() as client:
        rids = client.send_many([("schedule", {"topic": topic, "body": 1, "delayMs": HOUR_MS}),
                                 ("publish", {"topic": topic, "body": 1})] * 200)
        ids = [client.reply(rid)["id"] for rid in rids]
        assert all(isinstance(made, str) and 1 <= len(made.encode()) <= 128 for made in ids), f"ids: {ids[:4]!r}"
        equal(len(set(ids)), len(ids), "different ids")
        equal(client.ok("get", topic=topic, id=ids[0])["state"], "pending", "state by a made id")


@case
def an_id_is_unique_within_its_topic_only():
    """Message `id`: unique within its topic; the same id elsewhere is another message."""
    first, second = unique(), unique()
    with connect() as client:
        for topic in (first, second):
            equal(client.ok("schedule", topic=topic, id="same", body=topic, delayMs=HOUR_MS)["outcome"], "scheduled")
        equal(client.ok("cancel", topic=first, id="same")["outcome"], "cancelled")
        equal(client.ok("get", topic=second, id="same")["body"], second, "body of the other one")


@case
def keep_changes_nothing():
    """`kept` (same id pending: nothing changed, `deliverAtMs` is the pending one)."""
    topic = unique()
    with connect() as client:
        due = client.ok("schedule", topic=topic, id="a", body="old", tag="t", delayMs=HOUR_MS)["deliverAtMs"]
        for extra in ({}, {"ifExists": "keep"}):
            reply = client.ok("schedule", topic=topic, id="a", body="new", delayMs=5 * HOUR_MS, **extra)
            equal((reply["outcome"], reply["id"], reply["deliverAtMs"]), ("kept", "a", due), "keep")
        state = client.ok("get", topic=topic, id="a")
        equal((state["deliverAtMs"], state["body"], state["tag"]), (due, "old", "t"), "the pending message")
        equal(topic_row(client, topic)["pending"], 1, "pending")


@case
def keep_holds_even_against_an_immediate_time():
    """`kept`: nothing changed, so a retry with a past time releases nothing."""
    topic = unique()
    with connect() as client:
        client.ok("schedule", topic=topic, id="a", body=1, delayMs=HOUR_MS)
        equal(client.ok("schedule", topic=topic, id="a", body=2, delayMs=0)["outcome"], "kept")
        equal(client.ok("get", topic=topic, id="a")["state"], "pending", "state")


@case
def replace_puts_the_new_message_in_its_place():
    """`ifExists` `"replace"`: `replaced`."""
    topic = unique()
    with connect() as client:
        client.ok("schedule", topic=topic, id="a", body="old", key="k", headers={"h": "1"}, delayMs=HOUR_MS)
        due = now_ms() + 2 * HOUR_MS
        reply = client.ok("schedule", topic=topic, id="a", body="new", tag="t", deliverAtMs=due, ifExists="replace")
        equal((reply["outcome"], reply["deliverAtMs"]), ("replaced", due), "replace")
        state = client.ok("get", topic=topic, id="a")
        equal((state["deliverAtMs"], state["body"], state["tag"]), (due, "new", "t"), "the pending message")
        assert "key" not in state and "headers" not in state, f"nothing of the old message stays: {state!r}"
        equal(client.ok("schedule", topic=topic, id="b", body=1, delayMs=HOUR_MS, ifExists="replace")["outcome"], "scheduled")
        equal(topic_row(client, topic)["pending"], 2, "pending")


@case
def a_replaced_message_is_released_once_with_its_new_body():
    """`replaced`: one message is released, the new one, at the new time."""
    topic = unique()
    with connect() as client:
        client.ok("schedule", topic=topic, id="sooner", body="old", delayMs=HOUR_MS)
        client.ok("schedule", topic=topic, id="sooner", body="new", delayMs=300, ifExists="replace")
        old_due = client.ok("schedule", topic=topic, id="later", body="old", delayMs=700)["deliverAtMs"]
        reply = client.ok("schedule", topic=topic, id="later", body="new", delayMs=1_500, ifExists="replace")
        messages = fetch_all(client, topic, "g", 2)
        equal(topic_row(client, topic)["nextOffset"], 2, "messages in the topic")
        if reply["outcome"] == "replaced":
            equal([(m["id"], m["body"]) for m in messages], [("sooner", "new"), ("later", "new")], "messages")
            assert messages[1]["deliverAtMs"] == reply["deliverAtMs"] > old_due, f"at the new time: {messages[1]!r}"


@case
def reject_is_an_error():
    """`ifExists:"reject"` → error `exists`."""
    topic = unique()
    with connect() as client:
        due = client.ok("schedule", topic=topic, id="a", body="old", delayMs=HOUR_MS, ifExists="reject")["deliverAtMs"]
        client.refused("exists", "schedule", topic=topic, id="a", body="new", delayMs=1, ifExists="reject")
        state = client.ok("get", topic=topic, id="a")
        equal((state["deliverAtMs"], state["body"]), (due, "old"), "the pending message")


@case
def a_released_id_schedules_nothing_inside_the_window():
    """`released` (same id already released inside the window: nothing scheduled)."""
    topic = unique()
    with connect() as client:
        client.ok("schedule", topic=topic, id="a", body=1, delayMs=1)
        wait_released(client, topic, "a")
        for extra in ({}, {"ifExists": "replace"}):
            reply = client.ok("schedule", topic=topic, id="a", body=2, delayMs=1, **extra)
            equal((reply["outcome"], reply["id"]), ("released", "a"), "the same id again")
        row = topic_row(client, topic)
        equal((row["pending"], row["nextOffset"]), (0, 1), "pending and nextOffset")


@case
def a_retry_of_a_schedule_is_harmless():
    """Same id pending or released inside the window: however often a client repeats it, one message is released."""
    topic = unique()
    with connect() as client:
        seen = set()
        while "released" not in seen:
            seen.add(client.ok("schedule", topic=topic, id="a", body=1, delayMs=400)["outcome"])
        assert seen <= {"scheduled", "kept", "released"}, f"outcomes: {seen}"
        equal(topic_row(client, topic)["nextOffset"], 1, "messages in the topic")


@case
def an_id_can_be_used_again_after_its_window():
    """Unique … for `idWindowMs` (server setting) after it was released or cancelled."""
    server, topic = own("--id-window-ms", 300), unique()
    client = server.client()
    client.ok("schedule", topic=topic, id="released", body=1, delayMs=0)
    client.ok("schedule", topic=topic, id="cancelled", body=1, delayMs=HOUR_MS)
    client.ok("cancel", topic=topic, id="cancelled")
    for message_id in ("released", "cancelled"):
        eventually(lambda: client.call("schedule", topic=topic, id=message_id, body=2, delayMs=HOUR_MS).get("outcome") == "scheduled",
                   what=f"the id {message_id} to be free again")
        equal(client.ok("get", topic=topic, id=message_id)["body"], 2, "body")


@case
def the_default_window_is_longer_than_a_test():
    """`idWindowMs` (server setting, default 600 000): inside it a released id stays known."""
    topic = unique()
    with connect() as client:
        client.ok("schedule", topic=topic, id="a", body=1, delayMs=0)
        wait_released(client, topic, "a")
        wait_until_ms(now_ms() + 1_500)
        equal(client.ok("get", topic=topic, id="a")["state"], "released", "state")
        equal(client.ok("schedule", topic=topic, id="a", body=1, delayMs=0)["outcome"], "released")


@case
def a_published_id_is_unique_too():
    """Message `id`: unique within its topic; a repeated publish leaves one message of that id in the topic."""
    topic = unique()
    with connect() as client:
        equal(client.ok("publish", topic=topic, id="a", body=1)["offset"], 0, "offset")
        again = client.call("publish", topic=topic, id="a", body=1)
        assert (again["ok"] and again.get("offset") == 0) or again.get("error") == "exists", f"the same again: {again!r}"
        client.ok("publish", topic=topic, id="b", body=1)
        equal([message["id"] for message in fetch_all(client, topic, "g", 2)], ["a", "b"], "ids in the topic")


@case
def cancel_tells_what_became_of_it():
    """`cancel`: `cancelled` · `released` · `unknown`."""
    topic = unique()
    with connect() as client:
        equal(client.ok("cancel", topic=topic, id="never")["outcome"], "unknown")
        client.ok("schedule", topic=topic, id="pending", body=1, delayMs=HOUR_MS)
        client.ok("schedule", topic=topic, id="out", body=1, delayMs=0)
        equal(client.ok("cancel", topic=topic, id="pending")["outcome"], "cancelled")
        wait_released(client, topic, "out")
        equal(client.ok("cancel", topic=topic, id="out")["outcome"], "released")
        again = client.ok("cancel", topic=topic, id="pending")["outcome"]
        assert again in ("cancelled", "unknown"), f"a second cancel: {again!r}"
        equal(topic_row(client, topic)["pending"], 0, "pending")


@case
def an_acknowledged_cancel_is_never_released():
    """An acknowledged cancel is never released."""
    topic, count = unique(), 300
    with connect() as client:
        rids = client.send_many(("schedule", {"topic": topic, "id": f"m{n}", "body": n, "delayMs": 300 + n}) for n in range(count))
        last = max(client.reply(rid)["deliverAtMs"] for rid in rids)
        rids = client.send_many(("cancel", {"topic": topic, "id": f"m{n}"}) for n in range(0, count, 2))
        outcomes = {f"m{2 * n}": client.reply(rid)["outcome"] for n, rid in enumerate(rids)}
        assert set(outcomes.values()) <= {"cancelled", "released"}, f"outcomes: {set(outcomes.values())}"
        cancelled = {name for name, outcome in outcomes.items() if outcome == "cancelled"}
        wait_until_ms(last + 200)
        messages = fetch_all(client, topic, "g", count - len(cancelled))
        equal({message["id"] for message in messages}, {f"m{n}" for n in range(count)} - cancelled, "released ids")
        equal(topic_row(client, topic)["nextOffset"], count - len(cancelled), "messages in the topic")


@case
def reschedule_moves_a_pending_message():
    """`reschedule`: `rescheduled` · `released` · `unknown`; `deliverAtMs` when rescheduled."""
    topic = unique()
    with connect() as client:
        client.ok("schedule", topic=topic, id="a", body={"kept": 1}, key="k", tag="t", headers={"h": "1"}, delayMs=HOUR_MS)
        due = (now_ms() // 1000 + 10_800) * 1000
        text = datetime.datetime.fromtimestamp(due // 1000, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.0001Z")
        for time, expected in (({"deliverAtMs": due}, due), ({"deliverAt": text}, due + 1)):
            reply = client.ok("reschedule", topic=topic, id="a", **time)
            equal((reply["outcome"], reply["deliverAtMs"]), ("rescheduled", expected), "reschedule")
            state = client.ok("get", topic=topic, id="a")
            equal([state.get(field) for field in ("state", "deliverAtMs", "body", "key", "tag", "headers")],
                  ["pending", expected, {"kept": 1}, "k", "t", {"h": "1"}], "the moved message")
        equal(client.ok("reschedule", topic=topic, id="a", delayLevel=18)["outcome"], "rescheduled")
        assert client.ok("reschedule", topic=topic, id="a", delayMs=0)["outcome"] == "rescheduled", "to now"
        equal([message["id"] for message in fetch_all(client, topic, "g", 1)], ["a"], "released after the move to now")
        equal(client.ok("reschedule", topic=topic, id="a", delayMs=1)["outcome"], "released")
        equal(client.ok("reschedule", topic=topic, id="never", delayMs=1)["outcome"], "unknown")
        equal(topic_row(client, topic)["nextOffset"], 1, "messages in the topic")


@case
def a_cancelled_message_cannot_be_rescheduled():
    """An acknowledged cancel is never released: reschedule does not bring it back."""
    topic = unique()
    with connect() as client:
        client.ok("schedule", topic=topic, id="a", body=1, delayMs=HOUR_MS)
        client.ok("cancel", topic=topic, id="a")
        equal(client.ok("reschedule", topic=topic, id="a", delayMs=0)["outcome"], "unknown")
        client.ok("publish", topic=topic, id="z", body=1)
        equal([message["id"] for message in fetch_all(client, topic, "g", 1)], ["z"], "ids in the topic")


@case
def a_message_moved_later_is_not_released_at_its_old_time():
    """`rescheduled`: released at the new time, once."""
    topic = unique()
    with connect() as client:
        old = client.ok("schedule", topic=topic, id="a", body=1, delayMs=800)["deliverAtMs"]
        reply = client.ok("reschedule", topic=topic, id="a", delayMs=2_000)
        message, = fetch_all(client, topic, "g", 1)
        if reply["outcome"] == "rescheduled":
            assert message["deliverAtMs"] == reply["deliverAtMs"] > old, f"released at the new time: {message!r}"
        equal(topic_row(client, topic)["nextOffset"], 1, "messages in the topic")


@case
def get_tells_the_state():
    """`get`: `pending` · `released` · `cancelled` · `unknown`; when pending also its times, body, key, tag, headers."""
    topic = unique()
    with connect() as client:
        equal(client.ok("get", topic=topic, id="never")["state"], "unknown")
        before = client.ok("ping")["nowMs"]
        due = client.ok("schedule", topic=topic, id="full", body=[1], key="k", tag="t", headers={"h": "1"}, delayMs=HOUR_MS)["deliverAtMs"]
        state = client.ok("get", topic=topic, id="full")
        equal([state[field] for field in ("state", "deliverAtMs", "body", "key", "tag", "headers")],
              ["pending", due, [1], "k", "t", {"h": "1"}], "a pending message")
        assert before <= state["scheduledAtMs"] <= client.ok("ping")["nowMs"], f"scheduledAtMs: {state!r}"
        client.ok("schedule", topic=topic, id="bare", body=None, delayMs=HOUR_MS)
        bare = client.ok("get", topic=topic, id="bare")
        assert not {"key", "tag", "headers"} & set(bare), f"only when set: {bare!r}"
        equal(bare["body"], None, "body")
        client.ok("cancel", topic=topic, id="full")
        equal(client.ok("get", topic=topic, id="full")["state"], "cancelled")
        client.ok("schedule", topic=topic, id="out", body=1, delayMs=0)
        wait_released(client, topic, "out")
