"""The crash test: kill -9 at random moments under load, and a ledger outside of the server that judges the rest.

Workers schedule, publish, cancel and reschedule; consumers subscribe, fetch and acknowledge. What was answered is
promised; what was sent without an answer is in doubt and may have happened or not. After the last crash the topic is read
from its beginning by a new group, and the ledger compares.
"""

import os
import random
import sys
import threading
import time

from escapement_driver import Client, ConnectionClosed, binary, equal, now_ms, run_command, topic_row, wait_until_ms
from ledger_book import FAR_MS, Ledger
from listing import listed
from suite import case, own, seed

TOPIC = "ledger"
WORKERS = 3
# Small, so that a few seconds of load cross checkpoints, slices and segments of every kind.
FLAGS = ("--fsync", "always", "--checkpoint-bytes", 65_536, "--slice-ms", 1_000, "--segment-bytes", 32_768)
ACK_WAIT_MS = 600_000
NEAR_MS = 3_000
# Enough that a fast server is under load at the moment of each crash, few enough to be judged in seconds.
ENTRIES_PER_WORKER_AND_CYCLE = 2_500


class Load:
    """The threads and what they share: where the server is, and whether they should stop."""

    def __init__(self, server, ledger, seed_value):
        self.server, self.ledger = server, ledger
        self.stopping = threading.Event()
        self.cycle = 0
        bodies = [(self.worker, n) for n in range(WORKERS)]
        bodies += [(self.subscriber, n) for n in range(2)] + [(self.fetcher, 0)]
        self.threads = [threading.Thread(target=self._guard, args=(body, n, random.Random(seed_value * 100 + index)), daemon=True)
                        for index, (body, n) in enumerate(bodies)]
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(90)
            if thread.is_alive():
                self.ledger.broken("a thread of the load hangs")

    def _guard(self, body, number, source):
        try:
            body(number, source)
        except BaseException as problem:
            self.ledger.broken(f"{body.__name__} {number} ended by {type(problem).__name__}: {problem}")

    def sessions(self):
        """A new connection after each crash, until the end of the test."""
        while not self.stopping.is_set():
            try:
                client = Client(self.server.host, self.server.port)
            except OSError:
                time.sleep(0.01)
                continue
            with client:
                yield client

    # Workers.

    def worker(self, number, source):
        """Sends batches of pipelined requests about its own ids."""
        mine, doubtful, made = [], [], 0
        for client in self.sessions():
            try:
                # What was in doubt at the crash: a retry with the same id is harmless, and removes the doubt.
                for retry in doubtful:
                    if source.random() < 0.5:
                        self._perform(client, [retry], [])
                doubtful.clear()
                cycle, sent = self.cycle, 0
                while not self.stopping.is_set():
                    if cycle != self.cycle:
                        cycle, sent = self.cycle, 0
                    if sent > ENTRIES_PER_WORKER_AND_CYCLE:
                        client.ok("ping")
                        time.sleep(0.01)
                        continue
                    batch = []
                    for _ in range(source.randrange(1, 33 if source.random() < 0.1 else 5)):
                        batch.append(self._choose(source, mine, f"w{number}-{made}"))
                        made += 1
                    sent += len(batch)
                    self._perform(client, batch, doubtful)
            except (ConnectionClosed, OSError):
                continue

    def _choose(self, source, mine, name):
        """One request: (kind, entry, due time)."""
        roll, now = source.random(), now_ms()
        near = now + source.randrange(0, NEAR_MS)
        far = now + FAR_MS + source.randrange(0, 100) * 3_600_000
        if roll < 0.15:
            return "publish", self.ledger.new(name, 0), 0
        if roll < 0.65 or not mine:
            due = near if source.random() < 0.8 else far
            entry = self.ledger.new(name, due)
            mine.append(entry)
            return "schedule", entry, due
        entry = mine.pop(source.randrange(max(0, len(mine) - 300), len(mine)))
        if roll < 0.82:
            return "cancel", entry, None
        if source.random() < 0.5:
            mine.append(entry)
        return "reschedule", entry, near if source.random() < 0.7 else far

    def _perform(self, client, batch, doubtful):
        """Sends a batch and books each reply; what has no reply stays in doubt."""
        requests = []
        for kind, entry, due in batch:
            fields = {"topic": TOPIC, "id": entry.name}
            if kind in ("publish", "schedule"):
                fields["body"] = {"id": entry.name}
            if kind in ("schedule", "reschedule"):
                fields["deliverAtMs"] = due
            with self.ledger.lock:
                if kind == "reschedule":
                    entry.dues.add(due)
                if kind == "cancel":
                    entry.cancel_doubt = True
            requests.append((kind, fields))
        waiting, was_released = list(batch), [entry.released for _, entry, _ in batch]
        try:
            for rid, (kind, entry, due), gone in zip(client.send_many(requests), batch, was_released):
                reply = client.reply(rid, timeout=90)
                waiting.pop(0)
                if not reply["ok"]:
                    self.ledger.broken(f"{kind} of {entry.name} was refused: {reply!r}")
                elif kind == "publish":
                    self.ledger.published(entry, reply)
                elif kind == "schedule":
                    self.ledger.scheduled(entry, gone, reply)
                elif kind == "cancel":
                    self.ledger.cancel_answered(entry, reply["outcome"])
                else:
                    self.ledger.reschedule_answered(entry, due, gone, reply)
        finally:
            self.ledger.count("in doubt", len(waiting))
            # A repeated schedule behind a cancel that may have happened would prove nothing.
            doubtful += [request for request in waiting if request[0] == "schedule" and not request[1].cancel_doubt]

    # Consumers.

    def subscriber(self, _number, source):
        """Two members of one group, acknowledging some of what comes in small lots."""
        for client in self.sessions():
            try:
                sub = client.ok("subscribe", topic=TOPIC, group="subscribers", credit=64, ackWaitMs=ACK_WAIT_MS, maxAttempts=1_000)["sub"]
                lot = []
                while not self.stopping.is_set():
                    line = client.pushes.popleft() if client.pushes else client.poll(0.05)
                    if line is None and client.ended:
                        break
                    if line and "event" in line:
                        self.ledger.seen("subscribers", line, line.at_ms)
                        if source.random() < 0.02:
                            client.ok("nack", sub=sub, offset=line["offset"], delayMs=source.randrange(0, 500))
                        else:
                            lot.append(line["offset"])
                    if lot and (len(lot) >= source.randrange(1, 30) or line is None):
                        offsets, lot = lot, []
                        self.ledger.acknowledged("subscribers", offsets, client.ok("ack", sub=sub, offsets=offsets))
            except (ConnectionClosed, OSError):
                continue

    def fetcher(self, _number, source):
        """One member of another group, fetching."""
        for client in self.sessions():
            try:
                while not self.stopping.is_set():
                    reply = client.ok("fetch", topic=TOPIC, group="fetchers", max=source.randrange(1, 60), waitMs=50,
                                      ackWaitMs=ACK_WAIT_MS, maxAttempts=1_000)
                    for message in reply["messages"]:
                        self.ledger.seen("fetchers", message, reply.at_ms)
                    offsets = [message["offset"] for message in reply["messages"]]
                    if offsets:
                        self.ledger.acknowledged("fetchers", offsets, client.ok("ack", topic=TOPIC, group="fetchers", offsets=offsets))
            except (ConnectionClosed, OSError):
                continue


def drain(client, ledger):
    """The whole topic, read by a new group until all that is awaited has come and nothing near is pending."""
    wait_until_ms(now_ms() + NEAR_MS)
    awaited, drained, end = ledger.awaited(), [], time.monotonic() + 120
    while True:
        reply = client.ok("fetch", topic=TOPIC, group="judge", max=1_000, waitMs=300, ackWaitMs=ACK_WAIT_MS)
        for message in reply["messages"]:
            ledger.seen("judge", message, reply.at_ms)
            awaited.discard(message["id"])
        drained += reply["messages"]
        if not reply["messages"]:
            near = client.ok("list", topic=TOPIC, toMs=now_ms() + NEAR_MS)["messages"]
            complete = not awaited and not near and len(drained) >= topic_row(client, TOPIC)["nextOffset"]
            if complete or time.monotonic() > end:
                return drained


def read_to_the_end(client, ledger, group, drained):
    """The groups of the load read on: each gets all messages in the end, and none that it had acknowledged."""
    everything, end, empty = {message["offset"] for message in drained}, time.monotonic() + 60, 0
    while empty < 2 and time.monotonic() < end:
        reply = client.ok("fetch", topic=TOPIC, group=group, max=1_000, waitMs=300, ackWaitMs=ACK_WAIT_MS, maxAttempts=1_000)
        for message in reply["messages"]:
            ledger.seen(group, message, reply.at_ms)
        empty = empty + 1 if not reply["messages"] and ledger.seen_by.get(group, set()) >= everything else 0
    missed = everything - ledger.seen_by.get(group, set())
    if missed:
        ledger.broken(f"the group {group} never got the offsets {sorted(missed)[:10]} … ({len(missed)} in all)")


@case(limit_s=1_200)
def nothing_acknowledged_is_lost_in_crashes():
    """Across crashes: nothing acknowledged lost, nothing early, one offset for each message, no acknowledged cancel released,
    reschedules honoured, offsets dense and never reused, acknowledged messages not delivered again."""
    seed_value, cycles = seed(), int(os.environ.get("ESCAPEMENT_LEDGER_CYCLES") or 5)
    source = random.Random(seed_value)
    server = own(*FLAGS)
    ledger = Ledger(now_ms())
    server.client().ok("createTopic", topic=TOPIC)
    load = Load(server, ledger, seed_value)
    try:
        for _ in range(cycles):
            time.sleep(source.uniform(0.2, 1.6))  # The random moment of the crash: not a wait for anything.
            server.restart()
            load.cycle += 1
        time.sleep(source.uniform(0.2, 0.6))
    finally:
        load.stop()
    client = server.client()
    drained = drain(client, ledger)
    pending = {entry["id"]: entry["deliverAtMs"] for entry in listed(client, TOPIC, limit=1_000)}
    ledger.judge(drained, pending)
    row = topic_row(client, TOPIC)
    equal((row["nextOffset"], row["pending"]), (len(drained), len(pending)), "nextOffset and pending")
    for group in ("subscribers", "fetchers"):
        read_to_the_end(client, ledger, group, drained)
    server.stop()
    status, output = run_command("check", server.data)
    print(f"ledger: {cycles} crashes, {len(ledger.entries)} messages, {len(drained)} in the topic, {len(pending)} pending, "
          + ", ".join(f"{ledger.counts[what]} {what}" for what in sorted(ledger.counts)), flush=True)
    if ledger.problems:
        shown = "\n  ".join(ledger.problems[:30])
        raise AssertionError(f"{len(ledger.problems)} broken promises:\n  {shown}\nreplay: python3 {sys.argv[0]} --binary {binary()} "
                             f"--seed {seed_value} --cycles {cycles} ledger")
    equal(status, 0, f"check after the test: {output}")
