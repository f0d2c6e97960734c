"""What the RabbitMQ cases share: short names for the operations of the front end.

Leaves to others: what is expected (the rabbitmq_*.py files).
"""

from escapement_driver import equal, eventually, unique

PERSISTENT = {"deliveryMode": 2}
HOUR_MS = 3_600_000


class Rabbit:
    """One connection's view of the front end."""

    def __init__(self, client):
        self.client = client

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()

    def ok(self, op, **fields):
        return self.client.ok(f"rabbitmq.{op}", **fields)

    def refused(self, code, reply_code, op, **fields):
        reply = self.client.refused(code, f"rabbitmq.{op}", **fields)
        equal(reply.get("replyCode"), reply_code, f"replyCode of {reply!r}")
        return reply["message"]

    def queue(self, name=None, **fields):
        """Declares a queue with `arguments` given as keywords such as x_message_ttl; gives its name."""
        name = unique("q") if name is None else name
        arguments = {key.replace("_", "-"): fields.pop(key) for key in list(fields) if key.startswith("x_")}
        if arguments:
            fields["arguments"] = arguments
        return self.ok("queueDeclare", queue=name, **fields)["queue"]

    def exchange(self, kind, name=None, **fields):
        name = unique("x") if name is None else name
        self.ok("exchangeDeclare", exchange=name, type=kind, **fields)
        return name

    def bind(self, queue, exchange, key="", arguments=None):
        more = {} if arguments is None else {"arguments": arguments}
        self.ok("queueBind", queue=queue, exchange=exchange, routingKey=key, **more)

    def publish(self, key, body="x", exchange="", **properties):
        fields = {"properties": properties} if properties else {}
        return self.ok("publish", exchange=exchange, routingKey=key, body=body, **fields)

    def publish_many(self, key, bodies, exchange="", **properties):
        rids = self.client.send_many(
            [("rabbitmq.publish", {"exchange": exchange, "routingKey": key, "body": body, "properties": properties})
             for body in bodies])
        for rid in rids:
            assert self.client.reply(rid)["ok"]

    def count(self, queue):
        return self.ok("queueDeclare", queue=queue, passive=True)["messageCount"]

    def consumers(self, queue):
        return self.ok("queueDeclare", queue=queue, passive=True)["consumerCount"]

    def get(self, queue, no_ack=True):
        """The next message, or None."""
        reply = self.ok("get", queue=queue, noAck=no_ack)
        if reply.get("empty"):
            return None
        return reply

    def drain(self, queue):
        """All ready messages, in order."""
        messages = []
        while message := self.get(queue):
            messages.append(message)
        return messages

    def bodies(self, queue):
        return [message["body"] for message in self.drain(queue)]

    def wait_get(self, queue, no_ack=True):
        return eventually(lambda: self.get(queue, no_ack), what=f"a message in {queue}")

    def consume(self, queue, **fields):
        return self.ok("consume", queue=queue, **fields)["consumerTag"]

    def deliver(self):
        event = self.client.event()
        equal(event["event"], "rabbitmq.deliver", "event")
        return event

    def ack(self, tag, **fields):
        self.ok("ack", deliveryTag=tag, **fields)

    def nack(self, tag, **fields):
        self.ok("nack", deliveryTag=tag, **fields)


def deaths(message):
    return message["properties"]["headers"]["x-death"]


def header(message, name):
    return message["properties"].get("headers", {}).get(name)
