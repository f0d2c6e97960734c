"""Batches and dead letters on their way back: `scheduleMany`, `redrive`."""

from escapement_driver import equal, fetch_all, now_ms, unique
from suite import case, connect, own

HOUR_MS = 3_600_000


def batch(count, **fields):
    return [{"id": f"b{n}", "body": n, **fields} for n in range(count)]


@case
def a_batch_is_accepted_whole_with_one_reply():
    """`scheduleMany`: up to 1 000 messages in one record, with one reply listing outcomes."""
    topic = unique()
    with connect() as client:
        results = client.ok("scheduleMany", topic=topic, messages=batch(1_000, delayMs=HOUR_MS))["results"]
        equal([result["id"] for result in results], [f"b{n}" for n in range(1_000)], "ids")
        equal({result["outcome"] for result in results}, {"scheduled"}, "outcomes")
        row = next(row for row in client.ok("topics")["topics"] if row["topic"] == topic)
        equal(row["pending"], 1_000, "pending")


@case
def a_batch_tells_what_became_of_each_message():
    """Outcomes are those of `schedule`, also among the messages of one batch."""
    topic = unique()
    with connect() as client:
        client.ok("schedule", topic=topic, id="old", body=0, delayMs=HOUR_MS)
        client.ok("publish", topic=topic, id="gone", body=0)
        messages = [
            {"id": "old", "body": 1, "delayMs": 5}, {"id": "gone", "body": 1, "delayMs": 5},
            {"id": "new", "body": 1, "delayMs": HOUR_MS}, {"id": "new", "body": 2, "delayMs": HOUR_MS},
            {"id": "new", "body": 3, "delayMs": 2 * HOUR_MS, "ifExists": "replace"}, {"body": 4, "delayMs": HOUR_MS},
        ]
        results = client.ok("scheduleMany", topic=topic, messages=messages)["results"]
        outcomes = [result["outcome"] for result in results]
        equal(outcomes, ["kept", "released", "scheduled", "kept", "replaced", "scheduled"], "outcomes")
        equal(client.ok("get", topic=topic, id="new")["body"], 3, "the replacement")
        equal(client.ok("get", topic=topic, id=results[5]["id"])["state"], "pending", "an id of the server's making")


@case
def a_batch_is_refused_whole():
    """A message that is refused refuses the batch; the reply names it, and nothing is scheduled."""
    topic = unique()
    bad = [{"body": 1}, {"body": 1, "delayMs": -1}, {"delayMs": 1}, {"body": 1, "delayMS": 1}, {"id": "", "body": 1, "delayMs": 1}]
    with connect() as client:
        for message in bad:
            reply = client.refused("bad_request", "scheduleMany", topic=topic, messages=batch(3, delayMs=5) + [message])
            assert "messages[3]" in reply["message"], reply
        client.refused("bad_request", "scheduleMany", topic=topic, messages=batch(1_001, delayMs=5))
        client.ok("schedule", topic=topic, id="b0", body=0, delayMs=HOUR_MS)
        rejected = batch(1, delayMs=5, ifExists="reject")
        client.refused("exists", "scheduleMany", topic=topic, messages=[{"id": "x", "body": 1, "delayMs": 5}] + rejected)
        equal([entry["id"] for entry in client.ok("list", topic=topic)["messages"]], ["b0"], "what is pending")


@case
def a_batch_of_one_millisecond_keeps_its_order():
    """Messages due in the same millisecond are released in the order in which they were accepted, those of a batch too."""
    topic, due = unique(), now_ms() + 300
    with connect() as client:
        for first in (0, 700):
            messages = [{"id": f"m{n}", "body": n, "deliverAtMs": due} for n in range(first, first + 700)]
            client.ok("scheduleMany", topic=topic, messages=messages)
        equal([message["body"] for message in fetch_all(client, topic, "g", 1_400)], list(range(1_400)), "order")


@case
def an_acknowledged_batch_survives_a_crash():
    """Acknowledged means on stable storage, for all of it."""
    server = own("--fsync", "always")
    with server.client() as client:
        client.ok("scheduleMany", topic="t", messages=batch(500, delayMs=400) + [{"id": "far", "body": 0, "delayMs": HOUR_MS}])
    server.kill9()
    server.restart()
    with server.client() as client:
        equal([message["body"] for message in fetch_all(client, "t", "g", 500)], list(range(500)), "released")
        equal(client.ok("get", topic="t", id="far")["state"], "pending", "the far one")


def dead_letters(client, topic, count):
    """Publishes messages and refuses each once, with one attempt allowed."""
    for n in range(count):
        client.ok("publish", topic=topic, id=f"d{n}", body=n, headers={"h": str(n)})
    for message in fetch_all(client, topic, "g", count, maxAttempts=1):
        client.ok("nack", topic=topic, group="g", offset=message["offset"])


@case
def redrive_puts_dead_letters_back_once():
    """`redrive` (`topic`, `group`, `limit?`) puts dead letters back at the end of their origin topic."""
    topic = unique()
    with connect() as client:
        dead_letters(client, topic, 5)
        equal(client.ok("redrive", topic=topic, group="g", limit=2)["redriven"], 2, "with a limit")
        reply = client.ok("redrive", topic=topic, group="g")
        equal((reply["redriven"], reply["remaining"]), (3, 0), "the rest")
        equal(client.ok("redrive", topic=topic, group="g")["redriven"], 0, "again")
        again = fetch_all(client, topic, "g", 5)
        equal([(m["offset"], m["body"], m["attempt"], m["headers"]) for m in again],
              [(5 + n, n, 1, {"h": str(n)}) for n in range(5)], "what came back")


@case
def redrive_survives_a_crash():
    """What was put back stays put back, and is not put back twice."""
    server = own("--fsync", "always")
    with server.client() as client:
        dead_letters(client, "t", 3)
        equal(client.ok("redrive", topic="t", group="g")["redriven"], 3, "redriven")
    server.kill9()
    server.restart()
    with server.client() as client:
        equal(client.ok("redrive", topic="t", group="g")["redriven"], 0, "after the crash")
        equal([m["body"] for m in fetch_all(client, "t", "g", 3)], [0, 1, 2], "what came back")


@case
def redrive_of_what_is_not_there():
    """`not_found` for a topic or group that is not there; nothing to do is no error."""
    topic = unique()
    with connect() as client:
        client.refused("not_found", "redrive", topic=topic, group="g")
        client.ok("publish", topic=topic, body=1)
        client.refused("not_found", "redrive", topic=topic, group="g")
        client.ok("fetch", topic=topic, group="g")
        equal(client.ok("redrive", topic=topic, group="g")["redriven"], 0, "no dead letters")
