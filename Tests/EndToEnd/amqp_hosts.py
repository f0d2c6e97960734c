"""AMQP: virtual hosts are name spaces; `/` is always there, others by a setting."""

from amqp_driver import PERSISTENT, Peer
from escapement_driver import equal
from rabbitmq_client import Rabbit
from suite import case, own


def peer(server, vhost):
    return Peer(server.amqp_port, vhost=vhost)


@case
def hosts_know_nothing_of_each_other():
    """Queues and exchanges of one name are different ones in different hosts, also after a crash, dead letters included."""
    server = own("--amqp-virtual-hosts", "shop, billing")
    hosts = ("/", "shop", "billing")
    for vhost in hosts:
        with peer(server, vhost) as p:
            p.channel(confirms=True)
            p.call(1, "exchange.declare", exchange="x", type="fanout", durable=True)
            p.call(1, "exchange.declare", exchange="later", type="x-delayed-message", durable=True,
                   arguments={"x-delayed-type": "fanout"})
            p.queue(1, "work", durable=True)
            p.queue(1, "wait", durable=True, arguments={"x-dead-letter-exchange": "x"})
            for exchange in ("x", "later"):
                p.call(1, "queue.bind", queue="work", exchange=exchange)
            p.publish(1, "work", b"here " + vhost.encode(), properties=PERSISTENT)
            p.publish(1, "wait", b"dead " + vhost.encode(), properties={**PERSISTENT, "expiration": "1500"})
            p.publish(1, "", b"late " + vhost.encode(), "later", properties={**PERSISTENT, "headers": {"x-delay": 1500}})
            equal(p.confirmed(3), [], "refused")
    server.kill9()
    server.restart()
    for vhost in hosts:
        with peer(server, vhost) as p:
            p.channel()
            p.call(1, "basic.consume", queue="work", noAck=True)
            bodies = sorted(p.expect("basic.deliver", 1)["body"].decode() for _ in range(3))
            equal(bodies, [f"{word} {vhost}" for word in ("dead", "here", "late")], "bodies")
            p.send(1, "queue.declare", queue="none", passive=True)
            p.channel_closed(404, f"NOT_FOUND - no queue 'none' in vhost '{vhost}'")
    with Rabbit(server.client()) as r:
        equal([queue["queue"] for queue in r.ok("queues")["queues"]], ["wait", "work"], "what a line sees")


@case
def hosts_that_may_not_be_opened():
    """A host that is not named is 530; one that is left out later keeps its queues, and the log says so."""
    server = own("--amqp-virtual-hosts", "shop")
    with peer(server, "shop") as p:
        p.queue(p.channel(confirms=True), "q", durable=True)
        p.publish(1, "q", b"kept", properties=PERSISTENT)
        p.confirmed(1)
    with Peer(server.amqp_port, opens=False) as p:
        p.log_in()
        p.expect("connection.tune")
        p.send(0, "connection.tune-ok", channel_max=10, frame_max=131_072)
        p.send(0, "connection.open", vhost="elsewhere")
        p.connection_closed(530, "NOT_ALLOWED - vhost elsewhere not found")
    server.stop()
    closed = own(data=server.data)
    assert "'shop'" in closed.errors(), closed.errors()
    closed.stop()
    with peer(own("--amqp-virtual-hosts", "shop", data=server.data), "shop") as p:
        equal(p.get(p.channel(), "q")["body"], b"kept", "the message")
