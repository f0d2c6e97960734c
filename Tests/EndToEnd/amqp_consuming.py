"""AMQP: consuming, acknowledging, prefetch, and what happens to deliveries that come to nothing."""

from amqp_driver import PERSISTENT, Peer, method, publishing
from escapement_driver import equal, eventually, unique
from suite import case, own, randomness, shared


def peer(**options):
    return Peer(shared().amqp_port, **options)


def filled(p, count, channel=1, **fields):
    """A queue with the messages 0, 1, …"""
    queue = p.queue(channel, **fields)
    p.raw(b"".join(publishing(channel, queue, b"%d" % number) for number in range(count)))
    p.sync(channel)
    return queue


def delivered(p, count):
    """The next deliveries as (tag of the consumer, body, delivery tag, redelivered)."""
    found = []
    for _ in range(count):
        fields = p.expect("basic.deliver")
        found.append((fields["consumerTag"], fields["body"], fields["deliveryTag"], fields["redelivered"]))
    return found


def nothing_comes(p, channel=1):
    """Nothing is on its way: the answer to the next method is the next thing that comes."""
    p.sync(channel)


@case
def deliveries_and_acknowledgements():
    """Deliveries come in order with tags that count up; acknowledged ones do not come again, others do, in their places."""
    with peer() as p:
        p.channel()
        queue = filled(p, 5)
        p.call(1, "basic.consume", queue=queue, consumerTag="c")
        equal(delivered(p, 5), [("c", b"%d" % n, n + 1, False) for n in range(5)], "deliveries")
        p.send(1, "basic.ack", deliveryTag=2)
        p.send(1, "basic.nack", deliveryTag=4, requeue=True)
        equal(delivered(p, 1), [("c", b"3", 6, True)], "the refused one again")
        p.send(1, "basic.reject", deliveryTag=1, requeue=False)
        p.send(1, "basic.ack", deliveryTag=3, multiple=True)
        p.call(1, "basic.cancel", consumerTag="c")
        p.call(1, "channel.close", code=200)
        p.channel()
        equal([p.get(1, queue)["body"] for _ in range(2)], [b"3", b"4"], "unacknowledged at the end of the channel")
        equal(p.get(1, queue), None, "what remains")


@case
def an_ended_connection_gives_back():
    """What a connection had goes back to its places when it is gone, as redelivered."""
    with peer() as p, peer() as other:
        p.channel()
        other.channel()
        queue = filled(p, 3, name=unique("q"))
        p.call(1, "basic.consume", queue=queue)
        delivered(p, 3)
        p.drop()
        eventually(lambda: other.count(1, queue) == 3, what="the messages are back")
        for number in range(3):
            got = other.get(1, queue)
            equal((got["body"], got["redelivered"]), (b"%d" % number, True), "the message")


@case
def prefetch_of_a_consumer():
    """`basic.qos` bounds each consumer of the channel; a new value reaches those that are there; 0 is no bound."""
    with peer() as p:
        p.channel()
        queue = filled(p, 40)
        p.call(1, "basic.qos", count=3)
        p.call(1, "basic.consume", queue=queue, consumerTag="a")
        tags = [tag for _, _, tag, _ in delivered(p, 3)]
        nothing_comes(p)
        p.send(1, "basic.ack", deliveryTag=tags[0])
        delivered(p, 1)
        p.call(1, "basic.qos", count=5)
        delivered(p, 2)
        nothing_comes(p)
        p.call(1, "basic.qos", count=2)
        p.send(1, "basic.ack", deliveryTag=4, multiple=True)
        nothing_comes(p)
        p.call(1, "basic.qos", count=0)
        equal(len(delivered(p, 34)), 34, "the rest")


@case
def prefetch_of_a_channel():
    """`global` bounds all consumers of the channel together; `get` is not bound."""
    with peer() as p:
        p.channel()
        left, right = filled(p, 10), filled(p, 10)
        p.call(1, "basic.qos", count=4, **{"global": True})
        for queue in (left, right):
            p.send(1, "basic.consume", queue=queue, consumerTag=queue)
        names = [p.read() for _ in range(6)]
        equal(sum(name == "basic.consume-ok" for _, name, _ in names), 2, "consumers")
        found = [fields["deliveryTag"] for _, name, fields in names if name == "basic.deliver"]
        nothing_comes(p)
        got = p.get(1, left, no_ack=False)
        equal(got is not None, True, "get is not bound")
        p.send(1, "basic.ack", deliveryTag=found[0])
        (_, _, last, _), = delivered(p, 1)
        p.send(1, "basic.ack", deliveryTag=last, multiple=True)
        delivered(p, 4)
        p.call(1, "basic.qos", count=0, **{"global": True})
        delivered(p, 10)


@case
def prefetch_of_a_channel_goes_round():
    """What a bound of the channel lets through goes to its consumers in turns."""
    with peer() as p:
        p.channel()
        queues = [filled(p, 30) for _ in range(3)]
        p.call(1, "basic.qos", count=1, **{"global": True})
        for number, queue in enumerate(queues):
            p.send(1, "basic.consume", queue=queue, consumerTag=str(number))
        tags = []
        for _ in range(30):
            name = None
            while name != "basic.deliver":
                _, name, fields = p.read()
            tags.append(fields["consumerTag"])
            p.send(1, "basic.ack", deliveryTag=fields["deliveryTag"])
        equal([tags.count(str(number)) for number in range(3)], [10, 10, 10], "deliveries to each")


@case
def recovering():
    """`basic.recover` gives everything unacknowledged back, to be delivered again."""
    with peer() as p:
        p.channel()
        queue = filled(p, 3)
        p.call(1, "basic.consume", queue=queue, consumerTag="c")
        delivered(p, 3)
        p.send(1, "basic.ack", deliveryTag=2)
        p.call(1, "basic.recover", requeue=True)
        equal(delivered(p, 2), [("c", b"0", 4, True), ("c", b"2", 5, True)], "again")
        p.send(1, "basic.recover-async", requeue=True)
        equal(delivered(p, 2), [("c", b"0", 6, True), ("c", b"2", 7, True)], "and again")
        p.send(1, "basic.ack", deliveryTag=5)
        p.channel_closed(406, "unknown delivery tag 5")


@case
def cancelling():
    """After the answer to `basic.cancel` nothing comes; what is out may still be acknowledged."""
    with peer() as p:
        p.channel()
        queue = filled(p, 3)
        p.call(1, "basic.qos", count=2)
        p.call(1, "basic.consume", queue=queue, consumerTag="c")
        delivered(p, 2)
        p.call(1, "basic.cancel", consumerTag="c")
        p.send(1, "basic.ack", deliveryTag=1)
        p.send(1, "basic.nack", deliveryTag=2, requeue=True)
        equal([p.get(1, queue)["body"] for _ in range(2)], [b"1", b"2"], "what remains")


@case
def what_came_first_belongs_to_who_was_there():
    """Messages published before a consumer ends or another one begins, or before a get, are delivered to those who were there."""
    with peer() as p:
        p.channel()
        queue = p.queue(1)
        some = b"".join(publishing(1, queue, b"%d" % number) for number in range(3))
        for consumers in range(2):
            if consumers:
                p.call(1, "basic.consume", queue=queue, consumerTag="other", noAck=True)
            p.call(1, "basic.consume", queue=queue, consumerTag="c", noAck=True, arguments={"x-priority": 1})
            p.raw(some + method(1, "basic.cancel", consumerTag="c"))
            equal([found[:2] for found in delivered(p, 3)], [("c", b"%d" % number) for number in range(3)], "before the end")
            p.expect("basic.cancel-ok")
        p.raw(some + method(1, "basic.consume", queue=queue, consumerTag="high", noAck=True, arguments={"x-priority": 9}))
        found = []
        while len(found) < 3:
            name, fields = p.read()[1:]
            if name == "basic.deliver":
                found.append((fields["consumerTag"], fields["body"]))
        equal(found, [("other", b"%d" % number) for number in range(3)], "before the beginning of another")
    with peer() as p:
        p.channel()
        queue = p.queue(1)
        p.call(1, "basic.consume", queue=queue, consumerTag="c", noAck=True)
        p.raw(publishing(1, queue, b"first") + method(1, "basic.get", queue=queue, noAck=True))
        equal(sorted(p.read()[1] for _ in range(2)), ["basic.deliver", "basic.get-empty"], "a get finds nothing")


@case
def queues_that_go():
    """A consumer whose queue is deleted is told by `basic.cancel`, if its client wants to know."""
    with peer() as p, peer(capabilities=()) as silent:
        for one in (p, silent):
            one.channel()
        queue = p.queue(1, unique("q"))
        p.call(1, "basic.consume", queue=queue, consumerTag="told")
        silent.call(1, "basic.consume", queue=queue, consumerTag="untold")
        p.send(1, "queue.delete", queue=queue)
        p.expect("queue.delete-ok", 1)
        equal(p.expect("basic.cancel", 1)["consumerTag"], "told", "the consumer")
        p.send(1, "basic.cancel-ok", consumerTag="told")
        silent.sync(1)
        p.call(1, "basic.consume", queue=p.queue(1), consumerTag="told")


@case
def auto_delete_and_exclusive():
    """An auto-delete queue goes with its last consumer, an exclusive one with its connection."""
    names = unique("auto"), unique("mine")
    with peer() as p, peer() as other:
        p.channel()
        other.channel()
        p.queue(1, names[0], autoDelete=True)
        p.queue(1, names[1], exclusive=True)
        p.call(1, "basic.consume", queue=names[0], consumerTag="c")
        p.call(1, "basic.cancel", consumerTag="c")
        other.send(1, "queue.declare", queue=names[0], passive=True)
        other.channel_closed(404)
        p.close()
        def is_gone():
            other.channel()
            other.send(1, "queue.declare", queue=names[1], passive=True)
            fields = other.expect("channel.close")
            other.send(1, "channel.close-ok")
            return fields["code"] == 404
        eventually(is_gone, what="the exclusive queue is gone")


@case
def names_of_the_server():
    """A queue without a name gets one that begins `amq.gen-`, and an empty name means it from then on."""
    with peer() as p:
        p.channel()
        queue = p.queue(1)
        assert queue.startswith("amq.gen-"), queue
        p.publish(1, queue, b"a")
        p.call(1, "queue.bind", exchange="amq.topic", routingKey="a.*")
        p.publish(1, "a.b", b"b", "amq.topic")
        equal(p.bodies(1, ""), [b"a", b"b"], "messages")
        tag = p.call(1, "basic.consume")["consumerTag"]
        assert tag.startswith("amq.ctag-"), tag


@case
def gets():
    """`basic.get` says how many messages remain, or that there is none."""
    with peer() as p:
        p.channel()
        queue = filled(p, 2)
        got = p.get(1, queue, no_ack=False)
        equal((got["messageCount"], got["redelivered"], got["deliveryTag"]), (1, False, 1), "the first")
        p.send(1, "basic.nack", deliveryTag=1, requeue=True)
        equal((p.get(1, queue)["redelivered"], p.get(1, queue)["body"]), (True, b"1"), "the next ones")
        equal(p.get(1, queue), None, "an empty queue")


@case
def acknowledged_is_done():
    """What was acknowledged, and said to be by a later answer, does not come again after a crash."""
    server = own()
    count = 500
    with Peer(server.amqp_port) as p:
        p.channel(1, confirms=True)
        p.queue(1, "q", durable=True)
        for number in range(count):
            p.publish(1, "q", b"%d" % number, properties=PERSISTENT)
        p.confirmed(count)
        p.channel(2)
        p.call(2, "basic.consume", queue="q", consumerTag="c")
        delivered(p, count)
        p.queue(1, "other", durable=True)
        for tag in range(1, count + 1, 2):
            p.send(2, "basic.ack", deliveryTag=tag)
        # Its answer tells of everything before it.
        p.publish(1, "other", b"last", properties=PERSISTENT)
        p.confirmed(count + 1)
        server.kill9()
    server.start()
    with Peer(server.amqp_port) as p:
        p.channel()
        found = p.bodies(1, "q")
        equal(found, [b"%d" % number for number in range(1, count, 2)], "what remains")


@case
def a_mixture():
    """A thousand random acknowledgements, refusals and recoveries leave exactly what was not acknowledged."""
    random = randomness()
    with peer() as p:
        p.channel()
        queue = filled(p, 300)
        p.call(1, "basic.qos", count=random.choice((0, 1, 7, 50)))
        p.call(1, "basic.consume", queue=queue, consumerTag="c")
        out, done = {}, set()
        for _ in range(1000):
            if len(done) == 300:
                break
            if not out or random.random() < 0.5:
                try:
                    (_, body, tag, _), = delivered(p, 1) if not out else [read_one(p)]
                    out[tag] = body
                except TimeoutError:
                    pass
                continue
            tag = random.choice(sorted(out))
            step = random.random()
            if step < 0.5:
                p.send(1, "basic.ack", deliveryTag=tag)
                done.add(out.pop(tag))
            elif step < 0.6:
                p.send(1, "basic.ack", deliveryTag=tag, multiple=True)
                for earlier in [one for one in out if one <= tag]:
                    done.add(out.pop(earlier))
            elif step < 0.9:
                p.send(1, "basic.nack", deliveryTag=tag, requeue=True)
                del out[tag]
            else:
                p.send(1, "basic.reject", deliveryTag=tag, requeue=False)
                done.add(out.pop(tag))
        p.drop()
    with peer() as p:
        p.channel()
        eventually(lambda: p.count(1, queue) == 300 - len(done), what="the rest is back")
        rest = p.bodies(1, queue)
        equal(set(rest), {b"%d" % number for number in range(300)} - done, "the rest")
        equal(rest, sorted(rest, key=int), "its order")


def read_one(p):
    fields = p.expect("basic.deliver", timeout=0.05)
    return fields["consumerTag"], fields["body"], fields["deliveryTag"], fields["redelivered"]
