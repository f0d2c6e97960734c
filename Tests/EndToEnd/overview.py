"""`overview`, the server at a glance, and `read`, released messages without a group."""

from escapement_driver import equal, eventually, fetch_all, now_ms, unique
from suite import case, connect, own

DAY_MS = 86_400_000


@case
def the_overview_counts_what_is_pending_where():
    """`overview`: the wheels in memory and the slices on disk together hold what is pending, each at its stretch of time."""
    client = own("--slice-ms", 1000).client()
    times = [now_ms() + ahead for ahead in (60_000, 60_001, DAY_MS, 300 * DAY_MS)]
    for due in times:
        client.ok("schedule", topic="t", deliverAtMs=due, body=1)
    reply = client.ok("overview")
    slices = reply["disk"]["slices"]
    in_memory = sum(count for level in reply["wheel"]["levels"] for _, count in level["slots"])
    equal(in_memory + sum(one["pending"] for one in slices), len(times), "pending")
    equal(reply["stats"]["pending"], len(times))
    for one in slices:
        inside = [due for due in times if one["startMs"] <= due < one["endMs"]]
        equal(len(inside), one["pending"], f"slice {one}")
    equal(sum(level["pending"] for level in reply["wheel"]["levels"]), in_memory)
    assert len(reply["lateness"]["counts"]) == len(reply["lateness"]["boundsMs"]) + 1, reply["lateness"]


@case
def the_overview_is_bounded():
    """`overview`: `limit` names at most so many topics, queues and exchanges, the first by name, and says if there are more."""
    client = own("--wheel-size", 2048).client()
    for name in ("b", "c", "a"):
        client.ok("createTopic", topic=name)
        client.ok("rabbitmq.queueDeclare", queue=name, durable=True)
    reply = client.ok("overview", limit=2)
    equal([row["topic"] for row in reply["topics"]], ["a", "b"])
    equal([row["queue"] for row in reply["queues"]], ["a", "b"])
    equal((len(reply["exchanges"]), reply["hasMore"]), (2, True))
    reply = client.ok("overview")
    equal(([row["topic"] for row in reply["topics"]], reply["hasMore"]), (["a", "b", "c"], False))
    equal((reply["wheel"]["wheelSize"], reply["wheel"]["sectors"]), (2048, 512))
    client.ok("publish", topic="a", body=1)
    equal([row["nextOffset"] for row in client.ok("overview", limit=1)["topics"]], [1])
    for limit in (0, 1001):
        client.refused("bad_request", "overview", limit=limit)


@case
def released_messages_are_read_without_a_group():
    """`read`: released messages from an offset on, page by page, as they were given; it makes no group and takes nothing."""
    client, topic = connect(), unique()
    for n in range(5):
        client.ok("publish", topic=topic, id=f"m{n}", body={"n": n}, key="k", headers={"h": str(n)})
    first = client.ok("read", topic=topic, limit=2)
    equal([(m["offset"], m["id"], m["body"], m["headers"]) for m in first["messages"]],
          [(n, f"m{n}", {"n": n}, {"h": str(n)}) for n in range(2)])
    assert first["messages"][0]["attempt"] == 0 and "sub" not in first["messages"][0], first
    rest = client.ok("read", topic=topic, offset=first["nextOffset"])
    equal([m["offset"] for m in rest["messages"]], [2, 3, 4])
    end = client.ok("read", topic=topic, offset=rest["nextOffset"])
    equal((end["messages"], end["nextOffset"]), ([], 5), "the end")
    equal(client.ok("read", topic=topic, offset=1000)["messages"], [])
    client.refused("not_found", "read", topic=unique())
    row, = [row for row in client.ok("topics")["topics"] if row["topic"] == topic]
    equal(row["groups"], [])
    equal([m["offset"] for m in fetch_all(client, topic, "g", 5)], list(range(5)), "for a group afterwards")


@case
def what_lies_on_disk_is_read_too():
    """`read`: messages that are not in memory any more, after a restart, in order."""
    server = own("--checkpoint-bytes", 32_768)
    client = server.client()
    for n in range(300):
        client.ok("publish", topic="t", body="x" * 2000, acks="memory" if n < 299 else "disk")
    eventually(lambda: client.ok("stats")["checkpoints"] > 0, what="a checkpoint")
    server.restart()
    client, offsets, at = server.client(), [], 0
    while at < 300:
        page = client.ok("read", topic="t", offset=at)
        offsets += [m["offset"] for m in page["messages"]]
        assert page["nextOffset"] > at, page
        at = page["nextOffset"]
    equal(offsets, list(range(300)))


@case
def dead_letters_can_be_looked_at():
    """`read` of `<topic>.<group>.dlq` shows dead letters with the headers that say where they come from, and leaves them there."""
    client, topic = connect(), unique()
    client.ok("publish", topic=topic, body="broken")
    client.ok("fetch", topic=topic, group="g", maxAttempts=1)
    client.ok("nack", topic=topic, group="g", offset=0, delayMs=0)
    dead = f"{topic}.g.dlq"
    eventually(lambda: any(row["topic"] == dead for row in client.ok("topics")["topics"]), what="the dead letter")
    message, = client.ok("read", topic=dead)["messages"]
    equal((message["body"], message["headers"]["x-origin-topic"], message["headers"]["x-group"]), ("broken", topic, "g"))
    equal(client.ok("redrive", topic=topic, group="g")["redriven"], 1)


@case
def queues_are_not_read():
    """`read` of a RabbitMQ queue's inside is refused: its messages are read by consuming them."""
    client = connect()
    queue = unique("queue")
    client.ok("rabbitmq.queueDeclare", queue=queue, durable=True)
    client.ok("rabbitmq.publish", exchange="", routingKey=queue, body="1")
    client.refused(("not_found", "bad_request"), "read", topic=f"rabbitmq/queue/{queue}")
