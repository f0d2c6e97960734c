"""The Scheduling section: the four times, refusals of times, acknowledgement levels, bodies, order, `publish`, names."""

import datetime

from escapement_driver import equal, eventually, fetch_all, now_ms, topic_row, unique, wait_until_ms
from suite import case, connect, own

HOUR_MS = 3_600_000
LEVELS = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"
UNIT_MS = {"s": 1_000, "m": 60_000, "h": HOUR_MS, "d": 24 * HOUR_MS}

# Service time and this clock may be apart by what is slewed rather than followed (`clockStepMs`).
CLOCK_SLACK_MS = 1_000

BODIES = (
    b'{"a" : 1 ,  "b":[1,2 , 3]}', b"1e400", b"-1E-400", b"-0", b"-0.0", b"1.0", b"1E+2", b"123456789012345678901234567890",
    b"0.1000000000000000055511151231257827", b'"\\u0041\\/\\n\\u00e9"', b'"\\ud83d\\ude00"', '"é😀\u2028"'.encode(), b'"\\u0000"',
    b"null", b"true", b"false", b'""', b"[]", b"{}", b"[ ]", b"{\t}", b'{"":""}', b'{"b":1,"a":2}', b'"\\"body\\":1"',
    b'{"op":"ping","rid":1,"topic":"x"}', b"[[[[[[[[[[1]]]]]]]]]]", b'"' + b"x" * 100_000 + b'"',
)


def rfc3339(ms, fraction, offset_minutes):
    """A moment (whole seconds of `ms`) with this fraction of a second, written in this offset; None writes `Z`."""
    zone = datetime.timezone(datetime.timedelta(minutes=offset_minutes or 0))
    moment = datetime.datetime.fromtimestamp(ms // 1000, zone)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    suffix = "Z" if offset_minutes is None else moment.strftime("%z")[:3] + ":" + moment.strftime("%z")[3:]
    return text + (f".{fraction}" if fraction else "") + suffix


def check_counted(before_ms, reply, delay_ms):
    """A delay is counted from the moment the server got the request, rounded up."""
    low, high = before_ms - CLOCK_SLACK_MS + delay_ms, now_ms() + CLOCK_SLACK_MS + delay_ms
    assert low <= reply["deliverAtMs"] <= high, f"deliverAtMs is not now + {delay_ms}: {reply!r}"


@case
def delay_ms_counts_from_now():
    """`delayMs` (≥ 0): reply `id`, `deliverAtMs`, `outcome`."""
    with connect() as client:
        for delay in (1, 1_000, HOUR_MS, 365 * 24 * HOUR_MS):
            before = now_ms()
            reply = client.ok("schedule", topic=unique(), id="a", body=1, delayMs=delay)
            equal((reply["id"], reply["outcome"]), ("a", "scheduled"))
            check_counted(before, reply, delay)


@case
def deliver_at_ms_is_taken_as_it_is():
    """`deliverAtMs`: the reply shows the same time."""
    topic = unique()
    with connect() as client:
        for ahead in (30_000, HOUR_MS + 1, 400 * 24 * HOUR_MS):
            due = now_ms() + ahead
            equal(client.ok("schedule", topic=topic, body=1, deliverAtMs=due)["deliverAtMs"], due, "deliverAtMs")


@case
def deliver_at_is_rfc_3339_rounded_up():
    """`deliverAt` (RFC 3339 with offset, ms or finer, rounded up)."""
    topic, base = unique(), (now_ms() // 1000 + 7_200) * 1000
    fractions = {"": 0, "1": 100, "12": 120, "123": 123, "1230": 123, "1230000": 123, "1230001": 124, "123000001": 124,
                 "0001": 1, "999": 999, "9990000001": 1_000, "999999999": 1_000, "000": 0, "0000": 0}
    with connect() as client:
        for fraction, ms in fractions.items():
            for offset in (None, 0, 120, -330, 825):
                text = rfc3339(base, fraction, offset)
                reply = client.ok("schedule", topic=topic, body=1, deliverAt=text)
                equal(reply["deliverAtMs"], base + ms, text)


@case
def deliver_at_that_is_no_time_is_refused():
    """`deliverAt` is RFC 3339 with offset: anything else is `bad_request`."""
    topic = unique()
    texts = ("", "now", "2031-01-01", "2031-01-01T00:00:00", "2031-13-01T00:00:00Z", "2031-02-30T00:00:00Z", "2031-01-01T24:00:00Z",
             "2031-01-01T00:60:00Z", "2031-01-01T00:00:00+25:00", "2031-01-01T00:00:00.Z", "2031-01-01T00:00:00Zz",
             "31-01-01T00:00:00Z", "2031-1-1T00:00:00Z", "2031-01-01T00:00:00+0100", "1900000000000", "2031-00-10T00:00:00Z",
             "2030-02-29T00:00:00Z", "２０３１-01-01T00:00:00Z")
    with connect() as client:
        for text in texts:
            reply = client.refused("bad_request", "schedule", topic=topic, body=1, deliverAt=text)
            assert "deliverAt" in reply["message"], f"the message names the field: {reply!r}"
        client.refused("bad_request", "schedule", topic=topic, body=1, deliverAt=1_900_000_000_000)
        equal(topic_row(client, topic), None, "the topic of refused requests")


@case
def delay_level_is_looked_up_in_the_table():
    """`delayLevel` (1…n of the level table)."""
    topic = unique()
    with connect() as client:
        for level, text in enumerate(LEVELS.split(), start=1):
            before = now_ms()
            reply = client.ok("schedule", topic=topic, body=1, delayLevel=level)
            check_counted(before, reply, int(text[:-1]) * UNIT_MS[text[-1]])
        for level in (0, -1, 19, 2**40):
            client.refused(("bad_request", "delay_out_of_range"), "schedule", topic=topic, body=1, delayLevel=level)


@case
def the_level_table_can_be_set():
    """The level table is a setting of the server."""
    client = own("--delay-levels", "7s 3m 1d").client()
    for level, delay in enumerate((7_000, 180_000, 24 * HOUR_MS), start=1):
        before = now_ms()
        check_counted(before, client.ok("schedule", topic="t", body=1, delayLevel=level), delay)
    client.refused(("bad_request", "delay_out_of_range"), "schedule", topic="t", body=1, delayLevel=4)


@case
def exactly_one_time_is_given():
    """Exactly one of `delayMs` · `deliverAtMs` · `deliverAt` · `delayLevel`."""
    topic = unique()
    times = {"delayMs": 60_000, "deliverAtMs": now_ms() + 60_000, "deliverAt": "2031-01-01T00:00:00Z", "delayLevel": 5}
    with connect() as client:
        client.refused("bad_request", "schedule", topic=topic, body=1)
        for first in times:
            for second in times:
                if first != second:
                    two = {first: times[first], second: times[second]}
                    client.refused("bad_request", "schedule", topic=topic, body=1, **two)
                    client.refused("bad_request", "reschedule", topic=topic, id="a", **two)
        client.refused("bad_request", "schedule", topic=topic, body=1, **times)
        client.refused("bad_request", "reschedule", topic=topic, id="a")
        equal(topic_row(client, topic), None, "the topic of refused requests")


@case
def a_past_time_or_0_releases_at_once():
    """A past time or 0 releases at once."""
    topic = unique()
    times = ({"delayMs": 0}, {"deliverAtMs": 0}, {"deliverAtMs": 1}, {"deliverAtMs": now_ms() - HOUR_MS},
             {"deliverAt": "1999-12-31T23:59:59.5+01:00"}, {"deliverAt": "1970-01-01T00:00:00Z"})
    with connect() as client:
        ids = [client.ok("schedule", topic=topic, body=1, **time)["id"] for time in times]
        equal(sorted(message["id"] for message in fetch_all(client, topic, "g", len(ids))), sorted(ids), "released ids")


@case
def over_the_longest_delay_is_out_of_range():
    """Over `maxDelayMs` (default 10 years) or overflow: `delay_out_of_range`."""
    client, topic = own("--max-delay-ms", 100_000).client(), unique()
    client.ok("schedule", topic=topic, id="edge", body=1, delayMs=100_000)
    out = [{"delayMs": delay} for delay in (100_001, 2**31, 2**53, 2**63 - 1)]
    out += [{"deliverAtMs": now_ms() + 100_000 + HOUR_MS}, {"deliverAtMs": 2**63 - 1}, {"deliverAt": "9999-12-31T23:59:59Z"},
            {"delayLevel": 18}]
    for time in out:
        client.refused("delay_out_of_range", "schedule", topic=topic, body=1, **time)
        client.refused("delay_out_of_range", "reschedule", topic=topic, id="edge", **time)
    for time in ({"delayMs": 2**63}, {"delayMs": 2**64}, {"delayMs": 10**40}, {"deliverAtMs": 2**63}, {"deliverAtMs": 2**64 + 1}):
        client.refused(("delay_out_of_range", "bad_request"), "schedule", topic=topic, body=1, **time)
    equal(client.ok("get", topic=topic, id="edge")["state"], "pending", "the message that refused reschedules left alone")
    equal(topic_row(client, topic)["pending"], 1, "pending")


@case
def the_default_longest_delay_is_ten_years():
    """Over `maxDelayMs` (default 10 years): `delay_out_of_range`."""
    with connect() as client:
        longest = client.ok("hello", protocol=1)["maxDelayMs"]
        client.ok("schedule", topic=unique(), body=1, delayMs=longest)
        client.refused("delay_out_of_range", "schedule", topic=unique(), body=1, delayMs=longest + 1)


@case
def a_negative_time_is_refused():
    """Negative: `bad_request`."""
    with connect() as client:
        for time in ({"delayMs": -1}, {"delayMs": -(2**63)}, {"deliverAtMs": -1}, {"deliverAtMs": -(2**62)}):
            reply = client.refused("bad_request", "schedule", topic=unique(), body=1, **time)
            assert next(iter(time)) in reply["message"], f"the message names the field: {reply!r}"


@case
def acks_memory_and_disk_are_answered():
    """`acks` (`"disk"` default: reply when it is on stable storage · `"memory"`: reply when accepted)."""
    topic = unique()
    with connect() as client:
        for acks in ("disk", "memory"):
            equal(client.ok("schedule", topic=topic, id=acks, body=1, delayMs=HOUR_MS, acks=acks)["outcome"], "scheduled")
            assert "offset" in client.ok("publish", topic=topic, body=1, acks=acks), "publish gives an offset"


@case
def acks_none_is_silent_unless_refused():
    """`"none"`: no reply at all unless it is refused."""
    topic = unique()
    with connect() as client:
        client.send("schedule", topic=topic, id="a", body=1, delayMs=HOUR_MS, acks="none", rid="silent")
        client.send("publish", topic=topic, id="b", body=1, acks="none", rid="silent too")
        equal(client.ok("get", topic=topic, id="a")["state"], "pending", "state of the silent schedule")
        assert not client.replies, f"no reply at all: {client.replies!r}"
        equal([message["id"] for message in fetch_all(client, topic, "g", 1)], ["b"], "the silent publish")
        client.send("schedule", topic=topic, body=1, delayMs=-1, acks="none", rid="loud")
        refusal = client.recv()
        equal((refusal["ok"], refusal["error"], refusal["rid"]), (False, "bad_request", "loud"), "refusal")


@case
def a_body_is_kept_byte_for_byte():
    """`body` (any JSON value, kept byte for byte)."""
    topic = unique()
    with connect() as client:
        for number, body in enumerate(BODIES):
            for op, extra in (("publish", b""), ("schedule", b',"delayMs":0'), ("schedule", b',"delayMs":%d' % HOUR_MS)):
                message_id = f"{op}-{number}-{len(extra)}"
                client.send_raw(b'{"op":"%s","topic":"%s","id":"%s","body": %s %s}\n' % (
                    op.encode(), topic.encode(), message_id.encode(), body, extra))
                assert client.recv()["ok"], f"{op} of the body {body[:60]!r}"
                if extra and extra != b',"delayMs":0':
                    equal(client.ok("get", topic=topic, id=message_id).bodies(), [body], "body in get")
                else:
                    client.send("fetch", topic=topic, group="g", max=1, waitMs=30_000)
                    equal(client.recv().bodies(), [body], f"body in fetch of {op}")


@case
def pushed_bodies_are_kept_byte_for_byte():
    """`body` (any JSON value, kept byte for byte), in events too."""
    topic = unique()
    with connect() as client:
        client.ok("subscribe", topic=topic, group="g")
        for body in BODIES:
            client.send_raw(b'{"op":"publish","body":%s,"topic":"%s","acks":"none"}\n' % (body, topic.encode()))
        for body in BODIES:
            equal(client.event().bodies(), [body], "body in the event")


@case
def never_released_before_its_time():
    """Never released before `deliverAtMs`."""
    topic, delays = unique(), [0, 1, 2, 3, 5, 7, 10, 19, 20, 21, 50, 99, 399, 400, 401, 777, 1_200] * 6
    with connect() as client:
        client.ok("subscribe", topic=topic, group="g", credit=1_000)
        rids = client.send_many(("schedule", {"topic": topic, "id": f"m{n}", "body": n, "delayMs": delay})
                                for n, delay in enumerate(delays))
        due = {reply["id"]: reply["deliverAtMs"] for reply in map(client.reply, rids)}
        for event in client.take(len(delays)):
            assert event["deliverAtMs"] >= due.pop(event["id"]), f"released before the promised time: {event!r}"
        equal(due, {}, "what was not released")


@case
def messages_leave_in_due_order():
    """A topic is a log of released messages: they enter it in the order of their due times."""
    topic, base, count = unique(), now_ms() + 2_500, 400
    with connect() as client:
        dues = [base + (n * 7919) % count for n in range(count)]
        rids = client.send_many(("schedule", {"topic": topic, "body": n, "deliverAtMs": due}) for n, due in enumerate(dues))
        accepted = [client.reply(rid)["deliverAtMs"] for rid in rids]
        accepted_in_time = now_ms() < base
        messages = fetch_all(client, topic, "g", count)
        equal([message["offset"] for message in messages], list(range(count)), "offsets")
        if accepted_in_time:
            equal([message["deliverAtMs"] for message in messages], sorted(accepted), "due times in offset order")


@case
def one_millisecond_keeps_the_order_of_acceptance():
    """Messages due in the same millisecond are released in the order in which they were accepted."""
    topic, count, due = unique(), 4_000, now_ms() + 4_000
    with connect() as client:
        rids = client.send_many(
            ("schedule", {"topic": topic, "id": f"m{n}", "body": n, "deliverAtMs": due, "acks": "memory"}) for n in range(count))
        for rid in rids:
            assert client.reply(rid)["ok"]
        messages = fetch_all(client, topic, "g", count)
        equal([message["id"] for message in messages], [f"m{n}" for n in range(count)], "ids in offset order")
        equal([message["offset"] for message in messages], list(range(count)), "offsets")


@case
def one_millisecond_keeps_the_order_of_acceptance_from_far_and_near():
    """Messages due in the same millisecond are released in the order in which they were accepted, from far and from near."""
    topic, due = unique(), now_ms() + 3_000
    with connect() as client:
        for n in range(30):
            if n % 10 == 0:
                wait_until_ms(due - 3_000 + n * 70)
            client.ok("schedule", topic=topic, id=f"m{n:02}", body=n, deliverAtMs=due)
        accepted_in_time = now_ms() < due
        messages = fetch_all(client, topic, "g", 30)
        ids = [message["id"] for message in messages]
        equal(sorted(ids), [f"m{n:02}" for n in range(30)], "ids")
        if accepted_in_time:
            equal(ids, sorted(ids), "ids in offset order")


@case
def publish_gives_dense_offsets():
    """`publish`: reply `id`, `offset`; offsets are 0, 1, 2, …"""
    topic = unique()
    with connect() as client:
        for offset in range(20):
            reply = client.ok("publish", topic=topic, id=f"p{offset}", body=offset)
            equal((reply["id"], reply["offset"]), (f"p{offset}", offset), "publish")
        rids = client.send_many(("publish", {"topic": topic, "body": n}) for n in range(500))
        equal([client.reply(rid)["offset"] for rid in rids], list(range(20, 520)), "offsets of pipelined publishes")


@case
def key_tag_and_headers_come_with_the_message_only_when_set():
    """`key`, `tag`, `headers` only when set."""
    topic, headers = unique(), {"a": "1", "ü": "😀 \"x\"", "": "", "empty": ""}
    with connect() as client:
        client.ok("publish", topic=topic, body=1, key="k", tag="t", headers=headers)
        client.ok("schedule", topic=topic, body=2, delayMs=0, key="k2", tag="t2", headers={"b": "2"})
        client.ok("publish", topic=topic, body=3)
        full, delayed, bare = sorted(fetch_all(client, topic, "g", 3), key=lambda message: message["body"])
        equal((full["key"], full["tag"], full["headers"]), ("k", "t", headers), "published")
        equal((delayed["key"], delayed["tag"], delayed["headers"]), ("k2", "t2", {"b": "2"}), "scheduled")
        assert not {"key", "tag", "headers"} & set(bare), f"only when set: {bare!r}"


@case
def key_and_tag_have_limits():
    """`key` (ordering key, ≤ 256 bytes), `tag` (≤ 128 bytes)."""
    topic = unique()
    with connect() as client:
        for op, extra in (("publish", {}), ("schedule", {"delayMs": HOUR_MS})):
            client.ok(op, topic=topic, body=1, key="k" * 256, tag="t" * 128, **extra)
            client.ok(op, topic=topic, body=1, key="é" * 128, tag="é" * 64, **extra)
            for field, value in (("key", "k" * 257), ("key", "é" * 129), ("tag", "t" * 129), ("tag", "é" * 65)):
                reply = client.refused(("bad_request", "limit_exceeded"), op, topic=topic, body=1, **extra, **{field: value})
                assert field in reply["message"], f"the message names the field: {reply!r}"


@case
def topic_and_group_names_are_checked():
    """Topic and group: `[A-Za-z0-9._-]{1,128}`, not `.` or `..`."""
    good = ("a", "A.b_c-9", "...", "-", "_", ".a", "x" * 128)
    bad = ("", ".", "..", "a/b", "a b", "x" * 129, "ü", "a%b", "a\n", "a:b", "*", "a\u0000", "../x", "a\\b")
    with connect() as client:
        for name in good:
            client.ok("publish", topic=name, body=1)
            client.ok("fetch", topic=name, group=name)
        for name in bad:
            for op, fields in (("publish", {"body": 1}), ("schedule", {"body": 1, "delayMs": 1}), ("createTopic", {}),
                               ("cancel", {"id": "a"}), ("list", {}), ("subscribe", {}), ("deleteTopic", {})):
                reply = client.refused("bad_request", op, topic=name, **fields)
                assert "topic" in reply["message"], f"the message names the field: {reply!r}"
            reply = client.refused("bad_request", "fetch", topic="a", group=name)
            assert "group" in reply["message"], f"the message names the field: {reply!r}"


@case
def without_auto_create_unknown_topics_are_not_found():
    """Topics come into being on first use (a server setting turns that off: then `not_found`)."""
    client = own("--auto-create", "off").client()
    for op, fields in (("publish", {"body": 1}), ("schedule", {"body": 1, "delayMs": 1}), ("schedule", {"body": 1, "delayMs": 0}),
                       ("subscribe", {"group": "g"}), ("fetch", {"group": "g"})):
        client.refused("not_found", op, topic="nowhere", **fields)
    equal(client.ok("topics")["topics"], [], "topics")
    client.ok("createTopic", topic="here")
    client.ok("publish", topic="here", body=1)
    client.ok("schedule", topic="here", body=1, delayMs=1)
    eventually(lambda: topic_row(client, "here")["nextOffset"] == 2, what="both messages in the topic")
