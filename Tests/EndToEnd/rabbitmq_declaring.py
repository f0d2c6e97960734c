"""RabbitMQ front end: declaring again, arguments that are refused, and the words of refusals."""

from escapement_driver import equal, unique
from rabbitmq_client import Rabbit
from suite import case, connect


def rabbit():
    return Rabbit(connect())


def refused(r, text, op, code=406, **fields):
    """A refusal with exactly these words."""
    equal(r.refused({406: "precondition_failed", 404: "not_found"}.get(code, "forbidden"), code, op, **fields), text,
          f"refusal of {op} {fields!r}")


@case
def declaring_an_exchange_again():
    """Declaring again with other settings: 406 `inequivalent arg` in RabbitMQ's words; with the same: nothing happens."""
    with rabbit() as r:
        name = unique("x")
        fields = {"type": "topic", "durable": True, "arguments": {"alternate-exchange": "amq.fanout"}}
        r.ok("exchangeDeclare", exchange=name, **fields)
        r.ok("exchangeDeclare", exchange=name, **fields)
        for difference, change in (
            ("'type' ~ received 'fanout' but current is 'topic'", {"type": "fanout"}),
            ("'durable' ~ received 'false' but current is 'true'", {"durable": False}),
            ("'auto_delete' ~ received 'true' but current is 'false'", {"autoDelete": True}),
            ("'internal' ~ received 'true' but current is 'false'", {"internal": True}),
            ("'alternate-exchange' ~ received none but current is the value 'amq.fanout' of type 'longstr'",
             {"arguments": {}}),
            ("'alternate-exchange' ~ received 'amq.direct' but current is 'amq.fanout'",
             {"arguments": {"alternate-exchange": "amq.direct"}}),
            ("'durable' ~ received 'false' but current is 'true'", {"durable": False, "autoDelete": True}),
        ):
            words = difference.replace("~", f"for exchange '{name}':")
            refused(r, f"PRECONDITION_FAILED - inequivalent arg {words}", "exchangeDeclare", exchange=name,
                    **{**fields, **change})
        refused(r, f"PRECONDITION_FAILED - invalid type 'long' for arg 'alternate-exchange' in exchange '{name}'",
                "exchangeDeclare", exchange=name, type="topic", arguments={"alternate-exchange": 5})
        r.client.refused("bad_request", "rabbitmq.exchangeDeclare", exchange=name, type="x-random")
        r.client.refused("bad_request", "rabbitmq.exchangeDeclare", exchange=unique("x"))


@case
def declaring_a_queue_again():
    """Declaring again with other arguments: 406 `inequivalent arg 'K' for queue 'q'` in RabbitMQ's words."""
    with rabbit() as r:
        name = unique("q")
        arguments = {
            "x-message-ttl": 60_000, "x-expires": 600_000, "x-dead-letter-exchange": "d", "x-max-length": 10,
            "x-dead-letter-routing-key": "k", "x-max-length-bytes": 100, "x-overflow": "drop-head",
            "x-delivery-limit": 3, "x-queue-mode": "lazy",
        }
        r.ok("queueDeclare", queue=name, arguments=arguments)
        r.ok("queueDeclare", queue=name, arguments=dict(reversed(arguments.items())))
        r.ok("queueDeclare", queue=name, arguments={**arguments, "mine": 1})

        def differs(difference, **fields):
            words = difference.replace("~", f"for queue '{name}':")
            refused(r, f"PRECONDITION_FAILED - inequivalent arg {words}", "queueDeclare", queue=name, **fields)

        others = {**{key: 7 for key in arguments}, "x-dead-letter-exchange": "e", "x-dead-letter-routing-key": "l",
                  "x-overflow": "reject-publish", "x-queue-mode": "default"}
        for key, other in others.items():
            known = arguments[key]
            kind = "longstr" if isinstance(known, str) else "long"
            differs(f"'{key}' ~ received '{other}' but current is '{known}'", arguments={**arguments, key: other})
            differs(f"'{key}' ~ received none but current is the value '{known}' of type '{kind}'",
                    arguments={name: value for name, value in arguments.items() if name != key})
        plain = r.queue()
        r.queue(plain, x_queue_type="classic")
        r.client.refused("precondition_failed", "rabbitmq.queueDeclare", queue=plain, arguments={"x-queue-type": "quorum"})
        differs("'durable' ~ received 'true' but current is 'false'", durable=True, arguments={})
        differs("'auto_delete' ~ received 'true' but current is 'false'", autoDelete=True)


@case
def exclusive_or_not():
    """An exclusive queue declared as another, or another's: 405, before anything else is compared."""
    with rabbit() as r, rabbit() as other:
        mine, plain = r.queue(exclusive=True), r.queue()
        for who, queue, fields in ((r, mine, {}), (r, plain, {"exclusive": True, "durable": True}), (other, mine, {})):
            refused(who, f"RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '{queue}'. It could be "
                    "originally declared on another connection or the exclusive property value does not match that of "
                    "the original declaration.", "queueDeclare", 405, queue=queue, **fields)
        r.bind(mine, "amq.direct", "k")
        other.ok("queueUnbind", queue=mine, exchange="amq.direct", routingKey="never bound")
        other.refused("forbidden", 405, "queueUnbind", queue=mine, exchange="amq.direct", routingKey="k")


@case
def arguments_out_of_range():
    """Arguments of a queue are checked: 406; a dead-letter routing key without exchange: 406."""
    with rabbit() as r:
        for key, value in (
            ("x-message-ttl", -1), ("x-message-ttl", 315_360_000_001), ("x-message-ttl", "5"), ("x-message-ttl", 1.5),
            ("x-expires", 0), ("x-expires", -5), ("x-max-length", -1), ("x-max-length-bytes", "many"),
            ("x-overflow", "drop-tail"), ("x-delivery-limit", -1), ("x-dead-letter-exchange", 5),
            ("x-dead-letter-routing-key", "k"), ("x-max-priority", 256), ("x-single-active-consumer", "yes"), ("x-queue-mode", "busy"), ("x-queue-mode", 1),
            ("x-queue-type", "stream"), ("x-queue-type", None), ("x-queue-version", 3),
        ):
            message = r.refused("precondition_failed", 406, "queueDeclare", queue=unique("q"), arguments={key: value})
            assert f"invalid arg '{key}'" in message, message
        for value in (0, 315_360_000_000):
            r.queue(x_message_ttl=value)
        r.queue(x_queue_type="quorum", x_queue_version=2, x_queue_mode="lazy")


@case
def what_is_looked_at_first():
    """The first of several faults is RabbitMQ's: the default exchange, the exchange, the queue; not empty before in use."""
    with rabbit() as r:
        queue, none = r.queue(), unique("none")
        default = "ACCESS_REFUSED - operation not permitted on the default exchange"
        refused(r, default, "queueBind", 403, queue=none, exchange="")
        refused(r, default, "queueUnbind", 403, queue=none, exchange="")
        refused(r, default, "exchangeDeclare", 403, exchange="", passive=True)
        refused(r, f"NOT_FOUND - no exchange '{none}'", "queueBind", 404, queue=none, exchange=none)
        refused(r, "NOT_FOUND - no queue ''", "queueDeclare", 404, queue="", passive=True)
        with rabbit() as fresh:
            refused(fresh, "NOT_FOUND - no previously declared queue", "get", 404, queue="")
        for name in ("amq.direct", "amq.none"):
            refused(r, f"ACCESS_REFUSED - deletion of system exchange '{name}' not allowed", "exchangeDelete", 403,
                    exchange=name)
        r.publish_many(queue, "ab")
        r.consume(queue, prefetch=1)
        refused(r, f"PRECONDITION_FAILED - queue '{queue}' not empty", "queueDelete", queue=queue, ifUnused=True,
                ifEmpty=True)
