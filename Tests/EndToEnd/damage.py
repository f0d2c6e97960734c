"""Damaged files, `escapement check`, and two servers on one folder.

The page does not name the files: here the journal is what lies in a folder (or bears a name) with `journal` or `wal` in
it, in the order of its names.
"""

import os

from consuming import publish_many
from escapement_driver import Server, equal, eventually, fetch_all, now_ms, run_command, topic_row
from listing import listed, schedule_many
from suite import case, own

HOUR_MS = 3_600_000


def files(server, wanted):
    """The non-empty data files whose path satisfies `wanted`, oldest first."""
    found = []
    for folder, _, names in os.walk(server.data):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.getsize(path) > 0 and wanted(os.path.relpath(path, server.data).lower()):
                found.append(path)
    return sorted(found)


def journal_files(server):
    return files(server, lambda path: "journal" in path or "wal" in path)


def filled(server, count=400):
    """Messages in a server, with one acknowledgement after the other; gives how many."""
    client = server.client()
    publish_many(client, "t", count, headers={"pad": "x" * 300})
    schedule_many(client, "t", [now_ms() + HOUR_MS + n for n in range(count)])
    client.ok("schedule", topic="t", id="last", body=1, delayMs=HOUR_MS)
    return count


def check_complete(server, count):
    client = server.client()
    equal([message["offset"] for message in fetch_all(client, "t", "g", count)], list(range(count)), "offsets")
    equal(len(listed(client, "t", limit=1_000)), count + 1, "pending")


def used_bytes(path):
    """The length of a file without the zeroes at its end, which may be reserved space."""
    with open(path, "rb") as file:
        return len(file.read().rstrip(b"\0"))


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x55]))


@case
def a_torn_tail_is_cut():
    """A torn tail of the last journal file is cut and reported; the server starts with all that was acknowledged."""
    server = own()
    count = filled(server)
    for garbage in (b"\x01", b"\xff" * 7, bytes(range(1, 200)), b"\x10\0\0\0garbage"):
        server.kill9()
        path = journal_files(server)[-1]
        end = used_bytes(path)
        with open(path, "r+b") as file:
            # Behind the last record, where a write that was cut off would have left its bytes.
            file.seek(end + (-end) % 8 if os.path.getsize(path) > end else end)
            file.write(garbage)
        server.start()
        client = server.client()
        equal(topic_row(client, "t")["nextOffset"], count, f"messages after {garbage[:8]!r}")
        equal(topic_row(client, "t")["pending"], count + 1, f"pending after {garbage[:8]!r}")
    check_complete(server, count)


@case
def garbage_behind_the_last_journal_file_is_cut():
    """A torn tail: also garbage appended to the very end of the last journal file."""
    server = own()
    count = filled(server)
    server.kill9()
    with open(journal_files(server)[-1], "ab") as file:
        file.write(b"this was never a record" * 10)
    server.start()
    check_complete(server, count)


@case
def damage_in_an_older_file_refuses_to_start():
    """Damage anywhere else refuses to start, naming the file; `escapement check` shows it."""
    server = own("--journal-segment-bytes", 32_768, "--checkpoint-bytes", 1 << 30)
    count = 0
    client = server.client()
    while len(journal_files(server)) < 3 and count < 40:
        publish_many(client, "t", 100, headers={"pad": "x" * 500})
        schedule_many(client, f"s{count}", [now_ms() + HOUR_MS + n for n in range(100)])
        count += 1
    server.kill9()
    older = journal_files(server)[:-1]
    assert older, f"no older journal file after {count} rounds: {files(server, lambda path: True)}"
    path = older[0]
    status, output = run_command("check", server.data)
    equal(status, 0, f"check before the damage: {output}")
    place = used_bytes(path) // 2
    flip(path, place)
    status, output = run_command("check", server.data)
    assert status != 0 and os.path.basename(path) in output, f"check exits {status} and says: {output}"
    assert not server.try_start(), "the server started on damaged data"
    assert server.exit_status not in (0, None), f"exit status {server.exit_status}"
    assert server.exit_status > 0, f"a refusal is no crash: {server.exit_status}\n{server.errors()}"
    assert os.path.basename(path) in server.errors(), f"the message names {os.path.basename(path)}: {server.errors()}"
    flip(path, place)
    server.start()
    equal(topic_row(server.client(), "t")["nextOffset"], 100 * count, "messages after the repair")


@case
def a_folder_of_a_newer_format_is_refused():
    """A folder that a newer program has written is refused with both versions in the message, and nothing in it is changed."""
    server = own()
    filled(server, 20)
    server.stop()
    path = os.path.join(server.data, "checkpoint")
    with open(path, "r+b") as file:
        file.seek(8)
        file.write((7).to_bytes(4, "little"))
    before = {path: open(path, "rb").read() for path in files(server, lambda path: True)}
    assert not server.try_start(), "the server started"
    assert server.exit_status > 0 and "format version 7, and this program reads 1" in server.errors(), server.errors()
    assert "restore" not in server.errors(), server.errors()
    out = os.path.join(server.folder, "saved")
    for arguments in ((), ("--salvage", out)):
        status, output = run_command("check", server.data, *arguments)
        assert status != 0 and "format version 7" in output and "restore" not in output, output
    assert not os.path.exists(out)
    equal({path: open(path, "rb").read() for path in files(server, lambda path: True)}, before, "files")


@case
def check_passes_good_data():
    """`escapement check DIR` of good data exits 0, after a stop and after a crash, and changes nothing."""
    server = own("--checkpoint-bytes", 16_384, "--journal-segment-bytes", 16_384, "--slice-ms", 1_000)
    count = filled(server)
    server.kill9()
    before = {path: open(path, "rb").read() for path in files(server, lambda path: True)}
    status, output = run_command("check", server.data)
    equal(status, 0, f"check after a crash: {output}")
    equal({path: open(path, "rb").read() for path in files(server, lambda path: True)}, before, "files after check")
    server.start()
    server.stop()
    status, output = run_command("check", server.data)
    equal(status, 0, f"check after a stop: {output}")
    server.start()
    check_complete(server, count)


def hold_two_and_drop_one(client):
    """Two half messages of RocketMQ, of which one stays undecided."""
    half = [client.ok("rocketmq.sendHalf", topic="orders", body="1", producerGroup="p") for _ in range(2)]
    client.ok("rocketmq.endTransaction", transactionId=half[0]["transactionId"], state="ROLLBACK")


@case
def check_speaks_plain_words():
    """`escapement check DIR` names queues and group topics as their users do, counts held messages, and one message is "1 message"."""
    server = own("--checkpoint-bytes", 16_384)
    client = server.client()
    client.ok("rabbitmq.queueDeclare", queue="invoices", durable=True)
    client.ok("rabbitmq.publish", exchange="", routingKey="invoices", body="1", properties={"deliveryMode": 2})
    sub = client.ok("rocketmq.subscribe", topic="orders", consumerGroup="shop")["sub"]
    client.ok("rocketmq.send", topic="orders", body="1")
    client.ok("rocketmq.sendBack", sub=sub, msgId=client.event()["msgId"], delayLevel=-1)
    hold_two_and_drop_one(client)
    # What is held is counted in the checkpoint and in the journal behind it.
    publish_many(client, "filler", 100, headers={"pad": "x" * 300})
    eventually(lambda: client.ok("stats")["checkpoints"] > 0, what="a checkpoint")
    hold_two_and_drop_one(client)
    server.kill9()
    status, output = run_command("check", server.data)
    equal(status, 0, f"check: {output}")
    for words in ("held back until their owners decide: 2 messages", "1 message of RabbitMQ queue invoices", "1 message of topic orders",
                  "1 message of RocketMQ dead letters of group shop"):
        assert words in output, f"'{words}' is not in: {output}"
    assert "rabbitmq/" not in output and "%" not in output, output


@case
def check_of_a_folder_in_use_is_refused():
    """`escapement check DIR` of a folder that a running server holds says so, with status 3, and judges nothing."""
    server = own()
    count = filled(server, 50)
    status, output = run_command("check", server.data)
    equal(status, 3, f"check of a folder in use: {output}")
    assert "a server uses the folder" in output and "DAMAGED" not in output, output
    check_complete(server, count)
    server.stop()
    equal(run_command("check", server.data)[0], 0, "check after the stop")


@case
def check_of_a_strange_folder_is_no_damage():
    """`escapement check DIR` of a folder that is not Escapement's says so, with status 3."""
    server = own()
    strange = os.path.join(server.folder, "strange")
    os.mkdir(strange)
    for _ in range(2):
        status, output = run_command("check", strange)
        equal(status, 3, f"check of a strange folder: {output}")
        assert "not an Escapement folder" in output and "DAMAGED" not in output, output
        equal(run_command("check", strange, "--quiet")[0], 3, "with --quiet")
        with open(os.path.join(strange, "notes.txt"), "w", encoding="utf-8") as file:
            file.write("groceries")
    server.stop()
    os.remove(os.path.join(server.data, "checkpoint"))
    status, output = run_command("check", server.data)
    assert status == 1 and "DAMAGED" in output, f"check without a checkpoint: {status} {output}"


@case
def check_of_nothing_fails():
    """`escapement check DIR` of a folder that is not there fails with a message."""
    server = own()
    status, output = run_command("check", os.path.join(server.folder, "nowhere"))
    assert status != 0 and output.strip(), f"check exits {status} and says {output!r}"


@case
def a_second_server_on_the_folder_is_refused():
    """One server a data folder: a second one exits with a message, and the first one goes on."""
    server = own()
    count = filled(server, 50)
    second = Server.__new__(Server)
    second.__dict__.update(server.__dict__, process=None)
    assert not second.try_start(), "a second server started on the same folder"
    assert second.exit_status > 0, f"exit status {second.exit_status}"
    check_complete(server, count)
    server.restart()
    check_complete_after(server, count)


def check_complete_after(server, count):
    client = server.client()
    equal(topic_row(client, "t")["nextOffset"], count, "messages")
    equal(topic_row(client, "t")["pending"], count + 1, "pending")
