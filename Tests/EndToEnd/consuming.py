"""The Consuming section: offsets, groups, credit, acknowledgement, private tails, fetch, tags and ordered keys."""

from escapement_driver import equal, eventually, fetch_all, group_row, now_ms, topic_row, unique
from suite import case, connect

LONG_MS = 3_600_000


def publish_many(client, topic, count, **fields):
    """Publishes bodies 0 … count - 1."""
    rids = client.send_many(("publish", {"topic": topic, "body": n, **fields}) for n in range(count))
    return [client.reply(rid)["offset"] for rid in rids]


def offsets(messages):
    return [message["offset"] for message in messages]


@case
def an_event_has_the_fields_of_the_page():
    """`{"event":"message","sub":1,"topic":"t","offset":12,"id":"…","attempt":1,"deliverAtMs":…,"releasedAtMs":…,…,"body":…}`"""
    topic = unique()
    with connect() as client:
        sub = client.ok("subscribe", topic=topic, group="g")["sub"]
        assert type(sub) is int, f"sub is an integer: {sub!r}"
        due = client.ok("schedule", topic=topic, id="a", body={"x": 1}, delayMs=30)["deliverAtMs"]
        event = client.event()
        equal({name: event[name] for name in ("event", "sub", "topic", "offset", "id", "attempt", "deliverAtMs", "body")},
              {"event": "message", "sub": sub, "topic": topic, "offset": 0, "id": "a", "attempt": 1, "deliverAtMs": due, "body": {"x": 1}})
        assert due <= event["releasedAtMs"] <= client.ok("ping")["nowMs"], f"releasedAtMs: {event!r}"


@case
def sub_is_unique_in_the_connection():
    """Reply: `sub` (integer, unique in the connection)."""
    with connect() as client:
        topics = [unique() for _ in range(20)]
        subs = [client.ok("subscribe", topic=topic, group="g")["sub"] for topic in topics]
        equal(len(set(subs)), len(subs), "different subs")
        for topic, sub in reversed(list(zip(topics, subs))):
            client.ok("publish", topic=topic, body=1)
            event = client.event()
            equal((event["sub"], event["topic"]), (sub, topic), "sub and topic of the event")


@case
def offsets_are_0_1_2():
    """A topic is a log of released messages with offsets 0, 1, 2, …"""
    topic = unique()
    with connect() as client:
        client.ok("subscribe", topic=topic, group="g", credit=1_000)
        for n in range(200):
            client.send("publish" if n % 2 else "schedule", topic=topic, body=n, acks="none", **({} if n % 2 else {"delayMs": n % 9}))
        equal(offsets(client.take(200)), list(range(200)), "offsets")


@case
def members_of_one_group_share_its_messages():
    """Members of one group share its messages: each message goes to one of them."""
    topic = unique()
    with connect() as first, connect() as second, connect() as sender:
        members = (first, second)
        for member in members:
            member.ok("subscribe", topic=topic, group="g", credit=10)
        publish_many(sender, topic, 200)
        seen = {first: [], second: []}
        while sum(map(len, seen.values())) < 200:
            for member in members:
                line = member.pushes.popleft() if member.pushes else member.poll(0.05)
                if line and "event" in line:
                    seen[member].append(line["offset"])
                    member.send("ack", sub=line["sub"], offset=line["offset"], acks="none")
        equal(sorted(seen[first] + seen[second]), list(range(200)), "offsets of both members together")
        assert seen[first] and seen[second], "both members get a share"


@case
def different_groups_each_get_all():
    """Different groups each get all of them (one group: a queue; many groups: publish–subscribe)."""
    topic = unique()
    with connect() as client:
        subs = [client.ok("subscribe", topic=topic, group=f"g{n}")["sub"] for n in range(5)]
        publish_many(client, topic, 50)
        seen = {sub: [] for sub in subs}
        for event in client.take(250):
            seen[event["sub"]].append(event["offset"])
        equal(seen, {sub: list(range(50)) for sub in subs}, "offsets of each group")


@case
def credit_bounds_what_is_unacknowledged():
    """`credit?` (unacknowledged at a time, default 100)."""
    topic = unique()
    with connect() as client:
        publish_many(client, topic, 120)
        sub = client.ok("subscribe", topic=topic, group="g", credit=3, ackWaitMs=LONG_MS)["sub"]
        equal(offsets(client.take(3)), [0, 1, 2], "the first three")
        client.quiet()
        equal(client.ok("ack", sub=sub, offset=1)["acked"], 1, "acked")
        equal(client.event()["offset"], 3, "the one in the place of the acknowledged")
        client.quiet()
        client.ok("ack", sub=sub, upTo=3)
        equal(offsets(client.take(3)), [4, 5, 6], "the next three")
    with connect() as client:
        client.ok("subscribe", topic=topic, group="defaults")
        equal(offsets(client.take(100)), list(range(100)), "the default credit")
        client.quiet()


@case
def the_largest_credit_is_65536():
    """`credit?` (… ≤ 65 536)."""
    with connect() as client:
        client.ok("subscribe", topic=unique(), group="g", credit=65_536)
        client.refused("bad_request", "subscribe", topic=unique(), group="g", credit=65_537)


@case
def without_a_group_it_is_a_private_tail():
    """Without `group`: a private tail from `latest`, nothing to acknowledge."""
    topic = unique()
    with connect() as first, connect() as second, connect() as sender:
        publish_many(sender, topic, 5)
        for tail in (first, second):
            tail.ok("subscribe", topic=topic)
        publish_many(sender, topic, 300)
        for tail in (first, second):
            events = tail.take(300)
            equal(offsets(events), list(range(5, 305)), "offsets of the tail")
            equal({event["attempt"] for event in events}, {1}, "attempts")
        equal(topic_row(sender, topic)["groups"], [], "groups of the topic")


@case
def a_tail_that_ends_leaves_nothing_behind():
    """A private tail: nothing is kept for it when its connection is gone."""
    topic = unique()
    with connect() as client:
        with connect() as tail:
            tail.ok("subscribe", topic=topic)
            client.ok("publish", topic=topic, body=1)
            tail.event()
        client.ok("publish", topic=topic, body=2)
        with connect() as tail:
            tail.ok("subscribe", topic=topic)
            client.ok("publish", topic=topic, body=3)
            equal(tail.event()["body"], 3, "the first message of a new tail")


@case
def ack_takes_an_offset_some_or_all_up_to_one():
    """`ack`: `offset` or `offsets` ([n]) or `upTo` (all unacknowledged ≤ n); reply `acked` (count)."""
    topic = unique()
    with connect() as client:
        sub = client.ok("subscribe", topic=topic, group="g", ackWaitMs=LONG_MS)["sub"]
        publish_many(client, topic, 20)
        client.take(20)
        equal(client.ok("ack", sub=sub, offset=4)["acked"], 1, "one")
        equal(client.ok("ack", sub=sub, offset=4)["acked"], 0, "the same again")
        equal(client.ok("ack", sub=sub, offsets=[0, 4, 6, 8])["acked"], 3, "some, one of them for the second time")
        equal(client.ok("ack", sub=sub, offsets=[])["acked"], 0, "none")
        equal(client.ok("ack", sub=sub, upTo=9)["acked"], 6, "all up to one")
        equal(client.ok("ack", sub=sub, offset=1_000)["acked"], 0, "one that was never delivered")
        equal(group_row(client, topic, "g")["inFlight"], 10, "inFlight")
        equal(client.ok("ack", sub=sub, upTo=19)["acked"], 10, "the rest")
        row = group_row(client, topic, "g")
        equal((row["committed"], row["lag"], row["inFlight"]), (20, 0, 0), "committed, lag, inFlight")


@case
def ack_takes_exactly_one_meaning():
    """`sub` or `topic`+`group`; `offset` or `offsets` or `upTo`: anything else is `bad_request`."""
    topic = unique()
    with connect() as client:
        sub = client.ok("subscribe", topic=topic, group="g")["sub"]
        for op in ("ack", "nack", "touch"):
            for fields in ({"sub": sub}, {"offset": 0}, {"sub": sub, "offset": 0, "upTo": 0}, {"topic": topic, "offset": 0},
                           {"sub": sub, "offset": 0, "offsets": [0]}, {"group": "g", "offset": 0},
                           {"sub": sub, "topic": topic, "group": "g", "offset": 0}):
                client.refused("bad_request", op, **fields)
            client.refused(("bad_request", "not_found"), op, sub=sub + 1_000, offset=0)


@case
def ack_by_topic_and_group_from_another_connection():
    """`ack`: `sub` or `topic`+`group`."""
    topic = unique()
    with connect() as client, connect() as other:
        client.ok("subscribe", topic=topic, group="g", credit=2, ackWaitMs=LONG_MS)
        publish_many(client, topic, 4)
        equal(offsets(client.take(2)), [0, 1], "the first two")
        equal(other.ok("ack", topic=topic, group="g", offsets=[0, 1])["acked"], 2, "acked")
        equal(offsets(client.take(2)), [2, 3], "the next two")


@case
def ack_without_reply():
    """`acks?` (`"none"`: no reply)."""
    topic = unique()
    with connect() as client:
        sub = client.ok("subscribe", topic=topic, group="g")["sub"]
        client.ok("publish", topic=topic, body=1)
        client.event()
        client.send("ack", sub=sub, offset=0, acks="none")
        eventually(lambda: group_row(client, topic, "g")["lag"] == 0, what="the acknowledgement")
        assert not client.replies, f"no reply: {client.replies!r}"


@case
def unsubscribe_ends_the_flow():
    """`unsubscribe`: `sub`. Nothing comes for it any more; the group keeps its position."""
    topic = unique()
    with connect() as client:
        sub = client.ok("subscribe", topic=topic, group="g")["sub"]
        client.ok("publish", topic=topic, body=1)
        client.event()
        client.ok("ack", sub=sub, offset=0)
        client.ok("unsubscribe", sub=sub)
        equal(group_row(client, topic, "g")["members"], 0, "members")
        client.ok("publish", topic=topic, body=2)
        client.quiet()
        client.refused(("bad_request", "not_found"), "unsubscribe", sub=sub)
        client.ok("subscribe", topic=topic, group="g")
        equal(client.event()["offset"], 1, "the first message after coming back")


@case
def fetch_gives_up_to_max():
    """`fetch`: `max?` (≤ 1000, default 100); reply `messages`: as the events."""
    topic = unique()
    with connect() as client:
        publish_many(client, topic, 1_200)
        equal(offsets(client.ok("fetch", topic=topic, group="g", ackWaitMs=LONG_MS)["messages"]), list(range(100)), "default")
        equal(offsets(client.ok("fetch", topic=topic, group="g", max=1)["messages"]), [100], "one")
        equal(offsets(client.ok("fetch", topic=topic, group="g", max=1_000)["messages"]), list(range(101, 1_101)), "the most")
        message = client.ok("fetch", topic=topic, group="g", max=1)["messages"][0]
        equal((message["topic"], message["attempt"], message["body"]), (topic, 1, 1_101), "topic, attempt and body")
        equal(client.ok("ack", topic=topic, group="g", upTo=1_101)["acked"], 1_102, "acked")


@case
def fetch_of_nothing_answers_at_once():
    """`waitMs?` (… default 0): with nothing there the reply is empty."""
    with connect() as client:
        equal(client.ok("fetch", topic=unique(), group="g")["messages"], [], "messages")


@case
def fetch_waits_for_the_first_message():
    """`waitMs?` (≤ 60 000): a reply comes as soon as there is a message, and empty not before the wait is over."""
    topic = unique()
    with connect() as client, connect() as other:
        waiting = client.send("fetch", topic=topic, group="g", waitMs=60_000)
        other.ok("schedule", topic=topic, id="a", body=1, delayMs=200)
        equal([message["id"] for message in client.reply(waiting)["messages"]], ["a"], "messages")
        before = now_ms()
        equal(client.ok("fetch", topic=topic, group="g", waitMs=300)["messages"], [], "messages")
        assert now_ms() - before >= 299, "an empty reply before the wait was over"


@case
def many_waiting_fetches_share_what_comes():
    """Members of one group share its messages, waiting fetches too."""
    topic = unique()
    clients = [connect() for _ in range(5)]
    waiting = [client.send("fetch", topic=topic, group="g", max=1, waitMs=60_000) for client in clients]
    with connect() as sender:
        eventually(lambda: topic_row(sender, topic), what="the topic")
        publish_many(sender, topic, 5)
    seen = [message["offset"] for client, rid in zip(clients, waiting) for message in client.reply(rid)["messages"]]
    equal(sorted(seen), list(range(5)), "offsets of all fetches together")
    for client in clients:
        client.close()


@case
def a_dead_waiting_fetch_swallows_nothing():
    """Or the connection gone: what a waiting fetch of a closed connection would have got goes to another member."""
    topic = unique()
    for round_number in range(10):
        dead = connect()
        dead.send("fetch", topic=topic, group="g", waitMs=60_000, ackWaitMs=LONG_MS)
        dead.ok("ping")
        dead.close()
        with connect() as client:
            client.ok("publish", topic=topic, body=round_number)
            message, = client.ok("fetch", topic=topic, group="g", waitMs=60_000, ackWaitMs=LONG_MS)["messages"]
            equal(message["body"], round_number, "body")
            equal(client.ok("ack", topic=topic, group="g", offset=message["offset"])["acked"], 1, "acked")


@case
def tags_select_and_the_others_are_passed_over():
    """`tags?` ([string]: only these; others are passed over)."""
    topic, tags = unique(), ("red", "green", "blue", None)
    with connect() as client:
        for n in range(40):
            tag = tags[n % 4]
            client.ok("publish", topic=topic, body=n, **({"tag": tag} if tag else {}))
        sub = client.ok("subscribe", topic=topic, group="g", tags=["red", "blue"])["sub"]
        events = client.take(20)
        equal(offsets(events), [n for n in range(40) if n % 4 in (0, 2)], "offsets")
        client.quiet()
        client.ok("ack", sub=sub, upTo=39)
        eventually(lambda: group_row(client, topic, "g")["lag"] == 0, what="lag 0 with the others passed over")
        messages = fetch_all(client, topic, "fetching", 10, tags=["green"])
        equal(offsets(messages), [n for n in range(40) if n % 4 == 1], "offsets of the fetch")
        equal(client.ok("fetch", topic=topic, group="fetching", tags=["green"])["messages"], [], "no more")


@case
def ordered_keys_come_one_at_a_time():
    """`ordered?` (true: messages with one `key` one at a time, in offset order)."""
    topic = unique()
    with connect() as client:
        for n, key in enumerate("aabab"):
            client.ok("publish", topic=topic, body=n, key=key)
        client.ok("publish", topic=topic, body=5)
        sub = client.ok("subscribe", topic=topic, group="g", ordered=True, ackWaitMs=LONG_MS)["sub"]
        equal(sorted(offsets(client.take(3))), [0, 2, 5], "the first of each key, and the one without key")
        client.quiet()
        for acked, following in ((0, 1), (2, 4), (1, 3)):
            equal(client.ok("ack", sub=sub, offset=acked)["acked"], 1, "acked")
            equal(client.event()["offset"], following, f"after {acked}")
        client.quiet(0.1)


@case
def ordered_keys_wait_for_the_redelivery():
    """`ordered?`: … one at a time, in offset order: a refused message holds back the later ones of its key."""
    topic = unique()
    with connect() as client:
        for n in range(3):
            client.ok("publish", topic=topic, body=n, key="k")
        sub = client.ok("subscribe", topic=topic, group="g", ordered=True)["sub"]
        equal(client.event()["offset"], 0, "the first")
        equal(client.ok("nack", sub=sub, offset=0, delayMs=400)["nacked"], 1, "nacked")
        again = client.event()
        equal((again["offset"], again["attempt"]), (0, 2), "the same again before any other")
        client.ok("ack", sub=sub, offset=0)
        equal(client.event()["offset"], 1, "the second")


@case
def ordered_keys_hold_across_members():
    """`ordered?`: messages with one `key` one at a time, also when several members share the group."""
    topic, keys = unique(), 4
    with connect() as sender:
        for n in range(120):
            sender.send("publish", topic=topic, body=n, key=f"k{n % keys}", acks="none")
        members = [connect() for _ in range(3)]
        subs = [member.ok("subscribe", topic=topic, group="g", ordered=True, credit=10, ackWaitMs=LONG_MS)["sub"] for member in members]
        seen = []
        while len(seen) < 120:
            for member, sub in zip(members, subs):
                line = member.pushes.popleft() if member.pushes else member.poll(0.02)
                if line and "event" in line:
                    seen.append((line["key"], line["offset"]))
                    member.ok("ack", sub=sub, offset=line["offset"])
        for key in range(keys):
            mine = [offset for name, offset in seen if name == f"k{key}"]
            equal(mine, list(range(key, 120, keys)), f"offsets of the key k{key}")
        for member in members:
            member.close()
