"""Redelivery: ack wait, lost connections, `nack` and its back-off, `touch`, dead letters."""

import json
import time

from consuming import LONG_MS, offsets, publish_many
from escapement_driver import equal, eventually, fetch_all, group_row, topic_row, unique
from suite import case, connect


def elapsed_ms(began):
    return (time.monotonic() - began) * 1_000


@case
def not_acknowledged_in_time_is_delivered_again():
    """Not acknowledged within `ackWaitMs`: delivered again, `attempt` + 1, not earlier."""
    topic = unique()
    with connect() as client:
        sub = client.ok("subscribe", topic=topic, group="g", ackWaitMs=300)["sub"]
        began = time.monotonic()
        client.ok("publish", topic=topic, id="a", body={"same": [1]}, key="k", tag="t", headers={"h": "1"})
        first = client.event()
        for attempt in (2, 3):
            again = client.event()
            equal(again["attempt"], attempt, "attempt")
            assert elapsed_ms(began) >= 300 * (attempt - 1), f"delivered again too early: {again!r}"
            for field in ("sub", "offset", "id", "key", "tag", "headers", "body", "deliverAtMs", "releasedAtMs"):
                equal(again[field], first[field], field)
        eventually(lambda: client.ok("ack", sub=sub, offset=0)["acked"] == 1 or group_row(client, topic, "g")["lag"] == 0)
        client.pushes.clear()
        client.quiet(0.5)


@case
def a_fetched_message_is_delivered_again_too():
    """Not acknowledged within `ackWaitMs`: delivered again, also what was fetched."""
    topic = unique()
    with connect() as client:
        client.ok("publish", topic=topic, body=1)
        began = time.monotonic()
        equal(client.ok("fetch", topic=topic, group="g", ackWaitMs=400)["messages"][0]["attempt"], 1, "attempt")
        message, = client.ok("fetch", topic=topic, group="g", waitMs=60_000, ackWaitMs=LONG_MS)["messages"]
        equal((message["offset"], message["attempt"]), (0, 2), "offset and attempt")
        assert elapsed_ms(began) >= 400, "delivered again too early"


@case
def what_a_lost_connection_held_goes_to_another_member():
    """Or the connection gone: delivered again, `attempt` + 1, to any member."""
    topic = unique()
    with connect() as survivor:
        lost = connect()
        lost.ok("subscribe", topic=topic, group="g", ackWaitMs=LONG_MS)
        publish_many(survivor, topic, 20)
        equal(offsets(lost.take(20)), list(range(20)), "offsets of the first member")
        lost.ok("ack", topic=topic, group="g", offsets=[3, 7])
        survivor.ok("subscribe", topic=topic, group="g", ackWaitMs=LONG_MS)
        lost.close()
        again = survivor.take(18)
        equal(sorted(offsets(again)), [n for n in range(20) if n not in (3, 7)], "offsets of the other member")
        equal({event["attempt"] for event in again}, {2}, "attempts")
        survivor.quiet(0.1)


@case
def what_a_lost_fetcher_held_is_delivered_again():
    """Or the connection gone: delivered again, also what was fetched."""
    topic = unique()
    with connect() as client:
        client.ok("publish", topic=topic, body=1)
        with connect() as lost:
            equal(len(lost.ok("fetch", topic=topic, group="g", ackWaitMs=LONG_MS)["messages"]), 1, "fetched")
        message, = client.ok("fetch", topic=topic, group="g", waitMs=60_000, ackWaitMs=LONG_MS)["messages"]
        equal((message["offset"], message["attempt"]), (0, 2), "offset and attempt")


@case
def nack_with_a_delay():
    """`nack`: as `ack`, and `delayMs?`; reply `nacked`; delivered again after it, never earlier."""
    topic = unique()
    with connect() as client:
        sub = client.ok("subscribe", topic=topic, group="g", ackWaitMs=LONG_MS)["sub"]
        publish_many(client, topic, 3)
        client.take(3)
        began = time.monotonic()
        equal(client.ok("nack", sub=sub, offset=1, delayMs=600)["nacked"], 1, "nacked")
        equal(client.ok("nack", sub=sub, offset=2, delayMs=300)["nacked"], 1, "nacked")
        for offset, delay in ((2, 300), (1, 600)):
            event = client.event()
            equal((event["offset"], event["attempt"]), (offset, 2), "offset and attempt")
            assert elapsed_ms(began) >= delay, f"delivered again too early: {event!r}"
        equal(client.ok("nack", sub=sub, offsets=[0, 1, 2], delayMs=0)["nacked"], 3, "nacked at once")
        equal(sorted((event["offset"], event["attempt"]) for event in client.take(3)), [(0, 2), (1, 3), (2, 3)])
        equal(client.ok("nack", sub=sub, offset=99)["nacked"], 0, "one that was never delivered")
        equal(client.ok("ack", sub=sub, upTo=2)["acked"], 3, "acked")


@case
def nack_without_a_delay_backs_off():
    """`nack` without `delayMs`: after 1 s, doubled each attempt."""
    topic = unique()
    with connect() as client:
        sub = client.ok("subscribe", topic=topic, group="g", ackWaitMs=LONG_MS)["sub"]
        client.ok("publish", topic=topic, body=1)
        for attempt, wait_ms in ((1, 1_000), (2, 2_000)):
            equal(client.event()["attempt"], attempt, "attempt")
            began = time.monotonic()
            client.ok("nack", sub=sub, offset=0)
            equal(group_row(client, topic, "g")["inFlight"] <= 1, True, "inFlight")
            client.quiet(wait_ms / 1_000 * 0.5)
            event = client.event()
            assert elapsed_ms(began) >= wait_ms, f"delivered again after {elapsed_ms(began):.1f} ms: {event!r}"
            client.pushes.appendleft(event)


@case
def nack_by_topic_and_group():
    """`nack`: as `ack`: by `topic`+`group` too, from another connection."""
    topic = unique()
    with connect() as client, connect() as other:
        client.ok("subscribe", topic=topic, group="g", ackWaitMs=LONG_MS)
        client.ok("publish", topic=topic, body=1)
        client.event()
        equal(other.ok("nack", topic=topic, group="g", offset=0, delayMs=0)["nacked"], 1, "nacked")
        equal(client.event()["attempt"], 2, "attempt")


@case
def touch_starts_the_wait_anew():
    """`touch`: `touched`: their ack wait starts anew."""
    topic, wait_ms = unique(), 2_000
    with connect() as client:
        sub = client.ok("subscribe", topic=topic, group="g", ackWaitMs=wait_ms, maxAttempts=100)["sub"]
        client.ok("publish", topic=topic, body=1)
        event = client.event()
        began = time.monotonic()
        while elapsed_ms(began) < wait_ms * 1.5:
            touched_at = time.monotonic()
            touched = client.ok("touch", sub=sub, offset=0)["touched"]
            if touched == 1 and not client.pushes:
                last_touch = touched_at
                client.quiet(0.1)
            else:
                # The machine was so slow that the wait ended before the touch came: begin again.
                event, began = client.event(), time.monotonic()
        again = client.event()
        equal(again["attempt"], event["attempt"] + 1, "attempt")
        assert (again.at - last_touch) * 1_000 >= wait_ms, "delivered again before the new wait was over"
        equal(client.ok("touch", sub=sub, offset=77)["touched"], 0, "one that was never delivered")


@case
def after_max_attempts_a_nacked_message_is_a_dead_letter():
    """After `maxAttempts` deliveries the message goes to `<topic>.<group>.dlq` with headers added."""
    topic, body = unique(), b'{"kept" : 1e400}'
    with connect() as client:
        sub = client.ok("subscribe", topic=topic, group="g", maxAttempts=3, ackWaitMs=LONG_MS)["sub"]
        client.ok("publish", topic=topic, body="first")
        client.ok("ack", sub=sub, offset=client.event()["offset"])
        client.send_raw(b'{"op":"publish","topic":"%s","id":"bad","key":"k","tag":"t","headers":{"own":"1"},"body":%s,"acks":"none"}\n'
                        % (topic.encode(), body))
        for attempt in (1, 2, 3):
            equal(client.event()["attempt"], attempt, "attempt")
            equal(client.ok("nack", sub=sub, offset=1, delayMs=0)["nacked"], 1, "nacked")
        client.send("fetch", topic=f"{topic}.g.dlq", group="judge", waitMs=60_000, rid="dead")
        reply = client.reply("dead", timeout=60)
        letter, = reply["messages"]
        equal(reply.bodies(), [body], "body, byte for byte")
        headers = letter["headers"]
        equal([headers.get(name) for name in ("x-origin-topic", "x-origin-offset", "x-group", "x-attempts", "own")],
              [topic, "1", "g", "3", "1"], "headers")
        assert headers.get("x-reason"), f"x-reason says why: {headers!r}"
        equal((letter.get("key"), letter.get("tag"), letter["attempt"]), ("k", "t", 1), "key, tag, attempt")
        client.quiet()
        eventually(lambda: group_row(client, topic, "g")["lag"] == 0, what="lag 0 without the dead letter")
        equal(topic_row(client, f"{topic}.g.dlq")["nextOffset"], 1, "dead letters")


@case
def after_max_attempts_an_unacknowledged_message_is_a_dead_letter():
    """After `maxAttempts` deliveries: also when the ack wait ran out each time."""
    topic = unique()
    with connect() as client:
        client.ok("subscribe", topic=topic, group="g", maxAttempts=2, ackWaitMs=150)
        publish_many(client, topic, 5)
        letters = fetch_all(client, f"{topic}.g.dlq", "judge", 5, ackWaitMs=LONG_MS)
        equal(sorted(letter["headers"]["x-origin-offset"] for letter in letters), list("01234"), "x-origin-offset")
        equal({letter["headers"]["x-attempts"] for letter in letters}, {"2"}, "x-attempts")
        delivered = sorted((event["offset"], event["attempt"]) for event in client.pushes)
        equal(delivered, sorted((n, attempt) for n in range(5) for attempt in (1, 2)), "deliveries")


@case
def one_attempt_means_no_redelivery():
    """`maxAttempts?`: 1: the first refusal makes a dead letter; other groups are not touched by it."""
    topic = unique()
    with connect() as client:
        client.ok("publish", topic=topic, body="x")
        sub = client.ok("subscribe", topic=topic, group="g", maxAttempts=1, ackWaitMs=LONG_MS)["sub"]
        client.event()
        client.ok("nack", sub=sub, offset=0, delayMs=0)
        letter, = fetch_all(client, f"{topic}.g.dlq", "judge", 1)
        equal(json.loads(json.dumps(letter["body"])), "x", "body")
        equal([m["body"] for m in fetch_all(client, topic, "other", 1)], ["x"], "another group")
        equal(topic_row(client, topic)["nextOffset"], 1, "the topic itself")


@case
def a_nacked_message_gives_its_credit_back():
    """`credit?` (unacknowledged at a time): a refused message does not hold up the others while it waits."""
    topic = unique()
    with connect() as client:
        publish_many(client, topic, 3)
        sub = client.ok("subscribe", topic=topic, group="g", credit=1, ackWaitMs=LONG_MS)["sub"]
        equal(client.event()["offset"], 0, "the first")
        client.ok("nack", sub=sub, offset=0, delayMs=LONG_MS)
        equal(client.event()["offset"], 1, "the next")
