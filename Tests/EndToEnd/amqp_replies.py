"""AMQP: direct reply-to: requests whose replies come to the channel that asked, without a queue of the client's own."""

from amqp_driver import Peer, publishing
from escapement_driver import equal, unique
from rabbitmq_client import Rabbit
from suite import case, connect, shared

REPLY_TO = "amq.rabbitmq.reply-to"


def peer(**options):
    return Peer(shared().amqp_port, **options)


def asking(p, channel=1, tag="replies"):
    """A channel that consumes replies."""
    p.channel(channel)
    p.call(channel, "basic.consume", queue=REPLY_TO, consumerTag=tag, noAck=True)
    return p


def asked(p, queue, body=b"question", channel=1, **properties):
    """Sends a request; gives the name that it shows to whoever answers."""
    p.publish(channel, queue, body, properties={"replyTo": REPLY_TO, "correlationId": "c-1", **properties})
    p.sync(channel)


@case
def a_request_and_its_reply():
    """A request shows a name in place of `amq.rabbitmq.reply-to`, and what is sent there comes to the channel that asked."""
    with peer() as client, peer() as server:
        queue = server.queue(server.channel(), exclusive=False)
        asking(client)
        for number in range(3):
            asked(client, queue, b"%d" % number, headers={"n": number})
            got = server.get(1, queue)
            equal(got["body"], b"%d" % number, "the request")
            equal(got["properties"]["correlationId"], "c-1", "the correlation")
            equal(got["properties"]["headers"], {"n": number}, "the headers")
            token = got["properties"]["replyTo"]
            assert token.startswith(REPLY_TO + "."), token
            server.publish(1, token, b"answer %d" % number, properties={"correlationId": "c-1"}, mandatory=True)
            reply = client.expect("basic.deliver", 1)
            equal((reply["body"], reply["consumerTag"], reply["exchange"], reply["routingKey"], reply["redelivered"]),
                  (b"answer %d" % number, "replies", "", token, False), "the reply")
            equal(reply["properties"], {"correlationId": "c-1"}, "its properties")
            equal(reply["deliveryTag"], number + 1, "its tag")
        server.sync(1)


@case
def declaring_a_name_asks_whether_it_lives():
    """A declaration of a reply's name tells whether somebody consumes there; it is 404 once that is gone."""
    with peer() as client, peer() as server:
        queue = server.queue(server.channel())
        asking(client)
        asked(client, queue)
        token = server.get(1, queue)["properties"]["replyTo"]
        for passive in (True, False):
            equal(server.call(1, "queue.declare", queue=token, passive=passive),
                  {"queue": token, "messageCount": 0, "consumerCount": 1}, "the declaration")
        equal(server.call(1, "queue.declare", queue=REPLY_TO, passive=True)["queue"], REPLY_TO, "the general name")
        with Rabbit(connect()) as r:
            assert token not in [listed["queue"] for listed in r.ok("queues")["queues"]], "a name that is listed"
            r.refused("forbidden", 405, "get", queue=token)
        client.call(1, "basic.cancel", consumerTag="replies")
        server.send(1, "queue.declare", queue=token, passive=True)
        server.channel_closed(404, f"NOT_FOUND - no queue '{token}' in vhost '/'")
        server.channel(1)
        server.publish(1, token, b"late", mandatory=True)
        equal(server.expect("basic.return", 1)["replyCode"], 312, "a reply to nobody")


@case
def a_name_goes_with_its_channel():
    """The name is gone with the channel, with the connection, and another channel's requests show another name."""
    with peer() as server:
        queue = server.queue(server.channel())
        client = asking(asking(peer()), 2)
        tokens = []
        for channel in (1, 2):
            asked(client, queue, channel=channel)
            tokens.append(server.get(1, queue)["properties"]["replyTo"])
        assert tokens[0] != tokens[1], tokens
        client.call(1, "channel.close", code=200)
        server.send(1, "queue.declare", queue=tokens[0], passive=True)
        server.channel_closed(404)
        server.channel(1)
        server.call(1, "queue.declare", queue=tokens[1], passive=True)
        client.close()
        server.channel(2)
        for _ in range(50):
            server.send(2, "queue.declare", queue=tokens[1], passive=True)
            _, name, _ = server.read()
            if name == "channel.close":
                return
        raise AssertionError("the name outlives its connection")


@case
def what_is_refused():
    """Acknowledged replies, a second consumer of them, and requests without a consumer are 406; a tag used twice is 530."""
    for before, fields, text in (
            ((), {"noAck": False}, "PRECONDITION_FAILED - reply consumer cannot acknowledge"),
            ([{"noAck": True}], {"noAck": True}, "PRECONDITION_FAILED - reply consumer already set")):
        with peer() as p:
            p.channel()
            for earlier in before:
                p.call(1, "basic.consume", queue=REPLY_TO, **earlier)
            p.send(1, "basic.consume", queue=REPLY_TO, **fields)
            p.channel_closed(406, text)
    with peer() as p:
        p.channel()
        p.publish(1, "q", properties={"replyTo": REPLY_TO})
        p.channel_closed(406, "PRECONDITION_FAILED - fast reply consumer does not exist")
        asking(p)
        p.call(1, "basic.cancel", consumerTag="replies")
        p.raw(publishing(1, "q", properties={"replyTo": REPLY_TO}))
        p.channel_closed(406, "fast reply consumer does not exist")
        asking(p)
        p.send(1, "basic.consume", queue=REPLY_TO, consumerTag="replies", noAck=True)
        p.connection_closed(530, "attempt to reuse consumer tag 'replies'")


@case
def both_wires_ask_and_answer():
    """A request by AMQP is answered by the line protocol, and the other way round."""
    queue = unique("q")
    with peer() as p, Rabbit(connect()) as r:
        p.queue(asking(p) and 1, queue)
        asked(p, queue, b"by amqp")
        r.publish(r.get(queue)["properties"]["replyTo"], "by line")
        equal(p.expect("basic.deliver", 1)["body"], b"by line", "the answer")
        r.refused("precondition_failed", 406, "publish", exchange="", routingKey=queue, body="x", properties={"replyTo": REPLY_TO})
        r.ok("consume", queue=REPLY_TO, consumerTag="t", noAck=True)
        r.publish(queue, "by line", replyTo=REPLY_TO)
        got = p.get(1, queue)
        p.publish(1, got["properties"]["replyTo"], b"by amqp")
        event = r.client.event()
        equal((event["body"], event["consumerTag"]), ("by amqp", "t"), "the answer")


@case
def requests_in_a_transaction():
    """A request in a transaction is checked when it comes and sent with the commit."""
    with peer() as p:
        asking(p)
        p.call(1, "tx.select")
        queue = p.queue(1)
        asked(p, queue)
        equal(p.count(1, queue), 0, "before the commit")
        p.call(1, "tx.commit")
        assert p.get(1, queue)["properties"]["replyTo"].startswith(REPLY_TO + "."), "the name"
