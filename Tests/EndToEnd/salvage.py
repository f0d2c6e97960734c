"""`escapement check DIR --salvage OUT`: what can be saved of a damaged folder, and a list of what is lost."""

import os
import re

from consuming import publish_many
from damage import flip, journal_files, used_bytes
from escapement_driver import Server, equal, eventually, fetch_all, now_ms, run_command, topic_row
from listing import listed
from suite import case, own

HOUR_MS = 3_600_000
COUNT = 120


def filled(*flags):
    """A stopped server whose state is in its files: messages far ahead and released ones, some acknowledged."""
    server = own(*flags)
    client = server.client()
    publish_many(client, "log", COUNT, headers={"pad": "x" * 300})
    client.ok("scheduleMany", topic="far", messages=[
        {"id": f"far-{n}", "deliverAtMs": now_ms() + 40 * 24 * HOUR_MS + n, "body": {"n": n, "pad": "z" * 200}} for n in range(COUNT)])
    for n in range(5):
        client.ok("cancel", topic="far", id=f"far-{n}")
    client.ok("fetch", topic="log", group="g", max=30)
    client.ok("ack", topic="log", group="g", upTo=9)
    server.stop()
    return server


def data_file(server, kind):
    folder = os.path.join(server.data, kind)
    found = [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names if not name.endswith(".index")]
    return max(found, key=os.path.getsize)


def salvaged(server, name="saved"):
    """Salvages a folder; gives the new one, the exit status and what was said."""
    out = os.path.join(server.folder, name)
    status, output = run_command("check", server.data, "--salvage", out)
    return out, status, output


def flip_where(path, needle, offset=0):
    """Damages the bytes behind the first place where `needle` stands."""
    with open(path, "rb") as file:
        place = file.read().index(needle)
    flip(path, place + offset)


@case
def good_folders_lose_nothing():
    """Of a good folder everything is saved, with status 0; after a crash, too."""
    server = filled()
    out, status, output = salvaged(server)
    equal((status, "LOST" in output), (0, False), output)
    server.start()
    publish_many(server.client(), "log", 20)
    server.kill9()
    out, status, output = salvaged(server, "again")
    equal(status, 0, output)
    with Server(data=out) as saved:
        equal(topic_row(saved.client(), "log")["nextOffset"], COUNT + 20)


@case
def one_bad_byte_in_a_slice_costs_one_message():
    """A bad byte in a slice: that message is lost and named by topic, id and time; all others are pending as before."""
    server = filled()
    flip_where(data_file(server, "delay"), b"far-17", 20)
    equal(run_command("check", server.data)[0], 1)
    assert not server.try_start(), "the server started on a damaged slice"
    out, status, output = salvaged(server)
    equal(status, 1, output)
    assert re.search(r"LOST .*a message of topic far due at 20\d\d-\S+, id 'far-17'", output), output
    equal(output.count("LOST"), 1, output)
    equal(run_command("check", out)[0], 0)
    with Server(data=out) as saved:
        client = saved.client()
        ids = {message["id"] for message in listed(client, "far", limit=1_000)}
        equal(ids, {f"far-{n}" for n in range(5, COUNT)} - {"far-17"})
        equal(client.ok("get", topic="far", id="far-18")["body"]["n"], 18)
        equal(client.ok("get", topic="far", id="far-3")["state"], "cancelled")
        equal(topic_row(client, "log")["nextOffset"], COUNT)
        saved.restart()
        saved.stop()
    equal(run_command("check", out)[0], 0, "after the stop")


@case
def a_bad_length_in_a_slice_costs_no_more_than_its_neighbourhood():
    """A bad length field hides where the next message begins: it is found again, and the list says between which times."""
    server = filled()
    path = data_file(server, "delay")
    with open(path, "rb") as file:
        place = file.read().index(b"far-40") - 56
    flip(path, place)
    flip(path, place + 1)
    out, status, output = salvaged(server)
    equal(status, 1, output)
    assert "due from 20" in output, output
    with Server(data=out) as saved:
        ids = {message["id"] for message in listed(saved.client(), "far", limit=1_000)}
        equal(ids, {f"far-{n}" for n in range(5, COUNT)} - {"far-40"})


@case
def a_slice_that_is_gone_or_cut():
    """A slice that is missing, or ends too soon, takes its messages with it and nothing else."""
    for how in ("gone", "cut"):
        server = filled()
        path = data_file(server, "delay")
        if how == "gone":
            os.remove(path)
        else:
            os.truncate(path, os.path.getsize(path) // 2)
        out, status, output = salvaged(server)
        equal(status, 1, output)
        with Server(data=out) as saved:
            client = saved.client()
            pending = topic_row(client, "far")["pending"]
            assert (pending == 0) if how == "gone" else (0 < pending < COUNT), f"{how}: {pending}"
            equal(len(listed(client, "far", limit=1_000)), pending)
            equal(topic_row(client, "log")["nextOffset"], COUNT)


@case
def one_bad_byte_in_a_topic_costs_one_offset():
    """A bad byte in a topic's log: that offset is over for every group, and all others keep theirs."""
    for bad in (4, 15, 70, COUNT - 1):
        server = filled("--segment-bytes", 65_536)
        path = data_file(server, "topics")
        with open(path, "rb") as file:
            data = file.read()
        # The records have one length: the offset stands at byte 8 of each.
        length = int.from_bytes(data[:4], "little")
        flip(path, length * bad + 100)
        out, status, output = salvaged(server, f"saved-{bad}")
        equal(status, 1, output)
        assert re.search(rf"LOST .*1 released message of topic log, from offset {bad}, released between", output), output
        with Server(data=out) as saved:
            client = saved.client()
            equal(topic_row(client, "log")["nextOffset"], COUNT)
            rest = [n for n in range(10, COUNT) if n != bad]
            equal(sorted(m["offset"] for m in fetch_all(client, "log", "g", len(rest))), rest, f"for g without {bad}")
            everything = [n for n in range(COUNT) if n != bad]
            equal([m["offset"] for m in fetch_all(client, "log", "new", len(everything))], everything)
            equal(client.ok("fetch", topic="log", group="new")["messages"], [])
            eventually(lambda: all(group["lag"] <= len(everything) for group in topic_row(client, "log")["groups"]), what="lag")
            sub = client.ok("subscribe", topic="log", **{"from": "earliest"})["sub"]
            equal([client.event()["offset"] for _ in everything], everything, f"for the tail {sub}")
            saved.restart()
            equal(saved.client().ok("publish", topic="log", body=1)["offset"], COUNT)


@case
def queues_go_on_without_what_they_lost():
    """A lost message of a queue is over: the others come, and the counts are right."""
    server = own()
    client = server.client()
    client.ok("rabbitmq.queueDeclare", queue="q", durable=True, arguments={"x-max-length-bytes": 1_000_000, "x-dead-letter-exchange": "amq.fanout"})
    for n in range(20):
        client.ok("rabbitmq.publish", exchange="", routingKey="q", body=f"message-{n}-", properties={"deliveryMode": 2})
    server.stop()
    flip_where(data_file(server, "topics"), b"message-7-", 3)
    out, status, output = salvaged(server)
    equal(status, 1, output)
    assert "RabbitMQ queue q" in output, output
    with Server(data=out) as saved:
        client = saved.client()
        bodies = []
        while not (reply := client.ok("rabbitmq.get", queue="q", noAck=True)).get("empty"):
            bodies.append(reply["body"])
        equal(bodies, [f"message-{n}-" for n in range(20) if n != 7])
        row, = client.ok("rabbitmq.queues")["queues"]
        equal((row["messageCount"], row["unacknowledged"]), (0, 0))


@case
def damaged_outcomes_cost_the_memory_of_an_id():
    """A bad byte in the memory of ids: it is listed, and everything else is there."""
    server = filled()
    flip(data_file(server, "settled"), 5)
    out, status, output = salvaged(server)
    equal(status, 1, output)
    assert "what became of 1 id lately" in output, output
    with Server(data=out) as saved:
        equal(topic_row(saved.client(), "far")["pending"], COUNT - 5)


@case
def a_gap_in_the_journal_is_left_out():
    """Records of the journal that are damaged are listed, and left out; the new folder needs no special start."""
    server = own("--journal-segment-bytes", 32_768, "--checkpoint-bytes", 1 << 30)
    client, rounds = server.client(), 0
    while len(journal_files(server)) < 3 and rounds < 60:
        publish_many(client, "t", 50, headers={"pad": "x" * 500})
        rounds += 1
    server.kill9()
    path = journal_files(server)[0]
    flip(path, used_bytes(path) // 2)
    out, status, output = salvaged(server)
    equal(status, 1, output)
    assert re.search(r"LOST records \d+ to \d+ of the journal", output), output
    with Server(data=out) as saved:
        row = topic_row(saved.client(), "t")
        assert 0 < row["nextOffset"] < 50 * rounds, row
        saved.client().ok("publish", topic="t", body=1)


@case
def an_index_is_made_again():
    """A damaged index of a segment costs nothing."""
    server = own("--segment-bytes", 16_384)
    publish_many(server.client(), "t", 200, headers={"pad": "x" * 300})
    server.stop()
    folder = os.path.join(server.data, "topics")
    indexes = [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names if name.endswith(".index")]
    assert indexes, os.listdir(folder)
    flip(indexes[0], 12)
    out, status, output = salvaged(server)
    equal(status, 0, output)
    with Server(data=out) as saved:
        equal(len(fetch_all(saved.client(), "t", "g", 200)), 200)


@case
def without_a_checkpoint_nothing_can_be_saved():
    """A damaged checkpoint: nothing says what the other files mean; that is said, with status 3, and OUT does not come into being."""
    server = filled()
    flip(os.path.join(server.data, "checkpoint"), 100)
    out, status, output = salvaged(server)
    equal(status, 3, output)
    assert "restore" in output and not os.path.exists(out), output


@case
def a_folder_in_use_or_a_taken_name_is_refused():
    """A folder that a server uses is not salvaged, and what is there already is not touched."""
    server = filled()
    os.mkdir(os.path.join(server.folder, "saved"))
    equal(salvaged(server)[1], 3)
    equal(os.listdir(os.path.join(server.folder, "saved")), [])
    server.start()
    equal(salvaged(server, "other")[1], 3)
