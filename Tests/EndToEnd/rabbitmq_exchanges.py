"""RabbitMQ front end: bindings between exchanges."""

from escapement_driver import equal, unique
from rabbitmq_client import Rabbit
from suite import case, connect, own


def rabbit():
    return Rabbit(connect())


def join(r, destination, source, key="", arguments=None, op="exchangeBind"):
    more = {} if arguments is None else {"arguments": arguments}
    r.ok(op, destination=destination, source=source, routingKey=key, **more)


@case
def a_message_goes_on_through_exchanges():
    """An exchange bound to another gets its messages and routes them by its own bindings; a queue gets a message once."""
    with rabbit() as r:
        source, topic, fanout, queue, other = r.exchange("direct"), r.exchange("topic"), r.exchange("fanout"), r.queue(), r.queue()
        join(r, topic, source, "a.b")
        join(r, fanout, source, "a.b")
        join(r, fanout, source, "a.b")
        r.bind(queue, source, "a.b")
        r.bind(queue, topic, "a.*")
        r.bind(queue, fanout)
        r.bind(other, topic, "a.#")
        r.publish("a.b", "one", source)
        r.publish("a.c", "nowhere", source)
        equal((r.bodies(queue), r.bodies(other)), (["one"], ["one"]), "bodies")
        join(r, topic, source, "a.b", op="exchangeUnbind")
        r.publish("a.b", "two", source)
        equal((r.bodies(queue), r.bodies(other)), (["two"], []), "bodies after the unbinding")


@case
def circles_end():
    """Each exchange is visited once, whatever circle the bindings make; an exchange may be bound to itself."""
    with rabbit() as r:
        exchanges, queue = [r.exchange("fanout") for _ in range(3)], r.queue()
        for one, next_one in zip(exchanges, exchanges[1:] + exchanges[:1]):
            join(r, next_one, one)
            join(r, one, one)
        r.bind(queue, exchanges[2])
        r.publish("", "once", exchanges[0])
        equal(r.bodies(queue), ["once"], "bodies")
        for one in exchanges:
            r.ok("exchangeDelete", exchange=one)


@case
def refusals_of_bindings_between_exchanges():
    """404 for an exchange that is not there, 403 for the default one; unbinding what is not there is no error."""
    with rabbit() as r:
        exchange, gone = r.exchange("direct"), unique("x")
        for ends in ((exchange, gone), (gone, exchange)):
            message = r.refused("not_found", 404, "exchangeBind", destination=ends[0], source=ends[1], routingKey="k")
            assert f"no exchange '{gone}'" in message, message
            r.ok("exchangeUnbind", destination=ends[0], source=ends[1], routingKey="k")
        for ends in (("", exchange), (exchange, "")):
            r.refused("forbidden", 403, "exchangeBind", destination=ends[0], source=ends[1])
            r.refused("forbidden", 403, "exchangeUnbind", destination=ends[0], source=ends[1])
        headers = r.exchange("headers")
        r.refused("precondition_failed", 406, "exchangeBind", destination=exchange, source=headers, arguments={"x-match": "most"})


@case
def auto_delete_counts_bindings_to_exchanges():
    """An auto-delete exchange goes with its last binding, be it to a queue or to an exchange, and those behind it follow."""
    with rabbit() as r:
        first, second, last = (r.exchange("fanout", autoDelete=True) for _ in range(3))
        join(r, second, first)
        join(r, last, second)
        queue = r.queue()
        r.bind(queue, last)
        r.publish("", "through", first)
        equal(r.bodies(queue), ["through"], "bodies")
        r.ok("queueDelete", queue=queue)
        for name in (first, second, last):
            r.refused("not_found", 404, "exchangeDeclare", exchange=name, passive=True)


@case
def if_unused_looks_at_what_leads_away():
    """`ifUnused` refuses while something is bound to the exchange, not while it is bound to others."""
    with rabbit() as r:
        source, destination = r.exchange("fanout"), r.exchange("fanout")
        join(r, destination, source)
        r.refused("precondition_failed", 406, "exchangeDelete", exchange=source, ifUnused=True)
        r.ok("exchangeDelete", exchange=destination, ifUnused=True)
        r.ok("exchangeDelete", exchange=source, ifUnused=True)


@case
def the_alternate_exchange_of_one_in_the_row():
    """The alternate exchange is tried where an exchange itself has no binding that matches, at whatever place of the row."""
    with rabbit() as r:
        alternate, queue = r.exchange("fanout"), r.queue()
        r.bind(queue, alternate)
        source = r.exchange("direct", arguments={"alternate-exchange": alternate})
        empty = r.exchange("direct")
        caring = r.exchange("direct", arguments={"alternate-exchange": alternate})
        join(r, empty, source, "empty")
        join(r, caring, source, "caring")
        for key in ("none", "empty", "caring"):
            r.publish(key, key, source)
        equal(r.bodies(queue), ["none", "caring"], "bodies")


@case
def bindings_between_durable_exchanges_survive():
    """A binding between two durable exchanges survives a crash and a stop; others do not."""
    server = own()
    with Rabbit(server.client()) as r:
        for name in ("a", "b", "deleted"):
            r.exchange("fanout", name, durable=True)
        r.exchange("fanout", "passing")
        r.queue("q", durable=True)
        r.bind("q", "b")
        for destination, source in (("b", "a"), ("passing", "a"), ("deleted", "a"), ("b", "deleted")):
            join(r, destination, source)
        r.ok("exchangeDelete", exchange="deleted")
    for ending in ("kill9", "stop"):
        getattr(server, ending)()
        server.start()
        with Rabbit(server.client()) as r:
            r.exchange("fanout", "passing")
            r.exchange("fanout", "deleted", durable=True)
            r.publish("", "m", "a")
            r.publish("", "lost", "deleted")
            r.publish("", "lost", "passing")
            equal(r.bodies("q"), ["m"], f"bodies after {ending}")
