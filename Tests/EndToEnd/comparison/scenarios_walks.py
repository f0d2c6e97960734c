"""Random walks: the same seeded operations on both servers, everything that shows compared.

Holds: only what both do at once is drawn, no times to live; after each operation that moves messages between queues the
walk waits, because RabbitMQ's queues send dead letters to one another behind its replies.
"""

import random

from stage import deaths, pause, scenario, to

STEPS = 100
SEEDS = (1, 2)


class Walk:
    """One walk over three queues whose dead letters lead around, and a queue at the end."""

    def __init__(self, w, seed):
        self.random = random.Random(seed)
        self.s, self.other = w.session(), w.session()
        self.names = [w.name(f"{seed}{letter}") for letter in "abc"]
        end = w.name(f"{seed}end")
        self.s.queue(end)
        for name, target in zip(self.names, [*self.names[1:], end]):
            self.s.queue(name, {**to(target), **self.bounds()})
        self.names.append(end)
        self.exchange = w.name(f"{seed}x")
        self.s.exchange("topic", self.exchange)
        self.out, self.published = [], 0

    def bounds(self):
        """Maybe a bound and what happens there."""
        chosen = self.random.choice(({}, {"x-max-length": 3}, {"x-max-length": 4, "x-max-length-bytes": 8}))
        overflow = self.random.choice(("drop-head", "reject-publish", "reject-publish-dlx"))
        return {**chosen, "x-overflow": overflow} if chosen else {}

    def queue(self):
        return self.random.choice(self.names)

    # Operations: each gives what is to be seen of it.

    def publish(self):
        self.published += 1
        body = str(self.published).ljust(self.random.randint(1, 4), "+")
        return self.s.publish(self.queue(), body, mandatory=True)

    def publish_by_topic(self):
        self.published += 1
        key = ".".join(self.random.choice(("a", "b", "")) for _ in range(self.random.randint(0, 3)))
        return self.s.publish(key, f"t{self.published}", exchange=self.exchange, mandatory=True)

    def bind(self):
        key = ".".join(self.random.choice(("a", "b", "*", "#", "")) for _ in range(self.random.randint(0, 3)))
        op = self.random.choice(("queueBind", "queueBind", "queueUnbind"))
        return self.s.attempt(op, queue=self.queue(), exchange=self.exchange, routingKey=key)

    def get(self):
        no_ack = self.random.random() < 0.2
        message = self.s.get(self.queue(), no_ack=no_ack)
        if message is None:
            return None
        if not no_ack:
            self.out.append(message["deliveryTag"])
        return [message["deliveryTag"], message["body"], message["redelivered"], deaths(message)[:1]]

    def settle(self):
        """A tag that is out; unknown ones would close the channel of AMQP."""
        if not self.out:
            return None
        tag = self.random.choice(self.out)
        op = self.random.choice(("ack", "nack", "nack", "reject"))
        fields = {} if op == "ack" else {"requeue": self.random.random() < 0.5}
        multiple = op != "reject" and self.random.random() < 0.3
        gone = [out for out in self.out if out == tag or multiple and out <= tag]
        self.out = [out for out in self.out if out not in gone]
        outcome = self.s.attempt(op, here=True, deliveryTag=tag, **fields, **({"multiple": True} if multiple else {}))
        if outcome != "ok":
            self.out = []
        return [op, tag, fields, multiple, outcome]

    def purge(self):
        return self.s.do("queuePurge", queue=self.queue())["messageCount"]

    def take_over(self):
        """A consumer of another connection takes some and goes with them."""
        queue = self.queue()
        self.other.consume(queue, "other", prefetch=self.random.randint(1, 3))
        pause(0.03)
        taken = []
        while message := self.other.deliver(0.05):
            taken.append([message["body"], message["redelivered"]])
            if self.random.random() < 0.5:
                self.other.ack(message["deliveryTag"])
            else:
                break
        self.other.do("cancel", consumerTag="other")
        while message := self.other.deliver(0.05):
            taken.append([message["body"], message["redelivered"]])
        self.other.nack(0, multiple=True)
        return taken

    def step(self):
        operations = [self.publish] * 8 + [self.publish_by_topic] * 4 + [self.bind] * 4 + [self.get] * 6
        operations += [self.settle] * 6 + [self.purge] + [self.take_over]
        operation = self.random.choice(operations)
        shown = operation()
        pause(0.02)
        return [operation.__name__, shown, [self.s.count(name) for name in self.names]]


def _walk(w, seed):
    walk = Walk(w, seed)
    for step in range(STEPS):
        w.note(f"step {step}", walk.step())


def _register(seed):
    def walk(w):
        _walk(w, seed)
    walk.__name__, walk.__doc__ = f"walk_{seed}", f"The random walk of seed {seed}."
    scenario(walk)


def register(seeds):
    """Makes a scenario of each seed."""
    for seed in seeds:
        _register(seed)
