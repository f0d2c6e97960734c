#!/usr/bin/env python3
"""RocketMQ's C++ client, by PyPI's `rocketmq`, against a server: `rocketmq_cases.py PORT CASE`. What its users write.

Holds: every wait ends; topics and groups have names that nobody else uses. A case is a process of its own, since the client keeps one
instance for a process and prints to its own log under $HOME; `members` and `kept` start further ones.
"""

import os
import subprocess
import sys
import threading
import time
import uuid

from rocketmq.client import Message, Producer, PullConsumer, PushConsumer, RecvMessage
from rocketmq.ffi import dll

ADDRESS = f"127.0.0.1:{sys.argv[1]}"
CASES = {}
LEVELS_S = (1, 2, 3, 1, 1)


def case(function):
    CASES[function.__name__] = function
    return function


def unique(stem):
    return f"{stem}-{uuid.uuid4().hex[:12]}"


def equal(actual, expected, what):
    assert actual == expected, f"{what}: got {actual!r}, expected {expected!r}"


def until(condition, what, wait_s=60.0):
    end = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true"
        time.sleep(0.02)


def started_producer():
    producer = Producer(unique("p"))
    producer.set_namesrv_addr(ADDRESS)
    producer.start()
    return producer


def message(topic, body, tags="", keys="", level=None, **properties):
    made = Message(topic)
    made.set_body(body)
    if tags:
        made.set_tags(tags)
    if keys:
        made.set_keys(keys)
    if level is not None:
        made.set_delay_time_level(level)
    for name, value in properties.items():
        made.set_property(name, value)
    return made


class Consumer:
    """A push consumer that notes what it gets; `fails(message)` says which it gives back."""

    def __init__(self, group, topic, tags="*", orderly=False, fails=lambda got: False):
        self.got = []
        self.consumer = PushConsumer(group, orderly=orderly)
        self.consumer.set_namesrv_addr(ADDRESS)

        def on_message(_consumer, handle):
            received = RecvMessage(handle)
            got = {"body": received.body, "times": received.reconsume_times, "queue": received.queue_id, "topic": received.topic,
                   "offset": received.queue_offset, "at": time.time(), "tags": received.tags, "keys": received.keys,
                   "born": received.born_timestamp, "stored": received.store_timestamp, "id": received.id,
                   "property": received.get_property("mine")}
            self.got.append(got)
            return 1 if fails(got) else 0

        dll.Subscribe(self.consumer._handle, topic.encode(), tags.encode())
        self.consumer._register_callback(on_message)
        self.consumer.start()

    def bodies(self):
        return [got["body"] for got in self.got]

    def shutdown(self):
        self.consumer.shutdown()


def run_self(*words):
    return subprocess.Popen([sys.executable, __file__, sys.argv[1], *words], stdout=subprocess.PIPE, text=True)


@case
def delays():
    """Every way of delay that this client has: levels, and properties of its users; never early, with tags, keys and properties."""
    topic, producer = unique("t"), started_producer()
    producer.send_sync(message(topic, "first"))
    consumer = Consumer(unique("g"), topic, "A || B")
    time.sleep(2)
    due = {}
    for name, level, properties in (
            ("none", None, {}), ("level 1", 1, {}), ("level 2", 2, {}), ("level 99", 99, {}), ("level 0", 0, {}),
            ("seconds", None, {"TIMER_DELAY_SEC": "2"}), ("ms", None, {"TIMER_DELAY_MS": "700"}),
            ("time", None, {"TIMER_DELIVER_MS": str(int(time.time() * 1000) + 1500)})):
        seconds = LEVELS_S[min(level, len(LEVELS_S)) - 1] if level else 0
        seconds = seconds or {"seconds": 2, "ms": 0.7, "time": 1.5}.get(name, 0)
        due[name] = time.time() + seconds - (0.1 if name == "time" else 0)
        sent = producer.send_sync(message(topic, name, "A" if len(due) % 2 else "B", "k1", level, mine="v", **properties))
        equal(sent.status, 0, "the status of a send")
    producer.send_sync(message(topic, "other tag", "C"))
    until(lambda: len(consumer.got) >= len(due), f"{len(due)} messages")
    time.sleep(1)
    equal(sorted(consumer.bodies()), sorted(name.encode() for name in due), "each message once")
    for got in consumer.got:
        assert got["at"] >= due[got["body"].decode()], f"{got['body']} came early"
        equal((got["keys"], got["property"]), (b"k1", b"v"), "keys and property")
    consumer.shutdown()
    producer.shutdown()


@case
def forms():
    """Batches, asynchronous and one-way sends, compressed bodies, and pulling."""
    topic, producer = unique("t"), started_producer()
    producer.send_sync(message(topic, "first"))
    sent = producer.send_batch([message(topic, f"batch {number}", tags=f"t{number}") for number in range(3)])
    equal(sent.status, 0, "the status of a batch")
    done = threading.Event()
    producer.send_async(message(topic, "async"), lambda _: done.set(), lambda error: print("failed", error))
    assert done.wait(20), "the asynchronous send"
    producer.send_oneway(message(topic, "one-way"))
    big = "x" * 20_000
    producer.send_sync(message(topic, big))
    expected = sorted(["first", "batch 0", "batch 1", "batch 2", "async", "one-way", big])
    puller = PullConsumer(unique("g"))
    puller.set_namesrv_addr(ADDRESS)
    puller.start()
    found = []

    def pulled():
        found[:] = sorted(got.body.decode() for got in puller.pull(topic))
        return len(found) >= len(expected)
    until(pulled, "all messages by pulling")
    equal(found, expected, "what was pulled")
    puller.shutdown()
    producer.shutdown()


@case
def members():
    """Two consumers of a group get each message once; when one leaves, the other takes over its queues."""
    topic, group, producer = unique("t"), unique("g"), started_producer()
    producer.send_sync(message(topic, "first"))
    consumer = Consumer(group, topic)
    other = run_self("consume", topic, group)
    assert other.stdout.readline() == "started\n"
    heard = []
    threading.Thread(target=lambda: heard.extend(other.stdout), daemon=True).start()
    # Until both have divided the queues, which they do when they are told of each other.
    time.sleep(5)
    for number in range(200):
        producer.send_sync(message(topic, f"both {number}"))
    until(lambda: len(consumer.got) + len(heard) >= 200, "200 messages", 30)
    time.sleep(1)
    theirs = [line.strip().encode() for line in heard]
    assert theirs and consumer.got, f"one of two got nothing: {len(consumer.got)} and {len(theirs)}"
    equal(sorted(theirs + consumer.bodies()), sorted(b"both %d" % n for n in range(200)), "each message once")
    other.terminate()
    other.wait(20)
    began, before = time.monotonic(), len(consumer.got)
    for number in range(100):
        producer.send_sync(message(topic, f"one {number}"))
    until(lambda: {got["body"] for got in consumer.got[before:]} >= {b"one %d" % n for n in range(100)}, "all for the one left", 60)
    print(f"the one that is left had all after {time.monotonic() - began:.1f} s")
    consumer.shutdown()
    producer.shutdown()


def consume(topic, group):
    """The other member: prints what it gets."""
    consumer = Consumer(group, topic)
    print("started", flush=True)
    seen = 0
    while True:
        while seen < len(consumer.got):
            print(consumer.got[seen]["body"].decode(), flush=True)
            seen += 1
        time.sleep(0.02)


@case
def retries():
    """What a consumer cannot take comes again by the levels, with its count and its topic, at last to the dead letters."""
    topic, group, producer = unique("t"), unique("g"), started_producer()
    producer.send_sync(message(topic, "first"))
    consumer = Consumer(group, topic, fails=lambda got: got["body"] == b"bad" and got["times"] < 3)
    time.sleep(2)
    producer.send_sync(message(topic, "bad", keys="k"))
    until(lambda: len(consumer.got) >= 4, "three retries", 60)
    equal([(got["times"], got["topic"], got["keys"]) for got in consumer.got],
          [(times, topic.encode() if isinstance(got["topic"], bytes) else topic, b"k")
           for times, got in enumerate(consumer.got)], "counts, topic and keys")
    # Retries begin with level 3.
    gaps = [after["at"] - before["at"] for before, after in zip(consumer.got, consumer.got[1:])]
    for gap, least in zip(gaps, LEVELS_S[2:]):
        assert gap >= least, f"a retry after {gap} s instead of {least}"
    equal(len({got["id"] for got in consumer.got}), 1, "one id for all of them")
    consumer.shutdown()
    producer.shutdown()


@case
def orderly():
    """Messages of one key come in order to an orderly consumer, and a message that fails is not overtaken by the next of its key."""
    topic, producer = unique("t"), started_producer()
    producer.send_sync(message(topic, "first"))
    failed = []

    def fails(got):
        if got["body"] == b"2:3" and not failed:
            failed.append(got)
            return True
        return False
    consumer = Consumer(unique("g"), topic, orderly=True, fails=fails)
    time.sleep(3)
    for number in range(10):
        for key in range(4):
            producer.send_orderly(message(topic, f"{key}:{number}"), key)
    until(lambda: len(consumer.got) >= 41, "all messages and one again", 60)
    for key in range(4):
        seen = [body for body in consumer.bodies() if body.startswith(b"%d:" % key)]
        once = [body for place, body in enumerate(seen) if place == 0 or seen[place - 1] != body]
        equal(once, [b"%d:%d" % (key, number) for number in range(10)], f"the order of key {key}")
    consumer.shutdown()
    producer.shutdown()


@case
def fill():
    """For `kept`: a group consumes a topic, and stops; further messages are sent. Names come from the command line."""
    topic, group = sys.argv[3], sys.argv[4]
    producer = started_producer()
    producer.send_sync(message(topic, "first"))
    consumer = Consumer(group, topic)
    time.sleep(2)
    for number in range(20):
        producer.send_sync(message(topic, f"before {number}"))
    until(lambda: len(consumer.got) >= 20, "20 messages")
    consumer.shutdown()
    for number in range(10):
        producer.send_sync(message(topic, f"after {number}"))
    producer.shutdown()


@case
def drain():
    """For `kept`: the group goes on where it was, after the server was killed."""
    topic, group = sys.argv[3], sys.argv[4]
    consumer = Consumer(group, topic)
    until(lambda: len(consumer.got) >= 10, "10 messages")
    time.sleep(2)
    equal(sorted(consumer.bodies()), sorted(b"after %d" % number for number in range(10)), "what had not been consumed")
    consumer.shutdown()


if __name__ == "__main__":
    if sys.argv[2] == "consume":
        consume(sys.argv[3], sys.argv[4])
    CASES[sys.argv[2]]()
    print("done", flush=True)
    # The client's own threads may live on.
    os._exit(0)
