"""What belongs to a group, what to a member, and what happens when members come and go."""

import socket

from consuming import LONG_MS, offsets, publish_many
from escapement_driver import equal, eventually, fetch_all, group_row, topic_row, unique
from suite import case, connect


@case
def tags_order_and_attempts_belong_to_the_group():
    """`tags`, `ordered` and `maxAttempts` belong to the group: what the last `subscribe` or `fetch` said holds for all."""
    topic = unique()
    with connect() as first, connect() as second, connect() as sender:
        first.ok("subscribe", topic=topic, group="g", tags=["red"], maxAttempts=9, ackWaitMs=LONG_MS)
        second.ok("subscribe", topic=topic, group="g", tags=["blue"], maxAttempts=1, ackWaitMs=LONG_MS)
        for n in range(20):
            sender.ok("publish", topic=topic, body=n, tag=("red", "blue")[n % 2])
        events = first.take(5) + second.take(5)
        equal(sorted(offsets(events)), list(range(1, 20, 2)), "the tags of the last one hold for both")
        sender.ok("nack", topic=topic, group="g", offset=events[0]["offset"], delayMs=0)
        letter, = fetch_all(sender, f"{topic}.g.dlq", "judge", 1)
        equal(letter["headers"]["x-attempts"], "1", "the attempts of the last one hold for both")
        sender.ok("ack", topic=topic, group="g", upTo=19)
        equal(sender.ok("fetch", topic=topic, group="g")["messages"], [], "a fetch without tags")
        sender.ok("publish", topic=topic, body="red", tag="red")
        eventually(lambda: first.pushes or second.pushes or first.poll(0.05) or second.poll(0.05), what="a red message now")


@case
def credit_and_ack_wait_belong_to_the_member():
    """`credit` and `ackWaitMs` belong to the member."""
    topic = unique()
    with connect() as first, connect() as second, connect() as sender:
        first.ok("subscribe", topic=topic, group="g", credit=3, ackWaitMs=LONG_MS)
        second.ok("subscribe", topic=topic, group="g", credit=5, ackWaitMs=LONG_MS)
        publish_many(sender, topic, 20)
        seen = offsets(first.take(3) + second.take(5))
        equal(sorted(seen), list(range(8)), "offsets of both")
        first.quiet(0.1)
        second.quiet(0.1)
        equal(group_row(sender, topic, "g")["inFlight"], 8, "inFlight")
    with connect() as patient, connect() as sender:
        # The impatient member's own wait decides for what it was given, not that of the other one.
        other = unique()
        patient.ok("subscribe", topic=other, group="g", credit=1, ackWaitMs=LONG_MS)
        publish_many(sender, other, 1)
        patient.event()
        with connect() as hasty:
            hasty.ok("subscribe", topic=other, group="g", credit=1, ackWaitMs=200, maxAttempts=1_000)
            publish_many(sender, other, 1)
            equal([(event["offset"], event["attempt"]) for event in hasty.take(2)], [(1, 1), (1, 2)], "the hasty one")
            patient.quiet(0.1)


@case
def members_take_turns():
    """Members of one group share its messages, in turns: with equal credit, equal parts."""
    topic, count = unique(), 4
    members = [connect() for _ in range(count)]
    with connect() as sender:
        for member in members:
            member.ok("subscribe", topic=topic, group="g", credit=1_000, ackWaitMs=LONG_MS)
        publish_many(sender, topic, 400)
        shares = [len(member.take(100)) for member in members]
        equal(shares, [100] * count, "shares")
        for member in members:
            member.quiet(0.05)
        for member in members:
            member.close()


@case
def members_take_turns_behind_a_filter():
    """Messages that are passed over (`tags`) take nobody's turn."""
    topic = unique()
    with connect() as first, connect() as second, connect() as sender:
        for member in (first, second):
            member.ok("subscribe", topic=topic, group="g", credit=1_000, tags=["red"], ackWaitMs=LONG_MS)
        sender.ok("scheduleMany", topic=topic, messages=[
            {"body": n, "delayMs": 0, "tag": ("red", "blue")[n % 2]} for n in range(200)])
        equal((len(first.take(50)), len(second.take(50))), (50, 50), "shares")


@case
def a_member_that_unsubscribes_gives_back_what_it_had():
    """`unsubscribe`: what the subscription had not acknowledged is delivered again, `attempt` + 1, to any member."""
    topic = unique()
    with connect() as leaving, connect() as staying:
        sub = leaving.ok("subscribe", topic=topic, group="g", ackWaitMs=LONG_MS)["sub"]
        publish_many(leaving, topic, 6)
        equal(offsets(leaving.take(6)), list(range(6)), "the first member's")
        staying.ok("subscribe", topic=topic, group="g", ackWaitMs=LONG_MS)
        staying.quiet(0.1)
        leaving.ok("ack", sub=sub, offset=2)
        leaving.ok("unsubscribe", sub=sub)
        again = staying.take(5)
        equal([(event["offset"], event["attempt"]) for event in again], [(n, 2) for n in (0, 1, 3, 4, 5)], "the other member's")
        equal(group_row(staying, topic, "g")["members"], 1, "members")
        leaving.quiet(0.1)


@case
def a_credit_is_never_exceeded():
    """`credit?` (unacknowledged at a time): at no moment more, with redeliveries, refusals and bursts mixed."""
    topic, credit = unique(), 7
    with connect() as client, connect() as sender:
        sub = client.ok("subscribe", topic=topic, group="g", credit=credit, ackWaitMs=LONG_MS, maxAttempts=1_000)["sub"]
        held, done, seen, step = set(), set(), set(), 0
        for n in range(300):
            sender.send("publish", topic=topic, body=n, acks="none")
        while len(done | held) < 300:
            event = client.event()
            assert event["offset"] not in held | done, f"delivered while held or done: {event!r}"
            held.add(event["offset"])
            seen.add(event["offset"])
            assert len(held) <= credit, f"{len(held)} unacknowledged with a credit of {credit}"
            step += 1
            if step % 3:
                chosen = sorted(held)[step % len(held)]
                held.discard(chosen)
                if step % 4 == 1:
                    client.ok("nack", sub=sub, offset=chosen, delayMs=step % 3)
                else:
                    equal(client.ok("ack", sub=sub, offset=chosen)["acked"], 1, "acked")
                    done.add(chosen)
            elif len(held) == credit:
                # What waits after a refusal is out too, and ends with the rest.
                client.ok("ack", sub=sub, upTo=300)
                done |= seen
                held.clear()
        client.ok("ack", sub=sub, upTo=300)
        equal(group_row(sender, topic, "g")["lag"], 0, "lag")


@case
def redeliveries_go_before_new_messages():
    """Redeliveries go before new messages, lowest offset first."""
    topic = unique()
    with connect() as client:
        sub = client.ok("subscribe", topic=topic, group="g", credit=4, ackWaitMs=LONG_MS)["sub"]
        publish_many(client, topic, 10)
        equal(offsets(client.take(4)), [0, 1, 2, 3], "the first four")
        client.ok("unsubscribe", sub=sub)
        client.ok("subscribe", topic=topic, group="g", credit=6, ackWaitMs=LONG_MS)
        equal([(event["offset"], event["attempt"]) for event in client.take(6)],
              [(0, 2), (1, 2), (2, 2), (3, 2), (4, 1), (5, 1)], "offsets and attempts")


@case
def messages_without_key_are_free_in_an_ordered_group():
    """In an ordered group a message that waits for redelivery holds back the others of its key; without key they are free."""
    topic = unique()
    with connect() as client:
        sub = client.ok("subscribe", topic=topic, group="g", ordered=True, ackWaitMs=LONG_MS)["sub"]
        for n, key in enumerate(("a", "a", "b", None, None)):
            client.ok("publish", topic=topic, body=n, **({"key": key} if key else {}))
        equal(sorted(offsets(client.take(4))), [0, 2, 3, 4], "the first of each key, and those without")
        client.ok("nack", sub=sub, offsets=[0, 3], delayMs=LONG_MS)
        publish = [client.ok("publish", topic=topic, body=5, **fields)["offset"] for fields in ({"key": "b"}, {}, {"key": "a"})]
        equal(client.event()["offset"], publish[1], "only the one without key")
        client.quiet(0.1)
        client.ok("ack", sub=sub, offset=2)
        equal(client.event()["offset"], publish[0], "the next of the other key")


@case
def a_late_acknowledgement_still_counts():
    """An acknowledgement that comes after the ack wait still ends the message, if nobody else has yet."""
    topic = unique()
    with connect() as client, connect() as other:
        client.ok("publish", topic=topic, body=1)
        client.ok("fetch", topic=topic, group="g", ackWaitMs=50)
        eventually(lambda: group_row(client, topic, "g")["inFlight"] == 0, what="the end of the ack wait")
        equal(other.ok("ack", topic=topic, group="g", offset=0)["acked"], 1, "acked late")
        equal(client.ok("fetch", topic=topic, group="g")["messages"], [], "messages")
        equal(other.ok("ack", topic=topic, group="g", offset=0)["acked"], 0, "acked again")


@case
def a_subscription_without_group_has_nothing_to_acknowledge():
    """`bad_state`: acknowledging on a subscription without group."""
    topic = unique()
    with connect() as client:
        sub = client.ok("subscribe", topic=topic)["sub"]
        client.ok("publish", topic=topic, body=1)
        client.event()
        for op in ("ack", "nack", "touch"):
            client.refused("bad_state", op, sub=sub, offset=0)


@case
def a_private_tail_may_begin_anywhere():
    """`from` also works without `group`: a private tail that begins there."""
    topic = unique()
    with connect() as client:
        publish_many(client, topic, 10)
        middle = fetch_all(client, topic, "timing", 10)[4]["releasedAtMs"]
        for start, first in (("earliest", 0), ({"offset": 7}, 7), ({"timeMs": 0}, 0), ({"offset": 99}, 10), ("latest", 10)):
            with connect() as tail:
                tail.ok("subscribe", topic=topic, **{"from": start})
                equal(offsets(tail.take(10 - first)), list(range(first, 10)), f"from {start}")
                tail.quiet(0.02)
        with connect() as tail:
            tail.ok("subscribe", topic=topic, **{"from": {"timeMs": middle}})
            events = tail.take(6)
            equal(events[-1]["offset"], events[0]["offset"] + 5, "without gaps")
            assert events[0]["releasedAtMs"] >= middle and events[0]["offset"] <= 4, f"the first at or after: {events[0]!r}"


@case
def a_half_closed_connection_ends_its_subscriptions():
    """A client that closes its sending side: its subscriptions and waiting fetches end at that moment."""
    topic = unique()
    with connect() as closing, connect() as other:
        closing.ok("subscribe", topic=topic, group="g", ackWaitMs=LONG_MS)
        other.ok("publish", topic=topic, body=1)
        closing.event()
        closing.send("fetch", topic=topic, group="waiting", waitMs=60_000)
        closing.ok("ping")
        closing.socket.shutdown(socket.SHUT_WR)
        eventually(lambda: group_row(other, topic, "g")["members"] == 0, what="no members")
        message, = other.ok("fetch", topic=topic, group="g", waitMs=60_000)["messages"]
        equal(message["attempt"], 2, "attempt")
        equal(offsets(fetch_all(other, topic, "waiting", 1)), [0], "what the waiting fetch had been given")


@case
def a_dead_waiting_fetch_frees_its_place():
    """A waiting fetch of a closed connection is no member any more, and others get its turns."""
    topic = unique()
    with connect() as client:
        for _ in range(20):
            dead = connect()
            dead.send("fetch", topic=topic, group="g", waitMs=60_000)
            dead.ok("ping")
            dead.close()
        eventually(lambda: (group_row(client, topic, "g") or {}).get("members") == 0, what="no members")
        before = client.ok("stats")["consumers"]
        publish_many(client, topic, 40)
        equal(sorted(offsets(fetch_all(client, topic, "g", 40))), list(range(40)), "offsets")
        assert client.ok("stats")["consumers"] <= before + 1, "consumers of dead connections are gone"


@case
def seek_begins_anew():
    """`seek` makes a group that is not there; it forgets what was given out, and attempts begin anew; the nearer end counts."""
    topic = unique()
    with connect() as client:
        publish_many(client, topic, 5)
        equal(client.ok("seek", topic=topic, group="made", to={"offset": 3})["offset"], 3, "offset")
        equal(offsets(fetch_all(client, topic, "made", 2)), [3, 4], "a group that seek made")
        sub = client.ok("subscribe", topic=topic, group="g", ackWaitMs=LONG_MS)["sub"]
        client.take(5)
        client.ok("nack", sub=sub, offset=0, delayMs=0)
        equal(client.event()["attempt"], 2, "attempt before")
        equal(client.ok("seek", topic=topic, group="g", to="earliest")["offset"], 0, "offset")
        equal([(event["offset"], event["attempt"]) for event in client.take(5)], [(n, 1) for n in range(5)], "after the seek")
        equal(group_row(client, topic, "g")["inFlight"], 5, "inFlight")
        equal(client.ok("ack", sub=sub, upTo=4)["acked"], 5, "acked")
        equal(client.ok("seek", topic=topic, group="g", to={"offset": 10**12})["offset"], 5, "beyond the end")
        equal(client.ok("seek", topic=topic, group="g", to={"timeMs": 2**50})["offset"], 5, "a time to come")


@case
def dead_letter_topics_are_normal_topics():
    """Dead-letter topics are normal topics. Values of the added headers are text; `x-reason` is `max_attempts`."""
    topic = unique()
    with connect() as client:
        client.ok("publish", topic=topic, id="bad", body=1)
        fetch_all(client, topic, "g", 1, maxAttempts=1)
        client.ok("nack", topic=topic, group="g", offset=0, delayMs=0)
        dead = f"{topic}.g.dlq"
        sub = client.ok("subscribe", topic=dead, group="j", maxAttempts=1, ackWaitMs=LONG_MS)["sub"]
        equal(client.event()["headers"], {"x-origin-topic": topic, "x-origin-offset": "0", "x-group": "g", "x-attempts": "1",
                                          "x-reason": "max_attempts"}, "headers")
        client.ok("schedule", topic=dead, body=2, delayMs=1)
        equal(client.event()["offset"], 1, "a message scheduled into it")
        client.ok("nack", sub=sub, offset=0, delayMs=0)
        letter, = fetch_all(client, f"{dead}.j.dlq", "k", 1)
        equal((letter["headers"]["x-origin-topic"], letter["headers"]["x-group"]), (dead, "j"), "the dead letter's dead letter")
        equal(topic_row(client, dead)["nextOffset"], 2, "dead letters")
