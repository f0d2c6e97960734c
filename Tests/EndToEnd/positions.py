"""Where a group starts (`from`) and how it is moved (`seek`)."""

from consuming import LONG_MS, offsets, publish_many
from escapement_driver import equal, eventually, fetch_all, group_row, unique
from suite import case, connect


def timed_topic(client, count):
    """A topic whose messages were all released in different milliseconds; gives (topic, [releasedAtMs])."""
    topic = unique()
    for n in range(count):
        last = client.ok("ping")["nowMs"]
        eventually(lambda: client.ok("ping")["nowMs"] > last, what="the next millisecond")
        client.ok("publish", topic=topic, body=n)
    messages = fetch_all(client, topic, "timing", count)
    return topic, [message["releasedAtMs"] for message in messages]


@case
def a_new_group_starts_at_the_earliest_message():
    """`from?` (only for a group that is new: `"earliest"` default …)."""
    topic = unique()
    with connect() as client:
        publish_many(client, topic, 5)
        for group, fields in (("default", {}), ("named", {"from": "earliest"})):
            client.ok("subscribe", topic=topic, group=group, **fields)
            equal(offsets(client.take(5)), list(range(5)), group)
            equal(offsets(client.ok("fetch", topic=topic, group=f"{group}-fetch", **fields)["messages"]), list(range(5)), group)


@case
def a_new_group_may_start_at_the_latest():
    """`from?` … `"latest"`: only what comes from now on."""
    topic = unique()
    with connect() as client:
        publish_many(client, topic, 5)
        client.ok("subscribe", topic=topic, group="g", **{"from": "latest"})
        equal(client.ok("fetch", topic=topic, group="f", **{"from": "latest"})["messages"], [], "messages")
        client.quiet(0.1)
        client.ok("publish", topic=topic, body=5)
        equal(client.event()["offset"], 5, "offset")
        equal(offsets(fetch_all(client, topic, "f", 1)), [5], "offsets")


@case
def a_new_group_may_start_at_an_offset():
    """`from?` … `{"offset":n}`."""
    topic = unique()
    with connect() as client:
        publish_many(client, topic, 10)
        for start in (0, 7, 9):
            sub = client.ok("subscribe", topic=topic, group=f"g{start}", **{"from": {"offset": start}})["sub"]
            equal(offsets(client.take(10 - start)), list(range(start, 10)), f"from {start}")
            client.ok("unsubscribe", sub=sub)
        client.ok("subscribe", topic=topic, group="end", **{"from": {"offset": 10}})
        client.ok("publish", topic=topic, body=10)
        equal(client.event()["offset"], 10, "from the end")


@case
def a_new_group_may_start_at_a_time():
    """`from?` … `{"timeMs":t}`: with the first message released at or after it."""
    with connect() as client:
        topic, times = timed_topic(client, 8)
        for index in (0, 3, 7):
            messages = client.ok("fetch", topic=topic, group=f"at{index}", **{"from": {"timeMs": times[index]}})["messages"]
            equal(offsets(messages), list(range(index, 8)), f"from the time of message {index}")
        messages = client.ok("fetch", topic=topic, group="old", **{"from": {"timeMs": 0}})["messages"]
        equal(offsets(messages), list(range(8)), "from long ago")
        messages = client.ok("fetch", topic=topic, group="new", **{"from": {"timeMs": times[-1] + 1}})["messages"]
        equal(offsets(messages), [], "from behind the last one")


@case
def from_counts_for_a_new_group_only():
    """`from?` (only for a group that is new …): a group that is there keeps its position."""
    topic = unique()
    with connect() as client:
        publish_many(client, topic, 6)
        equal(offsets(client.ok("fetch", topic=topic, group="g", max=2, ackWaitMs=LONG_MS)["messages"]), [0, 1], "first")
        client.ok("ack", topic=topic, group="g", upTo=1)
        for start in ("latest", "earliest", {"offset": 5}, {"timeMs": 0}):
            message, = client.ok("fetch", topic=topic, group="g", max=1, ackWaitMs=LONG_MS, **{"from": start})["messages"]
            client.ok("ack", topic=topic, group="g", offset=message["offset"])
        equal(message["offset"], 5, "the sixth message")


@case
def seek_moves_a_group():
    """`seek`: `to`: `"earliest"` · `"latest"` · `{"offset":n}` · `{"timeMs":t}`; reply `offset`."""
    with connect() as client:
        topic, times = timed_topic(client, 10)
        fetch_all(client, topic, "g", 10)
        client.ok("ack", topic=topic, group="g", upTo=9)
        for to, offset in (("earliest", 0), ({"offset": 4}, 4), ({"timeMs": times[6]}, 6), ("latest", 10), ({"offset": 9}, 9),
                           ({"timeMs": 0}, 0)):
            equal(client.ok("seek", topic=topic, group="g", to=to)["offset"], offset, f"seek to {to}")
            equal(group_row(client, topic, "g")["lag"], 10 - offset, f"lag after the seek to {to}")
            messages = client.ok("fetch", topic=topic, group="g", ackWaitMs=LONG_MS)["messages"]
            equal(offsets(messages), list(range(offset, 10)), f"after the seek to {to}")
            if messages:
                equal(client.ok("ack", topic=topic, group="g", upTo=9)["acked"], 10 - offset, "acked")


@case
def seek_moves_subscribers_too():
    """`seek`: the members of the group continue at the new place."""
    topic = unique()
    with connect() as client, connect() as other:
        publish_many(client, topic, 5)
        sub = client.ok("subscribe", topic=topic, group="g", ackWaitMs=LONG_MS)["sub"]
        equal(offsets(client.take(5)), list(range(5)), "first time")
        client.ok("ack", sub=sub, upTo=4)
        equal(other.ok("seek", topic=topic, group="g", to={"offset": 2})["offset"], 2, "seek")
        equal(offsets(client.take(3)), [2, 3, 4], "second time")
        client.quiet(0.1)


@case
def seek_leaves_other_groups_alone():
    """Each group has its own position in the topic."""
    topic = unique()
    with connect() as client:
        publish_many(client, topic, 4)
        for group in ("a", "b"):
            fetch_all(client, topic, group, 4)
            client.ok("ack", topic=topic, group=group, upTo=3)
        client.ok("seek", topic=topic, group="a", to="earliest")
        equal((group_row(client, topic, "a")["lag"], group_row(client, topic, "b")["lag"]), (4, 0), "lag")
