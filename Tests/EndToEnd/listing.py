"""The operation `list`: what is pending, in due order, page by page."""

from escapement_driver import equal, fetch_all, now_ms, unique, wait_until_ms
from suite import case, connect

HOUR_MS = 3_600_000


def pages(client, topic, **fields):
    """Every page of `list`."""
    cursor = {}
    while True:
        reply = client.ok("list", topic=topic, **fields, **cursor)
        yield reply["messages"]
        if "cursor" not in reply:
            return
        assert reply["messages"], "a page before the last one is not empty"
        cursor = {"cursor": reply["cursor"]}


def listed(client, topic, **fields):
    return [message for page in pages(client, topic, **fields) for message in page]


def schedule_many(client, topic, dues):
    """Schedules m0, m1, … at these times; gives [(due, id)]."""
    rids = client.send_many(("schedule", {"topic": topic, "id": f"m{n}", "body": n, "deliverAtMs": due, "acks": "memory"})
                            for n, due in enumerate(dues))
    return [(reply["deliverAtMs"], reply["id"]) for reply in map(client.reply, rids)]


@case
def an_entry_shows_the_message_without_its_body():
    """`messages`: [{`id` `deliverAtMs` `scheduledAtMs` `key?` `tag?`}]"""
    topic = unique()
    with connect() as client:
        before = client.ok("ping")["nowMs"]
        due = client.ok("schedule", topic=topic, id="a", body=1, key="k", tag="t", headers={"h": "1"}, delayMs=HOUR_MS)["deliverAtMs"]
        client.ok("schedule", topic=topic, id="b", body=1, delayMs=2 * HOUR_MS)
        first, second = client.ok("list", topic=topic)["messages"]
        assert before <= first.pop("scheduledAtMs") <= client.ok("ping")["nowMs"], "scheduledAtMs"
        equal(first, {"id": "a", "deliverAtMs": due, "key": "k", "tag": "t"}, "a full entry")
        equal(set(second), {"id", "deliverAtMs", "scheduledAtMs"}, "fields of a bare entry")


@case
def entries_come_in_due_order_near_and_far():
    """`list`: in due order, near and far, page by page; `cursor` when there is more."""
    topic, base = unique(), now_ms() + 300_000
    steps = (0, 1, 999, 60_000, HOUR_MS, 30 * 24 * HOUR_MS, 3_000 * 24 * HOUR_MS)
    dues = [base + steps[n % 7] + (n * 7919) % 3_001 for n in range(3_000)]
    with connect() as client:
        expected = sorted(schedule_many(client, topic, dues), key=lambda entry: entry[0])
        for limit in (1_000, 700):
            entries = listed(client, topic, limit=limit)
            equal([entry["deliverAtMs"] for entry in entries], [due for due, _ in expected], f"due times, limit {limit}")
            equal(sorted((entry["deliverAtMs"], entry["id"]) for entry in entries), sorted(expected), "entries")


@case
def one_millisecond_is_paged_completely():
    """`cursor` when there is more: pages that end inside one millisecond lose and repeat nothing, in order of acceptance."""
    topic, due = unique(), now_ms() + HOUR_MS
    with connect() as client:
        schedule_many(client, topic, [due] * 250)
        for limit in (1, 7, 100):
            equal([entry["id"] for entry in listed(client, topic, limit=limit)], [f"m{n}" for n in range(250)], f"ids, limit {limit}")


@case
def a_page_has_100_entries_unless_told():
    """`limit?` (≤ 1000, default 100)."""
    topic = unique()
    with connect() as client:
        schedule_many(client, topic, [now_ms() + HOUR_MS + n for n in range(1_100)])
        equal(len(client.ok("list", topic=topic)["messages"]), 100, "default")
        equal(len(client.ok("list", topic=topic, limit=1_000)["messages"]), 1_000, "the most")
        equal(len(client.ok("list", topic=topic, limit=1)["messages"]), 1, "the least")


@case
def the_last_page_has_no_cursor():
    """`cursor` when there is more."""
    topic = unique()
    with connect() as client:
        schedule_many(client, topic, [now_ms() + HOUR_MS + n for n in range(10)])
        assert "cursor" not in client.ok("list", topic=topic, limit=11), "no more: no cursor"
        assert "cursor" in client.ok("list", topic=topic, limit=9), "more: a cursor"
        equal(sum(len(page) for page in pages(client, topic, limit=5)), 10, "entries")


@case
def a_range_of_time_is_listed():
    """`fromMs?` `toMs?`: only what is due between them."""
    topic, base = unique(), now_ms() + HOUR_MS
    with connect() as client:
        schedule_many(client, topic, [base + n * 1_000 for n in range(100)])
        between = listed(client, topic, fromMs=base + 19_500, toMs=base + 70_500, limit=20)
        equal([entry["id"] for entry in between], [f"m{n}" for n in range(20, 71)], "between")
        equal([entry["id"] for entry in listed(client, topic, fromMs=base + 95_500)], [f"m{n}" for n in range(96, 100)], "from")
        equal([entry["id"] for entry in listed(client, topic, toMs=base + 3_500)], [f"m{n}" for n in range(4)], "to")
        equal(listed(client, topic, fromMs=base + 200_000), [], "behind the last one")
        assert "m50" in [entry["id"] for entry in listed(client, topic, fromMs=base + 50_000)], "fromMs is included"


@case
def what_is_no_longer_pending_is_not_listed():
    """`list` shows pending messages: not the cancelled, released or published ones, and the moved ones at their new place."""
    topic, base = unique(), now_ms() + HOUR_MS
    with connect() as client:
        schedule_many(client, topic, [base + n for n in range(10)])
        client.ok("publish", topic=topic, id="p", body=1)
        client.ok("cancel", topic=topic, id="m0")
        client.ok("reschedule", topic=topic, id="m1", delayMs=0)
        client.ok("reschedule", topic=topic, id="m2", deliverAtMs=base + 50)
        client.ok("schedule", topic=topic, id="m3", body=1, deliverAtMs=base + 60, ifExists="replace")
        fetch_all(client, topic, "g", 2)
        equal([entry["id"] for entry in listed(client, topic, limit=3)], ["m4", "m5", "m6", "m7", "m8", "m9", "m2", "m3"], "ids")


@case
def a_cursor_survives_changes_between_pages():
    """`cursor`: what stays pending through all pages is listed exactly once, whatever happens in between."""
    topic, base = unique(), now_ms() + HOUR_MS
    with connect() as client:
        schedule_many(client, topic, [base + 10 * n for n in range(200)])
        seen = []
        for number, page in enumerate(pages(client, topic, limit=20)):
            seen += [entry["id"] for entry in page]
            client.ok("cancel", topic=topic, id=page[-1]["id"])
            client.ok("schedule", topic=topic, id=f"new{number}", body=1, deliverAtMs=base + 5)
        old = [name for name in seen if name.startswith("m")]
        equal(old, [f"m{n}" for n in range(200)], "the ones that were there from the beginning")


@case
def a_cursor_that_is_none_is_refused():
    """`cursor?`: one that no reply gave is `bad_request`."""
    topic = unique()
    with connect() as client:
        client.ok("schedule", topic=topic, body=1, delayMs=HOUR_MS)
        for cursor in ("nonsense", "😀", "x" * 5_000):
            client.refused("bad_request", "list", topic=topic, cursor=cursor)


@case
def an_empty_topic_lists_nothing():
    """`list` of a topic with nothing pending is empty."""
    topic = unique()
    with connect() as client:
        client.ok("createTopic", topic=topic)
        equal(client.ok("list", topic=topic)["messages"], [], "messages")
        due = client.ok("schedule", topic=topic, body=1, delayMs=50)["deliverAtMs"]
        wait_until_ms(due)
        fetch_all(client, topic, "g", 1)
        equal(client.ok("list", topic=topic)["messages"], [], "messages after the release")
