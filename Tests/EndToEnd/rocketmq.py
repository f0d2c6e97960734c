"""The RocketMQ front end: delay levels, recall, tags, retries, transactions."""

import base64
import os
import tempfile

from durability import ENDINGS, after_each_ending
from escapement_driver import equal, eventually, fetch_all, now_ms, run_command, topic_row, unique, wait_until_ms
from suite import case, connect, own

STANDARD = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"
UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
# Level 3, where retries begin, is at once; 4 and 5 are short.
SHORT = ("--delay-levels", "1s 2s 0s 1s 0s")
HOUR_MS = 3_600_000


def send(client, topic, body="x", **fields):
    reply = client.ok("rocketmq.send", topic=topic, body=body, **fields)
    equal(reply["sendStatus"], "SEND_OK", "sendStatus")
    return reply


def subscribe(client, topic, group="g", **fields):
    return client.ok("rocketmq.subscribe", topic=topic, consumerGroup=group, **fields)["sub"]


def next_message(client, **expected):
    event = client.event()
    equal(event["event"], "rocketmq.message", "event")
    for field, value in expected.items():
        equal(event[field], value, field)
    return event


def ack(client, event):
    client.ok("rocketmq.ack", sub=event["sub"], msgId=event["msgId"])


def send_back(client, event, level=0):
    return client.ok("rocketmq.sendBack", sub=event["sub"], msgId=event["msgId"], delayLevel=level)


# The level table.


@case
def the_standard_table_has_rocketmqs_levels():
    """Level table `1s 5s … 2h`: level = index + 1; `rocketmq.levels` shows it as one string and as delays."""
    with connect() as client:
        reply = client.ok("rocketmq.levels")
    equal(reply["messageDelayLevel"], STANDARD, "messageDelayLevel")
    expected = [{"level": n, "delayMs": int(word[:-1]) * UNITS_MS[word[-1]]}
                for n, word in enumerate(STANDARD.split(), start=1)]
    equal(reply["levels"], expected, "levels")


@case
def the_table_is_configurable():
    """The table is configurable: the last character s m h d, the rest an integer; native `delayLevel` uses it too."""
    client = own("--delay-levels", "7s 2m 3h 4d").client()
    reply = client.ok("rocketmq.levels")
    equal(reply["messageDelayLevel"], "7s 2m 3h 4d", "messageDelayLevel")
    equal([level["delayMs"] for level in reply["levels"]], [7_000, 120_000, 3 * HOUR_MS, 96 * HOUR_MS], "delays")
    for level, delay_ms in ((1, 7_000), (4, 96 * HOUR_MS)):
        before = now_ms()
        front = send(client, "t", delayTimeLevel=level)["deliverTimeMs"]
        native = client.ok("schedule", topic="t", body=1, delayLevel=level)["deliverAtMs"]
        for due in (front, native):
            assert before + delay_ms <= due <= now_ms() + delay_ms + 1, f"level {level} is due at {due - before} ms"


@case
def a_bad_table_fails_the_start():
    """A bad string fails the start."""
    with tempfile.TemporaryDirectory() as folder:
        for number, table in enumerate(("", "1s  5s", " 1s", "1x", "s", "5", "1.5s", "-1s", "1s,5s", "99999999999999999999d")):
            data = os.path.join(folder, str(number))
            status, text = run_command("serve", "--data", data, "--listen", "127.0.0.1:0", f"--delay-levels={table}")
            assert status != 0 and "delay-levels" in text, f"table {table!r}: exit {status}, {text!r}"
            assert not os.path.exists(data), "a refused start makes no folder"


@case
def a_level_above_the_highest_is_the_highest():
    """Above the highest: the highest (the front end); the native `schedule` refuses levels outside 1…n."""
    with connect() as client:
        for level in (18, 19, 1_000, 2**62):
            before, topic = now_ms(), unique()
            due = send(client, topic, delayTimeLevel=level)["deliverTimeMs"]
            assert before + 2 * HOUR_MS <= due <= now_ms() + 2 * HOUR_MS + 1, f"level {level}: {due - before} ms"
        for level in (-1, 0, 19):
            client.refused("bad_request", "schedule", topic=unique(), body=1, delayLevel=level)


@case
def level_zero_and_below_is_not_delayed():
    """Level ≤ 0: not delayed: the reply has `queueOffset` and neither `deliverTimeMs` nor `recallHandle`."""
    topic = unique()
    with connect() as client:
        for offset, level in enumerate((0, -1, -(2**62))):
            reply = send(client, topic, delayTimeLevel=level)
            equal(reply["queueOffset"], offset, "queueOffset")
            assert not {"deliverTimeMs", "recallHandle"} & set(reply), f"not delayed: {reply!r}"


@case
def due_is_the_time_of_storing_plus_the_delay():
    """Due = time of storing + level's delay; never earlier."""
    topic = unique()
    with connect() as client:
        subscribe(client, topic)
        before = now_ms()
        reply = send(client, topic, "late", delayTimeLevel=1)
        assert "queueOffset" not in reply, f"a delayed message has no offset yet: {reply!r}"
        assert before + 1_000 <= reply["deliverTimeMs"] <= now_ms() + 1_001, f"due {reply['deliverTimeMs'] - before} ms"
        send(client, topic, "now")
        next_message(client, body="now")
        event = next_message(client, body="late", msgId=reply["msgId"], queueOffset=1)
        assert event.at_ms >= reply["deliverTimeMs"], "delivered early"


@case
def one_level_is_first_in_first_out():
    """Same level: first in, first out."""
    topic = unique()
    with connect() as client:
        subscribe(client, topic, credit=1_000)
        rids = client.send_many(("rocketmq.send", {"topic": topic, "body": str(n), "delayTimeLevel": 1}) for n in range(300))
        ids = [client.reply(rid)["msgId"] for rid in rids]
        events = client.take(300)
    equal([event["body"] for event in events], [str(n) for n in range(300)], "bodies")
    equal([event["msgId"] for event in events], ids, "ids")
    equal([event["queueOffset"] for event in events], list(range(300)), "offsets")


@case
def precedence_of_the_delay_fields():
    """A positive level wins over seconds, seconds over milliseconds, milliseconds over the time of delivery."""
    hours = {"delayTimeSec": 5 * 3_600, "delayTimeMs": 6 * HOUR_MS, "deliverTimeMs": now_ms() + 7 * HOUR_MS}
    table = [
        ({"delayTimeLevel": 17, **hours}, 1), ({"delayTimeLevel": 0, **hours}, 5), ({"delayTimeLevel": -3, **hours}, 5),
        (hours, 5), ({name: hours[name] for name in ("delayTimeMs", "deliverTimeMs")}, 6),
        ({"deliverTimeMs": hours["deliverTimeMs"]}, 7),
    ]
    with connect() as client:
        for fields, expected in table:
            ahead = send(client, unique(), **fields)["deliverTimeMs"] - now_ms()
            assert abs(ahead - expected * HOUR_MS) < 60_000, f"{fields!r} is due in {ahead} ms"


@case
def a_past_time_is_at_once():
    """A past time: at once."""
    with connect() as client:
        for fields in ({"deliverTimeMs": now_ms() - HOUR_MS}, {"deliverTimeMs": 0}, {"delayTimeSec": 0}, {"delayTimeMs": 0}):
            equal(send(client, unique(), **fields)["queueOffset"], 0, f"queueOffset with {fields!r}")


@case
def over_the_maximum_is_an_error():
    """Over the broker's maximum: an error; negative times too; nothing is sent."""
    client = own("--max-delay-ms", 60_000).client()
    for fields in ({"delayTimeSec": 61}, {"delayTimeSec": 2**63 - 1}, {"delayTimeMs": 60_001}, {"delayTimeLevel": 6},
                   {"deliverTimeMs": now_ms() + 120_000}):
        client.refused("delay_out_of_range", "rocketmq.send", topic="t", body="x", **fields)
    for field in ("delayTimeSec", "delayTimeMs", "deliverTimeMs"):
        client.refused("bad_request", "rocketmq.send", topic="t", body="x", **{field: -1})
    equal((topic_row(client, "t") or {}).get("pending", 0), 0, "pending")
    send(client, "t", delayTimeSec=60)


# Sending and the message's parts.


@case
def a_send_says_where_the_message_is():
    """`rocketmq.send`: `sendStatus`, `msgId`, `queueOffset`, which counts up in the topic."""
    topic = unique()
    with connect() as client:
        replies = [send(client, topic, str(n)) for n in range(3)]
        equal([reply["queueOffset"] for reply in replies], [0, 1, 2], "queueOffset")
        equal(len({reply["msgId"] for reply in replies}), 3, "different ids")


@case
def a_message_keeps_its_parts():
    """Events: sub, topic, msgId, queueOffset, reconsumeTimes, tags, keys, properties, body; delay properties are gone."""
    topic, parts = unique(), {"tags": "TagA", "keys": "k1 k2", "properties": {"a": "1", "ü\"": "é\\"}}
    with connect() as client:
        sub = subscribe(client, topic)
        for fields in ({}, {"delayTimeLevel": 1}, {"delayTimeMs": 50}):
            reply = send(client, topic, "über \"x\"\n", **parts, **fields)
            event = next_message(client)
            equal(dict(event), {
                "event": "rocketmq.message", "sub": sub, "topic": topic, "msgId": reply["msgId"],
                "queueOffset": event["queueOffset"], "reconsumeTimes": 0, "tags": "TagA", "keys": "k1 k2",
                "properties": parts["properties"], "body": "über \"x\"\n"}, f"event of {fields!r}")
        send(client, topic, "")
        event = next_message(client, body="", properties={}, tags=None, keys=None)
        send(client, topic, keys=["a", "b"])
        next_message(client, keys="a b")


@case
def native_and_rocketmq_consumers_see_one_message():
    """Tags are our `tag`, the sharding key our `key`, keys and properties our `headers`; and the other way round."""
    topic = unique()
    with connect() as client:
        reply = send(client, topic, "hello", tags="A", keys="k", shardingKey="order-1", properties={"p": "1"})
        message, = fetch_all(client, topic, "native", 1)
        equal([message[name] for name in ("id", "tag", "key", "headers", "body")],
              [reply["msgId"], "A", "order-1", {"KEYS": "k", "p": "1"}, "hello"], "native view")
        client.ok("publish", topic=topic, id="own \"id\"", body="native", tag="B", headers={"KEYS": "z", "q": "2"})
        subscribe(client, topic)
        ack(client, next_message(client, properties={"p": "1", "__SHARDINGKEY": "order-1"}))
        event = next_message(client, msgId="own \"id\"", tags="B", keys="z", properties={"q": "2"}, body="native")
        ack(client, event)


@case
def bad_sends_are_refused():
    """Unknown fields and fields of the wrong type are refused; so are names that the system uses and tags nobody can ask for."""
    with connect() as client:
        bad = [
            {"body": 1}, {"body": {}}, {"delayTimeLevel": "3"}, {"delayLevel": 3}, {"properties": {"a": 1}},
            {"properties": {"TIMER_DELAY_SEC": "1"}}, {"properties": {"DELAY": "1"}}, {"properties": {"RETRY_TOPIC": "x"}},
            {"properties": {"": "x"}}, {"tags": "A||B"}, {"tags": "*"}, {"tags": ""}, {"tags": " A"}, {"tags": ["A"]},
            {"keys": 1}, {"shardingKey": ""}, {"shardingKey": "k" * 257}, {"topic": "%x"}, {"topic": "%RETRY%"},
            {"topic": "a b"}, {"topic": "%DLQ%a%b"}, {"id": "x"},
        ]
        for fields in bad:
            client.refused("bad_request", "rocketmq.send", **{"topic": "t", "body": "x", **fields})
        for field in ("topic", "body"):
            client.refused("bad_request", "rocketmq.send", **{name: "x" for name in ("topic", "body") if name != field})


@case
def names_with_a_percent_sign_are_the_front_ends():
    """These names contain `%`, allowed for the front end only: native requests fail the name check."""
    with connect() as client:
        subscribe(client, unique(), "names")
        for topic in ("%RETRY%names", "%DLQ%names"):
            for op, fields in (("publish", {"body": 1}), ("schedule", {"body": 1, "delayMs": 1}), ("deleteTopic", {}),
                               ("subscribe", {"group": "x"}), ("fetch", {"group": "x"}), ("createTopic", {}),
                               ("cancel", {"id": "x"}), ("list", {})):
                client.refused("bad_request", op, topic=topic, **fields)
        client.refused("bad_request", "subscribe", topic=unique(), group="%x")
        client.refused("bad_request", "rocketmq.subscribe", topic=unique(), consumerGroup="%x")


# Consuming.


@case
def tag_expressions():
    """Tag expression: `*` or tags joined by `||`, blanks ignored."""
    table = [("*", "ABC-"), (" * ", "ABC-"), ("", "ABC-"), (None, "ABC-"), ("A", "A"), ("A || B", "AB"), ("A||C", "AC"),
             ("  B  ||  A ||", "AB"), ("|| C", "C"), ("A || A", "A"), ("D", "")]
    topic = unique()
    with connect() as client:
        for tag in "ABC":
            send(client, topic, tag, tags=tag)
        send(client, topic, "-")
        send(client, topic, "end", tags="End")
        for expression, expected in table:
            with connect() as consumer:
                fields = {} if expression is None else {"subExpression": expression}
                if expected != "ABC-":
                    fields["subExpression"] += "||End"
                subscribe(consumer, topic, unique("group"), **fields)
                bodies = "".join(iter(lambda: consumer.event()["body"], "end"))
                equal(bodies, expected, f"messages for {expression!r}")


@case
def bad_tag_expressions_are_refused():
    """An expression that could match nothing by mistake is refused."""
    with connect() as client:
        for expression in ("||", " || || ", "A | B", "A || *", "* || A", "A|||B", "|", 1, ["A"]):
            client.refused("bad_request", "rocketmq.subscribe", topic=unique(), consumerGroup="g", subExpression=expression)
        for field, value in (("credit", 0), ("credit", 65_537), ("maxReconsumeTimes", -1), ("ackWaitMs", 5)):
            client.refused("bad_request", "rocketmq.subscribe", topic=unique(), consumerGroup="g", **{field: value})


@case
def groups_each_get_everything_and_members_share():
    """Groups: different groups each get all messages; members of one group share them."""
    topic = unique()
    with connect() as one, connect() as two, connect() as other:
        for client, group in ((one, "g"), (two, "g"), (other, "h")):
            subscribe(client, topic, group, credit=5)
        for n in range(10):
            send(other, topic, str(n))
        shared = [event["body"] for client in (one, two) for event in client.take(5)]
        equal(sorted(shared), [str(n) for n in range(10)], "shared")
        seen = []
        for _ in range(10):
            event = next_message(other)
            seen.append(event["body"])
            ack(other, event)
        equal(seen, [str(n) for n in range(10)], "of the other group")


@case
def one_sharding_key_is_in_order():
    """Order within a sharding key: messages with one key come one at a time."""
    topic = unique()
    with connect() as client:
        for n, key in enumerate(("a", "a", "b", "a")):
            send(client, topic, f"{key}{n}", shardingKey=key)
        subscribe(client, topic, credit=10)
        first, other = client.take(2)
        equal([first["body"], other["body"]], ["a0", "b2"], "the first of each key")
        client.quiet(0.1)
        ack(client, first)
        second = next_message(client, body="a1")
        client.quiet(0.1)
        ack(client, second)
        next_message(client, body="a3")


@case
def an_ack_ends_a_delivery():
    """`rocketmq.ack` ends the delivery by msgId, also across a crash; what is not acknowledged goes to another member."""
    server = own()
    client = server.client()
    for n in range(3):
        send(client, "t", str(n))
    subscribe(client, "t")
    events = client.take(3)
    ack(client, events[1])
    client.refused("not_found", "rocketmq.ack", sub=events[1]["sub"], msgId=events[1]["msgId"])
    client.refused("not_found", "rocketmq.ack", sub=events[1]["sub"], msgId="no such message")
    client.refused("not_found", "rocketmq.ack", sub=99, msgId=events[0]["msgId"])
    client.close()
    client = server.client()
    subscribe(client, "t")
    equal([event["body"] for event in client.take(2)], ["0", "2"], "after a lost connection")
    for ending, client in after_each_ending(server):
        subscribe(client, "t")
        equal([event["body"] for event in client.take(2)], ["0", "2"], f"after {ending}")


@case
def credit_is_one_for_topic_and_retries():
    """`credit?`: unacknowledged at a time, the retries among them."""
    client = own(*SHORT).client()
    subscribe(client, "t", credit=2)
    for n in range(4):
        send(client, "t", str(n))
    first, second = client.take(2)
    client.quiet(0.1)
    equal(send_back(client, first)["outcome"], "retry")
    third = next_message(client)
    client.quiet(0.2)
    ack(client, second)
    fourth = next_message(client)
    client.quiet(0.2)
    ack(client, third)
    fifth = next_message(client)
    equal(sorted(event["body"] for event in (second, third, fourth, fifth)), ["0", "1", "2", "3"], "bodies")


@case
def a_busy_topic_does_not_starve_its_retries():
    """`credit?`: topic and retries take turns, however much the topic has."""
    client = own(*SHORT).client()
    subscribe(client, "t", credit=1)
    for n in range(20):
        send(client, "t", str(n))
    send_back(client, next_message(client, body="0"))
    order = []
    for _ in range(20):
        event = next_message(client)
        order.append(event["body"])
        ack(client, event)
    assert order.index("0") < 5, f"the retry waited for all others: {order!r}"


@case
def unsubscribe_ends_both_halves():
    """One `sub` on the wire: `unsubscribe` ends the topic and the retries."""
    client = own(*SHORT).client()
    sub = subscribe(client, "t")
    send(client, "t")
    send_back(client, next_message(client), 4)
    client.ok("unsubscribe", sub=sub)
    send(client, "t", "later")
    client.quiet(1.3)
    equal({row["topic"]: row["groups"][0]["members"] for row in client.ok("topics")["topics"]},
          {"t": 0, "%RETRY%g": 0}, "members")


# Recall.


def plain(handle):
    return base64.urlsafe_b64decode(handle).decode()


def encoded(text):
    return base64.urlsafe_b64encode(text.encode()).decode()


@case
def a_recall_handle_is_rocketmqs():
    """Recall handle: base64url of `v1 <topic> <broker> <deliverTimeMs> <msgId>`."""
    topic = unique()
    with connect() as client:
        reply = send(client, topic, delayTimeLevel=5)
        version, name, broker, due, msg_id = plain(reply["recallHandle"]).split(" ")
        equal((version, name, int(due), msg_id), ("v1", topic, reply["deliverTimeMs"], reply["msgId"]), "parts")
        assert broker, "a broker has a name"
        assert "recallHandle" not in send(client, topic), "what is not delayed cannot be recalled"


@case
def a_recall_answers_the_true_outcome():
    """Ours answers the true outcome: cancelled, and again cancelled; released; unknown."""
    topic = unique()
    with connect() as client:
        subscribe(client, topic)
        gone = send(client, topic, "gone", delayTimeMs=1_000)
        for _ in range(2):
            reply = client.ok("rocketmq.recall", topic=topic, recallHandle=gone["recallHandle"])
            equal((reply["msgId"], reply["outcome"]), (gone["msgId"], "cancelled"), "reply")
        came = send(client, topic, "came", delayTimeMs=50)
        next_message(client, body="came")
        equal(client.ok("rocketmq.recall", topic=topic, recallHandle=came["recallHandle"])["outcome"], "released")
        wait_until_ms(gone["deliverTimeMs"])
        client.quiet(0.2)
        gone = send(client, topic, "gone", delayTimeLevel=5)
        client.ok("deleteTopic", topic=topic)
        equal(client.ok("rocketmq.recall", topic=topic, recallHandle=gone["recallHandle"])["outcome"], "unknown")


@case
def forged_and_foreign_handles_are_errors():
    """A forged or foreign handle is an error (`bad_request`), and recalls nothing."""
    topic, other = unique(), unique()
    stranger = own().client()
    with connect() as client:
        mine, second = (send(client, topic, delayTimeLevel=5) for _ in range(2))
        send(client, other, delayTimeLevel=5)
        parts = plain(mine["recallHandle"]).split(" ")
        last = parts[2][:-1] + ("0" if parts[2][-1] != "0" else "1")
        forged = [
            encoded(" ".join(parts[:4] + [second["msgId"]])), encoded(" ".join(["v2"] + parts[1:])),
            encoded(" ".join(parts[:3] + [str(int(parts[3]) + 1), parts[4]])),
            encoded(" ".join(parts[:2] + ["broker-a"] + parts[3:])), encoded(" ".join(parts[:2] + [last] + parts[3:])),
            encoded(" ".join(parts[:4])), encoded(" ".join(parts + ["more"])), encoded(""), "", "%%%", "x", "v1", mine["msgId"],
            send(stranger, topic, delayTimeLevel=5)["recallHandle"],
        ]
        for handle in forged:
            client.refused("bad_request", "rocketmq.recall", topic=topic, recallHandle=handle)
        client.refused("bad_request", "rocketmq.recall", topic=other, recallHandle=mine["recallHandle"])
        client.refused("bad_request", "rocketmq.recall", topic=topic)
        equal([topic_row(client, name)["pending"] for name in (topic, other)], [2, 1], "pending")
        equal(client.ok("rocketmq.recall", topic=topic, recallHandle=mine["recallHandle"])["outcome"], "cancelled")


@case
def a_recall_races_release_safely():
    """Safe against a race with release: each message is either recalled or delivered, never both, never neither."""
    topic, count = unique(), 600
    with connect() as client, connect() as consumer:
        subscribe(consumer, topic, credit=2 * count)
        due = now_ms() + 700
        rids = client.send_many(("rocketmq.send", {"topic": topic, "body": str(n), "deliverTimeMs": due + n // 6}) for n in range(count))
        sent = [client.reply(rid) for rid in rids]
        assert all("recallHandle" in reply for reply in sent), "the machine was too slow for this race"
        wait_until_ms(due + 30)
        recalls = [("rocketmq.recall", {"topic": topic, "recallHandle": reply["recallHandle"]}) for reply in sent]
        outcomes = [client.reply(rid)["outcome"] for rid in client.send_many(recalls)]
        equal(set(outcomes) - {"cancelled", "released"}, set(), "outcomes")
        delivered = {event["body"] for event in consumer.take(outcomes.count("released"))}
        consumer.quiet(0.3)
    equal(delivered, {str(n) for n, outcome in enumerate(outcomes) if outcome == "released"}, "delivered")


@case
def handles_survive():
    """A handle is good after a crash and a clean stop; what was recalled stays so."""
    server = own()
    client = server.client()
    first, second = (send(client, "t", delayTimeLevel=5) for _ in range(2))
    equal(client.ok("rocketmq.recall", topic="t", recallHandle=first["recallHandle"])["outcome"], "cancelled")
    for _, client in after_each_ending(server):
        equal(client.ok("rocketmq.recall", topic="t", recallHandle=first["recallHandle"])["outcome"], "cancelled")
        equal(topic_row(client, "t")["pending"], 1, "pending")
    equal(client.ok("rocketmq.recall", topic="t", recallHandle=second["recallHandle"])["outcome"], "cancelled")


# Retries.


@case
def a_message_sent_back_comes_again_through_the_retry_topic():
    """Retries go by the schedule to `%RETRY%<group>`, reconsumeTimes + 1, with `RETRY_TOPIC` and `ORIGIN_MESSAGE_ID`."""
    client = own(*SHORT).client()
    sub = subscribe(client, "t", subExpression="A")
    first_id = send(client, "t", "x", tags="A", keys="k", shardingKey="s", properties={"p": "1"})["msgId"]
    event = next_message(client, topic="t", reconsumeTimes=0)
    for times, delay in ((1, 0), (2, 1_000), (3, 0)):
        before = now_ms()
        reply = send_back(client, event)
        equal((reply["outcome"], reply["delayMs"]), ("retry", delay), "outcome")
        event = next_message(client, sub=sub, topic="%RETRY%g", reconsumeTimes=times, tags="A", keys="k", body="x")
        assert event.at_ms >= before + delay, f"retry {times} came early"
        equal(event["properties"], {
            "p": "1", "__SHARDINGKEY": "s", "RECONSUME_TIMES": str(times), "RETRY_TOPIC": "t",
            "ORIGIN_MESSAGE_ID": first_id}, "properties")
    ack(client, event)
    rows = {row["topic"]: row["groups"][0]["lag"] for row in client.ok("topics")["topics"]}
    equal(rows, {"t": 0, "%RETRY%g": 0}, "lags")


@case
def the_retry_rule():
    """Level 0 → level 3 + reconsumeTimes (10 s first); > 0 → that level, above the highest the highest."""
    topic = unique()
    with connect() as client:
        subscribe(client, topic, unique("group"))
        for level, delay_ms in ((0, 10_000), (1, 1_000), (7, 180_000), (18, 2 * HOUR_MS), (19, 2 * HOUR_MS), (2**62, 2 * HOUR_MS)):
            send(client, topic)
            reply = send_back(client, next_message(client), level)
            equal((reply["outcome"], reply["delayMs"]), ("retry", delay_ms), f"level {level}")
        # A message that says it was retried often: the rule goes up to the highest level.
        for times, delay_ms in ((1, 30_000), (14, HOUR_MS), (15, 2 * HOUR_MS)):
            client.ok("publish", topic=topic, body="x", headers={"RECONSUME_TIMES": str(times)})
            event = next_message(client, reconsumeTimes=times)
            equal(send_back(client, event)["delayMs"], delay_ms, f"after {times} retries")


@case
def below_zero_is_the_dead_letters():
    """Level < 0 → topic `%DLQ%<group>`; it is not delivered again; a RocketMQ consumer can read it there."""
    client = own().client()
    subscribe(client, "t")
    first = send(client, "t", "bad", tags="A")
    reply = send_back(client, next_message(client), -1)
    equal((reply["outcome"], "delayMs" in reply), ("dlq", False), "outcome")
    subscribe(client, "%DLQ%g", "judge")
    event = next_message(client, topic="%DLQ%g", body="bad", tags="A", queueOffset=0)
    equal([event["properties"][name] for name in ("RETRY_TOPIC", "ORIGIN_MESSAGE_ID")], ["t", first["msgId"]], "origin")
    client.refused("not_found", "rocketmq.sendBack", sub=1, msgId=first["msgId"], delayLevel=0)
    client.quiet(0.1)


@case
def after_the_most_retries_come_the_dead_letters():
    """reconsumeTimes ≥ max → topic `%DLQ%<group>`, whatever level is asked for; max is 16 when not given."""
    client = own(*SHORT).client()
    for maximum, group, level in ((2, "two", 0), (0, "none", 5), (None, "default", 5)):
        sub = subscribe(client, f"t-{group}", group, **({} if maximum is None else {"maxReconsumeTimes": maximum}))
        send(client, f"t-{group}", group)
        for times in range(17 if maximum is None else maximum + 1):
            event = next_message(client, sub=sub, reconsumeTimes=times)
            outcome = send_back(client, event, level)["outcome"]
            equal(outcome, "dlq" if times == (16 if maximum is None else maximum) else "retry", f"outcome of {times}")
        subscribe(client, f"%DLQ%{group}", "judge")
        equal(next_message(client, topic=f"%DLQ%{group}", body=group)["properties"]["RETRY_TOPIC"], f"t-{group}")
    client.quiet(0.1)


@case
def retries_survive():
    """Consumer retry across restart: sent back before a crash comes once after it, counting on; the origin not again."""
    server = own(*SHORT)
    client = server.client()
    subscribe(client, "t")
    first_id = send(client, "t", "x")["msgId"]
    times = 0
    event = next_message(client)
    for ending, client_after in after_each_sent_back(server, client, lambda: event):
        client, times = client_after, times + 1
        subscribe(client, "t")
        event = next_message(client, topic="%RETRY%g", reconsumeTimes=times, body="x")
        equal([event["properties"][name] for name in ("RETRY_TOPIC", "ORIGIN_MESSAGE_ID")], ["t", first_id], ending)
        client.quiet(0.1)
    ack(client, event)
    equal(topic_row(client, "%RETRY%g")["nextOffset"], times, "retries in their topic")
    server.restart()
    client = server.client()
    subscribe(client, "t")
    client.quiet(0.2)


def after_each_sent_back(server, client, event):
    for ending in ENDINGS:
        # Level 4 waits a second: the server ends while the retry is pending.
        equal(send_back(client, event(), 4)["outcome"], "retry")
        getattr(server, ending)()
        server.start()
        client = server.client()
        yield ending, client


@case
def dead_letters_survive_too():
    """What was sent to `%DLQ%<group>` is there once after a crash, and nothing of it comes again."""
    server = own(*SHORT)
    client = server.client()
    subscribe(client, "t")
    send(client, "t", "bad")
    equal(send_back(client, next_message(client), -1)["outcome"], "dlq")
    for ending, client in after_each_ending(server):
        equal(topic_row(client, "%DLQ%g")["nextOffset"], 1, f"dead letters after {ending}")
        subscribe(client, "t")
        client.quiet(0.1)


@case
def a_crash_while_messages_are_sent_back_loses_and_doubles_none():
    """Consumer retry across a crash in the middle of it: each message comes once, retried if the reply said so."""
    server, count = own(*SHORT), 400
    client = server.client()
    subscribe(client, "t", credit=count)
    for n in range(count):
        client.send("rocketmq.send", topic="t", body=str(n))
    events = client.take(count)
    requests = [("rocketmq.sendBack", {"sub": event["sub"], "msgId": event["msgId"], "delayLevel": 4}) for event in events]
    rids = client.send_many(requests[: count // 2])
    more = client.send_many(requests[count // 2:])
    client.reply(rids[-1])
    server.kill9()
    answered = {rid for rid in rids + more if any(reply.get("rid") == rid for reply in client.replies)} | {rids[-1]}
    server.start()
    client = server.client()
    subscribe(client, "t", credit=2 * count)
    times = {}
    for event in client.take(count):
        assert event["body"] not in times, f"twice: {event!r}"
        times[event["body"]] = event["reconsumeTimes"]
    equal(set(times), {str(n) for n in range(count)}, "messages")
    for rid, event in zip(rids + more, events):
        assert times[event["body"]] == 1 or rid not in answered, f"a retry was forgotten: {event!r}"
    client.quiet(0.2)


@case
def retries_go_to_any_member_of_the_group():
    """A subscriber of a topic is subscribed to its group's retry topic as well; other groups do not see its retries."""
    server = own(*SHORT)
    one, two, other = (server.client() for _ in range(3))
    subscribe(one, "t")
    subscribe(other, "t", "h")
    send(other, "t", "x")
    ack(other, next_message(other))
    equal(send_back(one, next_message(one), 4)["outcome"], "retry")
    one.close()
    subscribe(two, "t")
    next_message(two, reconsumeTimes=1, body="x", topic="%RETRY%g")
    other.quiet(0.2)


@case
def retries_of_two_topics_come_under_their_own_subscriptions():
    """Two topics of one group share a retry topic: a retry is shown under the subscription of the topic it came from."""
    client = own(*SHORT).client()
    subs = {topic: subscribe(client, topic) for topic in ("a", "b", "c")}
    for topic in subs:
        for n in range(3):
            send(client, topic, topic)
    for event in client.take(9):
        equal(event["sub"], subs[event["body"]], "sub")
        send_back(client, event)
    for event in client.take(9):
        equal((event["sub"], event["properties"]["RETRY_TOPIC"]), (subs[event["body"]], event["body"]), "sub of a retry")
        ack(client, event)
    equal(topic_row(client, "%RETRY%g")["groups"][0]["lag"], 0, "lag")


@case
def a_message_that_kills_its_consumers_is_a_dead_letter():
    """Delivered 17 times to connections that went without an answer: `%DLQ%<group>`."""
    server = own()
    keeper = server.client()
    send(keeper, "t", "poison")
    for _ in range(17):
        with server.client() as client:
            subscribe(client, "t")
            next_message(client, body="poison", reconsumeTimes=0)
    subscribe(keeper, "t")
    subscribe(keeper, "%DLQ%g", "judge")
    next_message(keeper, topic="%DLQ%g", body="poison")


# Transactions.


FAST = ("--transaction-check-delay-ms", 400, "--transaction-check-interval-ms", 300, "--transaction-check-max", 3)


def send_half(client, topic, body="half", group="p", **fields):
    reply = client.ok("rocketmq.sendHalf", topic=topic, body=body, producerGroup=group, **fields)
    return reply["transactionId"], reply["msgId"]


def end(client, transaction, state):
    return client.ok("rocketmq.endTransaction", transactionId=transaction, state=state)["outcome"]


@case
def commit_publishes_once():
    """A half message is seen by no consumer; COMMIT publishes it, once, however often it is said."""
    topic = unique()
    with connect() as client:
        subscribe(client, topic)
        client.ok("subscribe", topic=topic, group="native")
        transaction, msg_id = send_half(client, topic, "x", tags="A", keys="k", shardingKey="s", properties={"p": "1"})
        client.quiet(0.2)
        equal(topic_row(client, topic)["nextOffset"], 0, "messages before COMMIT")
        equal(end(client, transaction, "COMMIT"), "committed", "outcome")
        events = {event["event"]: event for event in client.take(2)}
        event = events["rocketmq.message"]
        equal((event["msgId"], event["queueOffset"], event["tags"], event["keys"], event["body"], event["properties"]),
              (msg_id, 0, "A", "k", "x", {"p": "1", "__SHARDINGKEY": "s"}), "event")
        equal(events["message"]["id"], msg_id, "the native event")
        for state in ("COMMIT", "ROLLBACK", "UNKNOWN"):
            equal(end(client, transaction, state), "committed", f"outcome of {state} after COMMIT")
        client.quiet(0.1)


@case
def rollback_drops():
    """ROLLBACK drops it: a later COMMIT publishes nothing and is told so."""
    topic = unique()
    with connect() as client:
        subscribe(client, topic)
        transaction, _ = send_half(client, topic)
        for state in ("ROLLBACK", "ROLLBACK", "COMMIT"):
            equal(end(client, transaction, state), "rolledBack", f"outcome of {state}")
        client.quiet(0.2)
        equal(topic_row(client, topic)["nextOffset"], 0, "messages")


@case
def unknown_leaves_it():
    """UNKNOWN leaves it: it can still be committed."""
    topic = unique()
    with connect() as client:
        subscribe(client, topic)
        transaction, _ = send_half(client, topic)
        equal(end(client, transaction, "UNKNOWN"), "unknown", "outcome")
        client.quiet(0.1)
        equal(end(client, transaction, "COMMIT"), "committed", "outcome")
        next_message(client, body="half")


@case
def bad_transactions_are_refused():
    """`sendHalf`: as `send` without delay; `endTransaction`: a transaction that is not there is `not_found`."""
    with connect() as client:
        for fields in ({"delayTimeLevel": 1}, {"delayTimeMs": 0}, {"deliverTimeMs": 0}, {"producerGroup": "%"}, {"body": 1}):
            client.refused("bad_request", "rocketmq.sendHalf", **{"topic": "t", "body": "x", "producerGroup": "p", **fields})
        client.refused("bad_request", "rocketmq.sendHalf", topic="t", body="x")
        for transaction in ("", "x", "m0000000000000", "mzzzzzzzzzzzzz", "m" * 300):
            client.refused("not_found", "rocketmq.endTransaction", transactionId=transaction, state="COMMIT")
        transaction, _ = send_half(client, unique())
        for state in ("commit", "", "DONE", 1):
            client.refused("bad_request", "rocketmq.endTransaction", transactionId=transaction, state=state)
        client.refused("bad_request", "rocketmq.registerProducer")


@case
def an_undecided_transaction_is_asked_about_and_then_discarded():
    """First check-back after the delay, then every interval, at most so many; then to `TRANS_CHECK_MAX_TIME_TOPIC`."""
    client = own(*FAST).client()
    client.ok("rocketmq.registerProducer", producerGroup="p")
    before = now_ms()
    transaction, msg_id = send_half(client, "t", "half", properties={"p": "1"})
    sent = now_ms()
    for number in range(3):
        event = client.event()
        equal(dict(event), {"event": "rocketmq.checkTransaction", "transactionId": transaction, "msgId": msg_id,
                            "topic": "t", "body": "half"}, "check")
        assert event.at_ms >= before + 400 + 300 * number, f"check {number} came after {event.at_ms - before} ms"
        if number == 0:
            equal(end(client, transaction, "UNKNOWN"), "unknown", "outcome")
    subscribe(client, "TRANS_CHECK_MAX_TIME_TOPIC", "judge")
    event = next_message(client, topic="TRANS_CHECK_MAX_TIME_TOPIC", body="half", msgId=msg_id)
    assert event.at_ms >= before + 400 + 3 * 300, f"discarded after {event.at_ms - sent} ms"
    equal([event["properties"][name] for name in ("p", "x-origin-topic", "x-group", "x-attempts")], ["1", "t", "p", "3"])
    equal(end(client, transaction, "COMMIT"), "discarded", "outcome")
    equal(topic_row(client, "t")["nextOffset"], 0, "messages")
    client.quiet(0.5)


@case
def a_check_goes_to_any_live_producer_of_the_group():
    """A check goes to any live producer of the producer group, and to no other."""
    server = own("--transaction-check-delay-ms", 300, "--transaction-check-interval-ms", 200)
    one, two, other = (server.client() for _ in range(3))
    for client, group in ((one, "p"), (two, "p"), (other, "q")):
        client.ok("rocketmq.registerProducer", producerGroup=group)
        client.ok("rocketmq.registerProducer", producerGroup=group)
    transaction, _ = send_half(one, "t")
    one.close()
    for _ in range(2):
        equal(two.event()["transactionId"], transaction, "transaction")
    equal(end(other, transaction, "COMMIT"), "committed", "anybody may answer")
    other.quiet(0.1)
    two.pushes.clear()
    two.quiet(0.5)


@case
def the_standard_check_is_after_six_seconds():
    """First check-back after 6 s by default, and not before."""
    with connect() as client:
        group = unique("producers")
        client.ok("rocketmq.registerProducer", producerGroup=group)
        before = now_ms()
        transaction, _ = send_half(client, unique(), group=group)
        event = client.event()
        assert event.at_ms >= before + 6_000, f"asked after {event.at_ms - before} ms"
        equal(end(client, transaction, "ROLLBACK"), "rolledBack", "outcome")


@case
def transactions_survive():
    """All of this survives a restart: held before COMMIT, published once after it, rolled back for good."""
    server = own()
    client = server.client()
    names = ("committed", "rolledBack", "early", "late")
    ids = {name: send_half(client, "t", name)[0] for name in names}
    equal(end(client, ids["committed"], "COMMIT"), "committed")
    equal(end(client, ids["rolledBack"], "ROLLBACK"), "rolledBack")
    messages = ["committed"]
    for (ending, client), name in zip(after_each_ending(server), ("early", "late")):
        equal([m["body"] for m in fetch_all(client, "t", f"before-{ending}", len(messages))], messages, f"after {ending}")
        equal(client.ok("fetch", topic="t", group=f"before-{ending}")["messages"], [], f"nothing more after {ending}")
        for old in ("committed", "rolledBack"):
            equal(end(client, ids[old], "COMMIT"), old, f"{old} after {ending}")
        equal(end(client, ids[name], "UNKNOWN"), "unknown", f"{name} after {ending}")
        equal(end(client, ids[name], "COMMIT"), "committed", f"{name} after {ending}")
        messages.append(name)
    for ending, client in after_each_ending(server):
        equal(topic_row(client, "t")["nextOffset"], 3, f"messages after {ending}")
        for name in ("committed", "early", "late"):
            equal(end(client, ids[name], "COMMIT"), "committed", f"{name} again after {ending}")
        equal(topic_row(client, "t")["nextOffset"], 3, f"messages after {ending} and COMMIT")


@case
def a_crash_while_transactions_are_committed_loses_and_doubles_none():
    """COMMIT across a crash in the middle of it: each is published once, the others are still held."""
    server, count = own("--checkpoint-bytes", 16_384), 400
    client = server.client()
    rids = client.send_many(("rocketmq.sendHalf", {"topic": "t", "body": str(n), "producerGroup": "p"}) for n in range(count))
    ids = [client.reply(rid)["transactionId"] for rid in rids]
    rids = [client.send("rocketmq.endTransaction", transactionId=name, state="COMMIT") for name in ids]
    client.reply(rids[count // 4])
    server.kill9()
    answered = [n for n, rid in enumerate(rids) if any(reply.get("rid") == rid for reply in client.replies)]
    server.start()
    client = server.client()
    published = (topic_row(client, "t") or {}).get("nextOffset")
    equal(client.ok("stats")["held"], count - published, "held after the crash")
    before = {message["body"] for message in fetch_all(client, "t", "before", published)} if published else set()
    assert {str(n) for n in answered} <= before, "a committed message is gone"
    for name in ids:
        equal(end(client, name, "COMMIT"), "committed", "outcome")
    after = [message["body"] for message in fetch_all(client, "t", "after", count)]
    equal(sorted(after, key=int), [str(n) for n in range(count)], "messages")
    equal(topic_row(client, "t")["nextOffset"], count, "messages in the topic")


@case
def checks_survive():
    """The number of checks goes on after a restart, and the half message is discarded in the end, once."""
    server = own("--transaction-check-delay-ms", 1, "--transaction-check-interval-ms", 700, "--transaction-check-max", 3)
    client = server.client()
    client.ok("rocketmq.registerProducer", producerGroup="p")
    transaction, _ = send_half(client, "t")
    equal(client.event()["transactionId"], transaction, "the first check")
    for _, client in after_each_ending(server):
        client.ok("rocketmq.registerProducer", producerGroup="p")
    eventually(lambda: (topic_row(client, "TRANS_CHECK_MAX_TIME_TOPIC") or {}).get("nextOffset") == 1, what="the discard")
    assert len(client.pushes) <= 2, f"at most three checks in all: {client.pushes!r}"
    server.restart()
    client = server.client()
    equal(end(client, transaction, "COMMIT"), "discarded", "outcome")
    equal([topic_row(client, name)["nextOffset"] for name in ("t", "TRANS_CHECK_MAX_TIME_TOPIC")], [0, 1], "messages")


@case
def deleting_a_topic_drops_its_half_messages():
    """`deleteTopic`: what was held for it goes too, also across a crash."""
    server = own()
    client = server.client()
    transaction, _ = send_half(client, "t")
    assert client.ok("deleteTopic", topic="t")["deleted"]
    client.refused("not_found", "rocketmq.endTransaction", transactionId=transaction, state="COMMIT")
    for _, client in after_each_ending(server):
        client.refused("not_found", "rocketmq.endTransaction", transactionId=transaction, state="COMMIT")
        equal(client.ok("stats")["held"], 0, "held")
