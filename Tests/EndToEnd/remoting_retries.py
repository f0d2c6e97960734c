"""RocketMQ's remoting protocol: looking at messages, sending them back, dead letters, transactions, recalls."""

import json
import time

import remoting_driver as wire
from escapement_driver import equal, now_ms, unique
from remoting_basics import FLAGS, peer, server
from remoting_driver import messages
from suite import case, own



def send_back(p, message, group="g", level=0, **more):
    return p.call(wire.SEND_BACK, {"offset": message["physical"], "group": group, "delayLevel": level, **more})


@case
def viewing():
    """A message is looked at again by the place that its id names, and only while it is there."""
    one, topic = server(), unique("t")
    with peer(one) as p:
        ids = [p.publish(topic, b"%d" % n, queue=n % 2, TAGS="A", UNIQ_KEY=f"U{n}")["msgId"] for n in range(4)]
        for number, text in enumerate(ids):
            found = messages(p.ok(wire.VIEW, {"offset": int(text[16:], 16)}).body)
            equal([(m["body"], m["queue"], m["offset"], wire.message_id(m)) for m in found],
                  [(b"%d" % number, number % 2, number // 2, text)], "the message")
        late = p.publish(topic, b"late", TIMER_DELAY_SEC="60")["msgId"]
        assert late not in ids
        for offset in (int(late[16:], 16), int(ids[0][16:], 16) + 99, 1 << 61, (1 << 63) - 1, -1):
            equal(p.call(wire.VIEW, {"offset": offset}).code, 22, f"nothing at {offset}")


@case
def retries():
    """What is sent back comes again through the group's retries by the level rule, with its count, its origin and its first id."""
    one, topic = server(), unique("t")
    with peer(one) as p:
        p.publish(topic, b"again", queue=3, TAGS="A", KEYS="k", UNIQ_KEY="U", mine="v")
        message = p.collect(topic, 1)[0]
        first_id = wire.message_id(message)
        for times in (1, 2, 3):
            before = now_ms()
            equal(send_back(p, message).code, 0, "the answer")
            message = p.collect("%RETRY%g", times, queues=1)[-1]
            # Levels 3, 4, 5 of this server's table last a second each.
            assert message["stored"] - before >= 1000, "too early"
            equal((message["body"], message["times"], message["topic"]), (b"again", times, "%RETRY%g"), "the retry")
            equal(message["properties"], {"TAGS": "A", "KEYS": "k", "UNIQ_KEY": "U", "mine": "v", "RETRY_TOPIC": topic,
                                          "ORIGIN_MESSAGE_ID": first_id}, "its properties")
        before = now_ms()
        equal(send_back(p, message, level=6).code, 0, "by a level")
        assert p.collect("%RETRY%g", 4, queues=1)[-1]["stored"] - before >= 2000, "a level of its own"
        equal(send_back(p, {"physical": message["physical"] + 100}).code, 22, "a message that is not there")


@case
def dead_letters():
    """After the maximum, or with a negative level, a message goes to the group's dead letters; so does one that a client retries itself."""
    one, topic = server(), unique("t")
    with peer(one) as p:
        p.publish(topic, b"dead", queue=1)
        message = p.collect(topic, 1)[0]
        equal(send_back(p, message, level=-1).code, 0, "never again")
        dead = p.collect("%DLQ%g", 1, queues=1)[0]
        equal((dead["body"], dead["times"], dead["properties"]["RETRY_TOPIC"]), (b"dead", 1, topic), "the dead letter")
        equal(send_back(p, message, maxReconsumeTimes=0).code, 0, "no retries")
        equal(send_back(p, message, maxReconsumeTimes=1).code, 0, "one retry")
        retry = p.collect("%RETRY%g", 1, queues=1)[0]
        equal(send_back(p, retry, maxReconsumeTimes=1).code, 0, "the last one is over")
        equal(len(p.collect("%DLQ%g", 3, queues=1)), 3, "dead letters")
        more = {"reconsumeTimes": 2, "maxReconsumeTimes": 2}
        p.publish("%RETRY%g", b"own", more=more, RETRY_TOPIC=topic)
        p.publish("%RETRY%g", b"own2", more={"reconsumeTimes": 1, "maxReconsumeTimes": 2}, RETRY_TOPIC=topic, DELAY="1")
        equal([(m["body"], m["times"]) for m in p.collect("%DLQ%g", 4, queues=1)][3:], [(b"own", 2)], "retried by the client, and over")
        equal([(m["body"], m["times"]) for m in p.collect("%RETRY%g", 2, queues=1)][1:], [(b"own2", 1)], "retried by the client")


@case
def retries_survive():
    """A message that was sent back comes again after kill -9."""
    one, topic = server(), unique("t")
    with peer(one) as p:
        p.publish(topic, b"again")
        equal(send_back(p, p.collect(topic, 1)[0], level=6).code, 0, "the answer")
    one.restart()
    with peer(one) as p:
        equal([m["body"] for m in p.collect("%RETRY%g", 1, queues=1)], [b"again"], "the retry")


def half(p, topic, body=b"half", group="pg", **names):
    """A half message; gives what its producer decides by."""
    got = p.publish(topic, body, TRAN_MSG="true", PGROUP=group, UNIQ_KEY="U", **names)
    return {"producerGroup": group, "tranStateTableOffset": got["queueOffset"], "commitLogOffset": int(got["msgId"][16:], 16),
            "msgId": "U", "transactionId": got["transactionId"], "fromTransactionCheck": "false"}


@case
def transactions():
    """A half message is seen by nobody before it is committed; rolled back it is gone; the first decision holds."""
    one, topic = server(), unique("t")
    with peer(one) as p:
        committed, dropped = half(p, topic, b"yes", TAGS="A"), half(p, topic, b"no")
        equal(committed["transactionId"], "U", "the transaction's id")
        p.ok(wire.END_TRANSACTION, {**committed, "commitOrRollback": 0})
        equal(p.pull(topic)[0], 19, "nothing yet")
        p.ok(wire.END_TRANSACTION, {**committed, "commitOrRollback": 8})
        # A client may know only one of the numbers.
        p.ok(wire.END_TRANSACTION, {"tranStateTableOffset": dropped["tranStateTableOffset"], "commitOrRollback": 12})
        p.send(wire.END_TRANSACTION, {**committed, "commitOrRollback": 8}, flag=2)
        equal(p.call(wire.END_TRANSACTION, {**dropped, "commitOrRollback": 8}).code, 1, "decided before")
        equal(p.call(wire.END_TRANSACTION, {**committed, "commitOrRollback": 7}).code, 1, "no decision")
        equal(p.call(wire.END_TRANSACTION, {"commitLogOffset": 5, "tranStateTableOffset": 5, "commitOrRollback": 8}).code, 22, "no transaction")
        found = p.collect(topic, 1)
        equal([(m["body"], m["properties"]) for m in found], [(b"yes", {"UNIQ_KEY": "U", "TAGS": "A"})], "what was committed")


@case
def check_back():
    """An undecided half message is asked about at a live producer of its group, also after kill -9, and its answer counts."""
    one, topic = own(*FLAGS, "--transaction-check-delay-ms", "300", "--transaction-check-interval-ms", "300"), unique("t")
    with peer(one) as p:
        half(p, topic, b"asked", KEYS="k")
    one.restart()
    with peer(one, binary=True) as p, peer(one) as other:
        p.heartbeat("c", producer="pg")
        other.heartbeat("d", producer="other")
        asked = p.request(10)
        equal((asked.code, asked.serialization), (wire.CHECK, 1), "the question")
        message = messages(asked.body)[0]
        equal((message["topic"], message["body"], message["properties"]),
              (topic, b"asked", {"KEYS": "k", "UNIQ_KEY": "U", "TRAN_MSG": "true", "PGROUP": "pg"}), "the message")
        equal((asked.fields["msgId"], asked.fields["transactionId"]), ("U", "U"), "its ids")
        decision = {name: asked.fields[name] for name in ("tranStateTableOffset", "commitLogOffset", "msgId", "transactionId")}
        p.ok(wire.END_TRANSACTION, {**decision, "producerGroup": "pg", "commitOrRollback": 8, "fromTransactionCheck": "true"})
        equal([m["body"] for m in p.collect(topic, 1)], [b"asked"], "what was committed")
        equal(len(other.asked), 0, "another group is not asked")


@case
def recalls():
    """A recall takes a delayed message back, or says truly that it could not."""
    one, topic = server(), unique("t")
    with peer(one) as p:
        handle = p.publish(topic, b"never", TIMER_DELAY_SEC="2")["recallHandle"]
        ask = {"producerGroup": "p", "topic": topic, "recallHandle": handle}
        assert p.ok(wire.RECALL, ask).fields["msgId"]
        p.ok(wire.RECALL, ask)
        soon = p.publish(topic, b"soon", TIMER_DELAY_MS="200")["recallHandle"]
        equal([m["body"] for m in p.collect(topic, 1)], [b"soon"], "what came")
        got = p.call(wire.RECALL, {**ask, "recallHandle": soon})
        equal(got.code, 22, "it was released")
        assert "released" in got.remark, got.remark
        equal(p.call(wire.RECALL, {**ask, "recallHandle": "AAAA"}).code, 1, "no handle")
        equal(p.call(wire.RECALL, {**ask, "topic": topic + "x"}).code, 1, "of another topic")
        time.sleep(2)
        equal(p.pull(topic, offset=1)[0], 19, "what was recalled never comes")


@case
def tools():
    """What tools ask first: topics, their settings, their queues, how far groups are, who is in them."""
    one, topic = server(), unique("t")
    with peer(one) as p:
        p.publish(topic, queue=1)
        p.ok(wire.UPDATE_OFFSET, {"consumerGroup": "g", "topic": topic, "queueId": 1, "commitOffset": 1})
        equal(json.loads(p.ok(wire.TOPICS).body)["topicList"], [topic], "the topics")
        equal(json.loads(p.ok(wire.TOPIC_CONFIG, {"topic": topic}).body),
              {"order": False, "perm": 6, "readQueueNums": 4, "topicFilterType": "SINGLE_TAG", "topicName": topic, "topicSysFlag": 0,
               "writeQueueNums": 4}, "its settings")
        equal(json.loads(p.ok(106).body)["clusterAddrTable"], {"DefaultCluster": [wire.BROKER]}, "the cluster")
        queue = f'{{"brokerName":"{wire.BROKER}","queueId":1,"topic":"{topic}"}}'
        text = p.ok(202, {"topic": topic}).body.decode()
        assert f'{queue}:{{"lastUpdateTimestamp":' in text and '"maxOffset":1,"minOffset":0' in text, text
        text = p.ok(208, {"consumerGroup": "g"}).body.decode()
        assert f'{queue}:{{"brokerOffset":1,"consumerOffset":1,' in text, text
        p.heartbeat("c", "g", [(topic, "A || B")])
        told = json.loads(p.ok(203, {"consumerGroup": "g"}).body)
        equal(told["connectionSet"][0]["clientId"], "c", "the members")
        equal(told["subscriptionTable"][topic]["subString"], "A || B", "what they want")
        equal(json.loads(p.ok(300, {"topic": topic}).body), {"groupList": ["g"]}, "who consumes")
        p.ok(215, {"topic": topic})
        equal(json.loads(p.ok(wire.TOPICS).body)["topicList"], [], "after a deletion")


