"""What the scenarios say, spoken as AMQP to either server by the same client.

Holds: operations and fields are named as in our line protocol (`queueDeclare`, `routingKey`); a refusal is AMQP's reply code and
text. A session is one connection with one channel.
Leaves to others: what is done and noted (the scenarios), which servers run (run.py).
"""

import collections
import re
import time

import amqp_client

WAIT_S = 10.0


class Refused(Exception):
    """AMQP's reply code and text."""

    def __init__(self, code, text):
        super().__init__(f"{code} {text}")
        # Erlang breaks the lines of long terms.
        self.code, self.text = code, re.sub(r"\n +", "", text)


class Session:
    """What the scenarios say, on top of `do`, `event` and `drop`."""

    def attempt(self, op, here=False, **fields):
        """"ok", or reply code and text in one. On AMQP a refusal ends the channel: `here` says that the operation needs the
        one that was there, not a fresh one."""
        try:
            self.do(op, here=here, apart=not here, **fields)
            return "ok"
        except Refused as refusal:
            return f"{refusal.code} {refusal.text}"

    def queue(self, name, arguments=None, **fields):
        return self.do("queueDeclare", queue=name, arguments=arguments or {}, **fields)["queue"]

    def exchange(self, kind, name, arguments=None, **fields):
        self.do("exchangeDeclare", exchange=name, type=kind, arguments=arguments or {}, **fields)
        return name

    def bind(self, queue, exchange, key="", arguments=None):
        self.do("queueBind", queue=queue, exchange=exchange, routingKey=key, arguments=arguments or {})

    def publish(self, key, body="m", exchange="", mandatory=False, **properties):
        """"ack" or "nack", and in front of it what was returned."""
        return self.do("publish", exchange=exchange, routingKey=key, body=body, mandatory=mandatory,
                       properties=properties)

    def publish_all(self, key, bodies, **more):
        return [self.publish(key, body, **more) for body in bodies]

    def get(self, queue, no_ack=True):
        """The next message, or None."""
        return self.do("get", queue=queue, noAck=no_ack)

    def wait_get(self, queue, no_ack=True):
        end = time.monotonic() + WAIT_S
        while (message := self.get(queue, no_ack)) is None:
            assert time.monotonic() < end, f"no message came to {queue}"
            time.sleep(0.02)
        return message

    def bodies(self, queue):
        """The bodies of all ready messages, which it takes."""
        bodies = []
        while message := self.get(queue):
            bodies.append(message["body"])
        return bodies

    def declared(self, queue):
        """[messages, consumers]."""
        reply = self.do("queueDeclare", queue=queue, passive=True)
        return [reply["messageCount"], reply["consumerCount"]]

    def count(self, queue):
        return self.declared(queue)[0]

    def wait_count(self, queue, count):
        end = time.monotonic() + WAIT_S
        while self.count(queue) != count:
            assert time.monotonic() < end, f"{queue} has {self.count(queue)} messages, not {count}"
            time.sleep(0.02)

    def is_there(self, queue):
        return self.attempt("queueDeclare", queue=queue, passive=True) == "ok"

    def consume(self, queue, tag="c", no_ack=False, prefetch=0):
        return self.do("consume", queue=queue, consumerTag=tag, noAck=no_ack, prefetch=prefetch)["consumerTag"]

    def deliver(self, timeout=WAIT_S):
        """The next delivery; None when there is none in time."""
        event = self.event(timeout)
        assert event is None or event[0] == "deliver", f"a delivery, not {event}"
        return event and event[1]

    def delivered(self, count):
        """The bodies of the next deliveries."""
        return [(self.deliver() or {}).get("body") for _ in range(count)]

    def ack(self, tag, **fields):
        self.do("ack", deliveryTag=tag, **fields)

    def nack(self, tag, **fields):
        self.do("nack", deliveryTag=tag, **fields)

    def reject(self, tag, requeue):
        self.do("reject", deliveryTag=tag, requeue=requeue)


def _returned(fields):
    return ["return", *(fields[name] for name in ("replyCode", "replyText", "exchange", "routingKey", "properties",
                                                  "body"))]


_METHODS = {
    "exchangeDeclare": "exchange.declare", "exchangeDelete": "exchange.delete", "queueDeclare": "queue.declare",
    "queueBind": "queue.bind", "queueUnbind": "queue.unbind", "queuePurge": "queue.purge",
    "queueDelete": "queue.delete", "consume": "basic.consume", "cancel": "basic.cancel", "get": "basic.get",
    "ack": "basic.ack", "nack": "basic.nack", "reject": "basic.reject",
}


class AMQPSession(Session):
    """A connection with one channel for all but refusals."""

    def __init__(self, port):
        self.port = port
        self._connect()

    def _connect(self):
        self.connection = amqp_client.Connection(self.port)
        self.channel = self.connection.channel()
        self.kept = collections.deque()

    @property
    def version(self):
        return self.connection.product["version"]

    def do(self, op, here=False, apart=False, **fields):
        channel = self.channel
        try:
            if apart:
                channel = self.connection.channel()
            return self._do(channel, op, fields)
        except amqp_client.Closed as closed:
            if self.connection.closed:
                self._connect()
            elif channel is self.channel:
                self.channel = self.connection.channel()
                self.kept.clear()
            raise Refused(closed.code, closed.text) from None

    def _do(self, channel, op, fields):
        if op == "publish":
            return self._publish(channel, **fields)
        if op == "consume":
            channel.call("basic.qos", count=fields.pop("prefetch", 0))
        if op in ("ack", "nack", "reject"):
            if op != "ack":
                fields.setdefault("requeue", True)
            channel.send(_METHODS[op], **fields)
            return channel.sync()
        name, reply = channel.call(_METHODS[op], **fields)
        if op == "cancel":
            self.kept.extend(channel.events)
            channel.events.clear()
        return None if name == "basic.get-empty" else reply

    def _publish(self, channel, body, properties, **fields):
        number = channel.publish(body, properties, **fields)
        returns = []
        while True:
            name, event = channel.event()
            if name == "basic.return":
                returns.append(_returned(event))
            elif name in ("basic.ack", "basic.nack"):
                if event["deliveryTag"] == number or event["multiple"] and event["deliveryTag"] > number:
                    return [*returns, name.removeprefix("basic.")] if returns else name.removeprefix("basic.")
            else:
                self.kept.append((name, event))

    def event(self, timeout):
        try:
            name, event = self.kept.popleft() if self.kept else self.channel.event(timeout)
        except TimeoutError:
            return None
        kind = name.removeprefix("basic.")
        return [kind, event["consumerTag"]] if kind == "cancel" else [kind, event]

    def drop(self):
        self.connection.drop()

    def close(self):
        self.connection.close()


class OurServer:
    """A running server of ours, as a stage needs it."""

    def __init__(self, process):
        self.process = process

    def session(self):
        return AMQPSession(self.process.amqp_port)

    def restart(self):
        self.process.stop()
        self.process.start()


class TheirServer:
    """A running RabbitMQ, as a stage needs it."""

    def __init__(self, process):
        self.process = process

    def session(self):
        return AMQPSession(self.process.port)

    def restart(self):
        self.process.restart()
