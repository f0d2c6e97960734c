"""`snapshot`: a copy of a running server's data folder, whole or not there, that a server starts on."""

import os
import shutil
import threading
import time

from consuming import publish_many
from escapement_driver import ConnectionClosed, Server, equal, eventually, now_ms, run_command, topic_row
from suite import case, own

HOUR_MS = 3_600_000


def released(client, topic):
    """Every message that was released before the call, by offset, without a group."""
    messages, at, end = [], 0, topic_row(client, topic)["nextOffset"]
    while at < end:
        page = client.ok("read", topic=topic, offset=at, limit=1000)
        messages += page["messages"]
        at = page["nextOffset"]
    return messages


def snapshot_of(server, name="copy", client=None):
    """Has a snapshot made beside the data folder; gives its path and the reply."""
    folder = os.path.join(server.folder, name)
    return folder, (client or server.client()).ok("snapshot", folder=folder)


def check_good(folder):
    status, output = run_command("check", folder)
    equal(status, 0, f"check {folder}: {output}")


def filled(server, count=300):
    client = server.client()
    publish_many(client, "t", count, headers={"pad": "x" * 300})
    for n in range(count):
        client.ok("schedule", topic="t", id=f"far-{n}", deliverAtMs=now_ms() + HOUR_MS * (n + 1), body={"n": n}, acks="memory")
    client.ok("cancel", topic="t", id="far-0")
    client.ok("fetch", topic="t", group="g", max=10)
    client.ok("ack", topic="t", group="g", upTo=9)
    client.ok("rabbitmq.queueDeclare", queue="q", durable=True)
    client.ok("rabbitmq.publish", exchange="", routingKey="q", body="kept", properties={"deliveryMode": 2})
    return client


@case
def a_snapshot_is_a_whole_folder():
    """A snapshot holds what was acknowledged before it was asked for; a server starts on it, and the first one goes on."""
    server = own("--segment-bytes", 65_536, "--slice-ms", 1000)
    client = filled(server)
    folder = os.path.join(server.folder, "copy")
    status, output = run_command("snapshot", folder, "--server", f"{server.host}:{server.port}")
    equal(status, 0, output)
    assert '"copiedFiles":' in output and '"linkedFiles":0' not in output, output
    check_good(folder)
    client.ok("publish", topic="t", body="after")
    copy = own(data=folder)
    other = copy.client()
    before, after = topic_row(client, "t"), topic_row(other, "t")
    equal((after["nextOffset"], after["pending"]), (before["nextOffset"] - 1, before["pending"]))
    equal([group["committed"] for group in after["groups"]], [10])
    equal(other.ok("get", topic="t", id="far-0")["state"], "cancelled")
    equal(other.ok("get", topic="t", id="far-7")["body"], {"n": 7})
    equal([m["id"] for m in released(other, "t")], [m["id"] for m in released(client, "t")][:-1])
    equal(other.ok("rabbitmq.get", queue="q")["body"], "kept")
    # What one of them does, the other does not feel: no file is shared that changes.
    for one in (client, other):
        publish_many(one, "t", 400, headers={"pad": "y" * 300})
        one.ok("cancel", topic="t", id="far-7")
    equal(other.ok("get", topic="t", id="far-9")["state"], "pending")
    for one in (server, copy):
        one.restart()
        one.stop()
        check_good(one.data)


@case(limit_s=300)
def under_load_nothing_is_lost_and_nothing_twice():
    """A snapshot under load, with checkpoints and removals meanwhile: no acknowledged message is lost, what was released has its
    offset, and nothing acknowledged as cancelled comes back."""
    server = own("--segment-bytes", 65_536, "--checkpoint-bytes", 65_536, "--slice-ms", 500, "--journal-segment-bytes", 65_536)
    client = server.client()
    for start in range(0, 1_000, 500):
        client.ok("scheduleMany", topic="far", acks="memory", messages=[
            {"id": f"far-{n}", "deliverAtMs": now_ms() + HOUR_MS + n * 997, "body": "x" * 1500} for n in range(start, start + 500)])
    accepted, cancelled, stop = {}, set(), threading.Event()

    def produce(number):
        mine, place = server.client(), 0
        while not stop.is_set():
            time.sleep(0.05)
            batch = [{"id": f"{number}-{place + n}", "delayMs": (n * 131) % 2500, "body": "y" * 200} for n in range(50)]
            mine.ok("scheduleMany", topic="t", messages=batch)
            now = time.monotonic()
            accepted.update((message["id"], now) for message in batch)
            gone = f"{number}-{place + 47}"
            if mine.ok("cancel", topic="t", id=gone)["outcome"] == "cancelled":
                cancelled.add(gone)
            place += 50

    threads = [threading.Thread(target=produce, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        for round_number in range(2):
            eventually(lambda: (topic_row(client, "t") or {"nextOffset": 0})["nextOffset"] > 100 * (round_number + 1), what="releases")
            seen = {m["id"]: m["offset"] for m in released(client, "t")}
            gone = set(cancelled)
            asked = time.monotonic()
            folder, _ = snapshot_of(server, f"copy-{round_number}")
            check_good(folder)
            with Server(data=folder) as copy:
                other = copy.client()
                log = released(other, "t")
                offsets = {}
                for message in log:
                    assert message["id"] not in offsets, f"{message['id']} is there twice"
                    offsets[message["id"]] = message["offset"]
                for name, offset in seen.items():
                    equal(offsets.get(name), offset, f"the offset of {name}")
                assert not gone & set(offsets), f"cancelled and released: {gone & set(offsets)}"
                missing = [name for name, at in list(accepted.items()) if at < asked and name not in offsets and name not in cancelled]
                for name in missing:
                    state = other.ok("get", topic="t", id=name)["state"]
                    assert state in ("pending", "released"), f"{name}, acknowledged before the snapshot, is {state}"
                equal(topic_row(other, "far")["pending"], 1_000)
            shutil.rmtree(folder)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    server.restart()
    equal(topic_row(server.client(), "far")["pending"], 1_000)


@case(limit_s=300)
def killed_meanwhile_it_is_whole_or_not_there():
    """A server that is killed while it makes a snapshot leaves none, or a whole one; it starts again, and makes the next one."""
    server = own("--slice-ms", 1000)
    client = server.client()
    for start in range(0, 3_000, 500):
        client.ok("scheduleMany", topic="far", acks="memory", messages=[
            {"id": f"far-{n}", "deliverAtMs": now_ms() + HOUR_MS + n * 611, "body": "x" * 1500} for n in range(start, start + 500)])
    for number in range(4):
        folder = os.path.join(server.folder, f"copy-{number}")
        client = server.client()
        client.send("snapshot", folder=folder)
        eventually(lambda: os.path.exists(folder + ".partial") or os.path.exists(folder), what="the begin of the copy")
        time.sleep(0.02 * number)
        server.kill9()
        if os.path.exists(folder):
            check_good(folder)
        else:
            assert os.path.exists(folder + ".partial")
            status, output = run_command("check", folder + ".partial")
            assert status in (0, 1, 3), output
        server.start()
        equal(topic_row(server.client(), "far")["pending"], 3_000)
    folder, _ = snapshot_of(server, "last")
    check_good(folder)
    with Server(data=folder) as copy:
        equal(topic_row(copy.client(), "far")["pending"], 3_000)
    server.stop()


@case
def a_stop_does_not_wait_for_it():
    """SIGTERM ends a snapshot that is being made: its requester is told, or the connection is gone, and the server exits 0."""
    server = own("--slice-ms", 1000)
    client = server.client()
    for start in range(0, 2_000, 500):
        client.ok("scheduleMany", topic="far", acks="memory", messages=[
            {"deliverAtMs": now_ms() + HOUR_MS + n * 611, "body": "x" * 1500} for n in range(start, start + 500)])
    folder = os.path.join(server.folder, "copy")
    client.send("snapshot", folder=folder)
    eventually(lambda: os.path.exists(folder + ".partial") or os.path.exists(folder), what="the begin of the copy")
    server.stop()
    try:
        reply = client.recv()
        assert reply["ok"] or reply["error"] in ("shutting_down", "bad_state"), reply
    except ConnectionClosed:
        pass
    if os.path.exists(folder):
        check_good(folder)
    check_good(server.data)


@case
def what_cannot_be_made_is_refused():
    """`snapshot` of a relative path is `bad_request`; where something is already, or cannot be, `bad_state`, and nothing is changed."""
    server = own()
    client = filled(server, 20)
    client.refused("bad_request", "snapshot", folder="copy")
    client.refused("bad_request", "snapshot")
    client.refused("bad_state", "snapshot", folder=server.data)
    client.refused("bad_state", "snapshot", folder=os.path.join(server.folder, "no", "parent"))
    os.mkdir(os.path.join(server.folder, "begun.partial"))
    reply = client.refused("bad_state", "snapshot", folder=os.path.join(server.folder, "begun"))
    assert "interrupted" in reply["message"], reply
    folder, reply = snapshot_of(server, "good/", client)
    assert reply["copiedBytes"] > 0 and reply["sequence"] > 0, reply
    check_good(folder)
    client.refused("bad_state", "snapshot", folder=folder.rstrip("/"))
    server.stop()
    check_good(server.data)
