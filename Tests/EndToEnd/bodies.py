"""The section Bodies of the protocol: JSON kept byte for byte, bytes as Base64, in every operation that takes a body."""

import base64

from escapement_driver import equal, eventually, fetch_all, unique
from suite import case, connect, own

RAW = bytes(range(256)) + b"\xff\xfe\x00"
TEXT = base64.b64encode(RAW).decode()
MALFORMED = ("Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm9v\n", "Zm 9", "=", "====", "Zg==Zg==", "Zm-_", "Zm9v=", "\u00e9===")


def one(client, topic, group="g"):
    return fetch_all(client, topic, group, 1)[0]


@case
def bytes_come_back_as_bytes():
    """`bodyBase64` may stand in the place of `body`; a reply or event shows the body as it was given."""
    topic = unique()
    with connect() as client:
        client.ok("publish", topic=topic, id="p", bodyBase64=TEXT)
        client.ok("schedule", topic=topic, id="s", delayMs=0, bodyBase64="")
        client.ok("scheduleMany", topic=topic, messages=[
            {"id": "m1", "delayMs": 0, "bodyBase64": TEXT}, {"id": "m2", "delayMs": 0, "body": TEXT},
        ])
        found = {message["id"]: message for message in fetch_all(client, topic, "g", 4)}
        equal(found["p"]["bodyBase64"], TEXT, "published")
        equal(found["s"]["bodyBase64"], "", "no bytes at all")
        equal(found["m1"]["bodyBase64"], TEXT, "of a batch")
        equal(found["m2"]["body"], TEXT, "a string of Base64 is a string")
        assert "body" not in found["p"] and "bodyBase64" not in found["m2"], found
        client.ok("subscribe", topic=topic, group="pushed")
        equal(client.event()["bodyBase64"], TEXT, "pushed")
        client.ok("schedule", topic=topic, id="later", delayMs=3_600_000, bodyBase64=TEXT)
        state = client.ok("get", topic=topic, id="later")
        equal((state["state"], state["bodyBase64"], "body" in state), ("pending", TEXT, False), "get")


@case
def malformed_base64_is_refused():
    """RFC 4648, padding required; both fields, or neither: `bad_request` naming the field."""
    topic = unique()
    requests = (
        ("publish", {"topic": topic}), ("schedule", {"topic": topic, "delayMs": 0}),
        ("rocketmq.send", {"topic": topic}), ("rocketmq.sendHalf", {"topic": topic, "producerGroup": "p"}),
        ("rabbitmq.publish", {"exchange": "", "routingKey": topic}),
    )
    with connect() as client:
        for op, fields in requests:
            for text in MALFORMED + (5, None, []):
                reply = client.refused("bad_request", op, **fields, bodyBase64=text)
                assert "bodyBase64" in reply["message"], (op, text, reply)
            for more in ({}, {"body": "x", "bodyBase64": "Zg=="}):
                reply = client.refused("bad_request", op, **fields, **more)
                assert "body" in reply["message"], (op, more, reply)
        for message in ({"delayMs": 0}, {"delayMs": 0, "bodyBase64": "Zg"}, {"delayMs": 0, "body": 1, "bodyBase64": "Zg=="}):
            client.refused("bad_request", "scheduleMany", topic=topic, messages=[message])


@case
def the_limit_counts_bytes():
    """The limit of a body counts the bytes that Base64 stands for."""
    client = own("--max-body-bytes", 300).client()
    with client:
        client.ok("publish", topic="t", bodyBase64=base64.b64encode(b"x" * 300).decode())
        client.refused("body_too_large", "publish", topic="t", bodyBase64=base64.b64encode(b"x" * 301).decode())


@case
def what_stands_inside_a_body_is_the_users_business():
    """Inside a body, duplicate keys are kept byte for byte."""
    topic = unique()
    text = '{"a":1,  "a":2,"\\u0061":[{"b":1,"b":1.50e3}]}'
    with connect() as client:
        client.send_raw(f'{{"op":"publish","topic":"{topic}","body":{text}}}\n'.encode())
        assert client.recv()["ok"]
        client.send_raw(
            f'{{"op":"scheduleMany","topic":"{topic}","messages":[{{"delayMs":0,"body":{text}}}]}}\n'.encode())
        assert client.recv()["ok"]
        client.ok("subscribe", topic=topic, group="g")
        for _ in range(2):
            line = client.recv()
            equal(line.bodies(), [text.encode()], "the body")


@case
def front_ends_show_text_as_text_and_the_rest_as_base64():
    """RabbitMQ's and RocketMQ's operations show bytes that are valid UTF-8 as the string `body`."""
    topic, queue, plain = unique(), unique("q"), "gr\u00fc\u00df\u2028"
    as_bytes = base64.b64encode(plain.encode()).decode()
    with connect() as client:
        client.ok("rabbitmq.queueDeclare", queue=queue)
        for body in ({"body": plain}, {"bodyBase64": as_bytes}, {"bodyBase64": TEXT}):
            client.ok("rabbitmq.publish", exchange="", routingKey=queue, **body)
        got = [client.ok("rabbitmq.get", queue=queue, noAck=True) for _ in range(3)]
        equal([one.get("body") for one in got], [plain, plain, None], "RabbitMQ")
        equal(got[2]["bodyBase64"], TEXT, "RabbitMQ bytes")
        client.ok("rabbitmq.publish", exchange="", routingKey=unique(), mandatory=True, bodyBase64=TEXT)
        equal(client.event()["bodyBase64"], TEXT, "a returned message")
        client.ok("rocketmq.subscribe", topic=topic, consumerGroup=unique("g"))
        for body in ({"body": plain}, {"bodyBase64": as_bytes}, {"bodyBase64": TEXT}):
            client.ok("rocketmq.send", topic=topic, **body)
        got = [client.event() for _ in range(3)]
        equal([one.get("body") for one in got], [plain, plain, None], "RocketMQ")
        equal(got[2]["bodyBase64"], TEXT, "RocketMQ bytes")
        native = fetch_all(client, topic, "native", 3)
        equal([one.get("body") for one in native], [plain, None, None], "natively, as it was given")
        equal([one.get("bodyBase64") for one in native], [None, as_bytes, TEXT], "natively, as it was given")


@case
def bytes_survive_a_crash_a_slice_and_death():
    """The encoding of a body goes with the message: through the journal, slices on disk, and into the dead letters."""
    server = own("--slice-ms", 1000)
    with server.client() as client:
        client.ok("schedule", topic="far", id="f", delayMs=4000, bodyBase64=TEXT)
        client.ok("publish", topic="t", bodyBase64=TEXT)
        client.ok("rabbitmq.queueDeclare", queue="dead", durable=True)
        client.ok("rabbitmq.queueDeclare", queue="q", durable=True, arguments={
            "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead", "x-message-ttl": 3_600_000})
        client.ok("rabbitmq.publish", exchange="", routingKey="q", bodyBase64=TEXT, properties={"deliveryMode": 2})
    server.kill9()
    server.restart()
    with server.client() as client:
        message = client.ok("fetch", topic="t", group="g", waitMs=5000, maxAttempts=1)["messages"][0]
        equal(message["bodyBase64"], TEXT, "after a crash")
        client.ok("nack", topic="t", group="g", offset=message["offset"], delayMs=0)
        equal(one(client, "t.g.dlq")["bodyBase64"], TEXT, "a dead letter")
        tag = client.ok("rabbitmq.get", queue="q")["deliveryTag"]
        client.ok("rabbitmq.reject", deliveryTag=tag, requeue=False)
        dead = eventually(lambda: (lambda got: got if "empty" not in got else None)(client.ok("rabbitmq.get", queue="dead")))
        equal(dead["bodyBase64"], TEXT, "a dead letter of a queue")
        equal(one(client, "far")["bodyBase64"], TEXT, "through a slice")
