"""Clusters of three nodes of the real program on three real NATS servers, under faults, judged by a ledger outside of all of them.

Holds: what was said to be scheduled is in its topic once; nothing left early; a topic's messages are in the order of their times; what a
consumer was shown is what the topic holds; the nodes hold the same state in the end, by digests.
Leaves to others: starting servers (nats_servers.py).
"""

import collections
import itertools
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import nats_servers
from id_book import IdBook

SHARDS = 4
NODES = ("a", "b", "c")
TOPICS = [f"t{number}" for number in range(12)]
LEASE_S = 2.5


class Line:
    """A connection of the line protocol."""

    def __init__(self, address, timeout=1.5, context=None):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 2)
        self.socket.settimeout(timeout)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname=host)
        self.stream = self.socket.makefile("rb")

    def ask(self, **request):
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            reply = self.read()
            if "ok" in reply:
                return reply
            if reply["event"] == "not_leader":
                raise OSError("the leader has changed")

    def read(self):
        line = self.stream.readline()
        if not line.endswith(b"\n"):
            raise OSError("closed")
        return json.loads(line)

    def close(self):
        self.socket.close()


class Node:
    """One node; started again in the same folder after it was killed."""

    def __init__(self, cluster, name, port):
        self.cluster, self.name, self.address = cluster, name, f"127.0.0.1:{port}"
        self.folder = cluster.folder / name
        self.process = None
        self.is_up = False
        # Where other wires are spoken: by the names of the options; none unless somebody asks for them.
        self.wires = {"--http": "off", "--amqp": "off"}

    def start(self, offset_ms=0):
        with open(self.cluster.folder / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(
                [self.cluster.binary, "serve", "--cluster", self.cluster.nats(), "--node", self.name,
                 "--advertise", self.address, "--listen", self.address, "--shards", str(SHARDS), "--data", self.folder,
                 *[word for wire in self.wires.items() for word in wire], *self.cluster.flags],
                stdout=log, stderr=log, env=os.environ | {"ESCAPEMENT_WALL_OFFSET_MS": str(offset_ms)})
        self.is_up = True

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.is_up = False
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def shards(self):
        line = self.cluster.line(self.address)
        try:
            return {one["shard"]: one for one in line.ask(op="shards")["shards"]}
        finally:
            line.close()


class Cluster:
    """Servers, nodes and where they are."""

    def __init__(self, binary, servers, *flags, speaks_all=False, context=None):
        """With `context`, what trusts the nodes' certificates, they and the servers speak TLS."""
        self.binary, self.servers, self.flags, self.context = pathlib.Path(binary).resolve(), servers, flags, context
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="escapement-cluster-"))
        ports = nats_servers.free_ports(len(NODES))
        self.nodes = [Node(self, name, port) for name, port in zip(NODES, ports)]
        if speaks_all:
            # The brokers of RocketMQ are behind the port of the name server, one for each shard.
            others, blocks = nats_servers.free_ports(2 * len(NODES)), _free_blocks(len(NODES), SHARDS + 1)
            for place, node in enumerate(self.nodes):
                http, amqp = others[2 * place:2 * place + 2]
                node.wires = {"--http": f"127.0.0.1:{http}", "--amqp": f"127.0.0.1:{amqp}", "--rocketmq": f"127.0.0.1:{blocks[place]}"}
        for node in self.nodes:
            node.start()

    def nats(self):
        address = self.servers.address()
        return address.replace("nats:", "tls:") if self.context else address

    def line(self, address, timeout=1.5):
        return Line(address, timeout, self.context)

    def node(self, address):
        return next((node for node in self.nodes if node.address == address), None)

    def leader(self, shard):
        """Who leads, by the newest epoch that any node tells; None while nobody does."""
        best = None
        for node in self.nodes:
            try:
                seen = node.shards()[shard]
            except (OSError, ValueError, KeyError):
                continue
            if seen.get("role") == "leading" and (best is None or seen["epoch"] > best[0]):
                best = (seen["epoch"], node)
        return best and best[1]

    def until_led(self, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if all(self.leader(shard) for shard in range(SHARDS)) and all(self._knows(node) for node in self.nodes):
                return
            time.sleep(0.1)
        raise AssertionError(f"not all shards are led after {seconds} s; {self.logs()}")

    def _knows(self, node):
        """Whether the node knows who leads each shard."""
        try:
            return all("leader" in one for one in node.shards().values())
        except OSError:
            return False

    def logs(self):
        lines = []
        for node in self.nodes:
            text = (self.folder / f"{node.name}.log").read_text().splitlines()
            lines += [f"{node.name}: {line}" for line in text if " error " in line][-3:]
        return lines

    def end(self):
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def until(what, is_so, seconds=60):
    """Waits until something is so."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def _free_blocks(count, size):
    """The first ports of blocks that nobody listens on at the moment."""
    found, first = [], 21000 + os.getpid() % 100 * 50
    while len(found) < count:
        assert first < 60000, "no free block of ports"
        try:
            for port in range(first, first + size):
                socket.create_server(("127.0.0.1", port)).close()
            found.append(first)
        except OSError:
            pass
        first += size
    return found


class Client:
    """Finds the leader of a topic as any client would: by what it is told."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.lines, self.at = {}, {}

    def ask(self, topic, seconds=60, **request):
        """Asks until there is a definite answer. Only for what may be asked twice."""
        end = time.monotonic() + seconds
        address = self.at.get(topic) or random.choice(self.cluster.nodes).address
        while time.monotonic() < end:
            try:
                line = self.lines.get(address)
                if line is None:
                    line = self.lines[address] = self.cluster.line(address)
                reply = line.ask(topic=topic, **request)
            except (OSError, ValueError):
                if address in self.lines:
                    self.lines.pop(address).close()
                address = random.choice(self.cluster.nodes).address
                time.sleep(0.02)
                continue
            if reply.get("ok"):
                self.at[topic] = address
                return reply
            assert reply["error"] in ("not_leader", "shutting_down", "busy"), reply
            address = reply.get("address") or random.choice(self.cluster.nodes).address
            time.sleep(0.005 if reply.get("address") else 0.05)
        raise AssertionError(f"no answer about {topic} within {seconds} s; {self.cluster.logs()}")


class Ledger:
    """What clients were told."""

    def __init__(self, cluster, floods=True):
        self.cluster = cluster
        self.lock = threading.Lock()
        self.accepted = collections.defaultdict(IdBook)
        self.shown = collections.defaultdict(dict)
        self.cancelled = collections.defaultdict(IdBook)
        self.wrong = []
        self.last_accepted = {topic: 0 for topic in TOPICS}
        self.is_running = True
        self.threads = [threading.Thread(target=self._guarded, args=(self._produce, TOPICS[place::4])) for place in range(4)]
        self.threads += [threading.Thread(target=self._guarded, args=(self._consume, topic)) for topic in TOPICS[:4]]
        # Leaders must have more than one entry on their way when they lose the leadership.
        flooded = TOPICS[4:8] if floods else []
        self.threads += [threading.Thread(target=self._guarded, args=(self._flood, topic)) for topic in flooded]
        for thread in self.threads:
            thread.start()

    def _guarded(self, body, argument):
        try:
            body(argument)
        except Exception as error:
            self.wrong.append(f"{body.__name__} {argument}: {error!r}")

    def _produce(self, topics):
        client, number = Client(self.cluster), 0
        while self.is_running:
            topic, number = random.choice(topics), number + 1
            message = f"{threading.get_ident() % 100000}-{number}"
            delay_ms = random.choice((0, 5, 50, 400, 3000))
            reply = client.ask(topic, op="schedule", id=message, delayMs=delay_ms, body=number)
            with self.lock:
                self.accepted[topic].add(message)
                self.last_accepted[topic] = time.monotonic()
            if delay_ms == 3000 and number % 5 == 0:
                if client.ask(topic, op="cancel", id=message)["outcome"] in ("cancelled", "unknown"):
                    with self.lock:
                        self.cancelled[topic].add(message)

    def _flood(self, topic):
        """Sends without waiting; what was answered counts."""
        number, client = 0, Client(self.cluster)
        while self.is_running:
            client.ask(topic, op="get", id="nothing")
            line = client.lines.pop(client.at[topic], None)
            if line is None:
                continue
            try:
                while self.is_running:
                    batch = [f"f{threading.get_ident() % 100000}-{number + place}" for place in range(50)]
                    number += len(batch)
                    line.socket.sendall(b"".join(
                        json.dumps(dict(op="schedule", topic=topic, id=one, delayMs=20, body=1)).encode() + b"\n" for one in batch))
                    for one in batch:
                        reply = line.read()
                        if not reply.get("ok"):
                            raise OSError(reply)
                        with self.lock:
                            self.accepted[topic].add(one)
            except (OSError, ValueError):
                line.close()

    def _consume(self, topic):
        """Notes what a consumer is shown, acknowledging it."""
        client = Client(self.cluster)
        while self.is_running:
            try:
                messages = client.ask(topic, op="fetch", group="g", max=200, waitMs=500)["messages"]
            except AssertionError as error:
                self.wrong.append(str(error))
                return
            for one in messages:
                known = self.shown[topic].setdefault(one["offset"], one["id"])
                if known != one["id"]:
                    self.wrong.append(f"{topic}/{one['offset']} was shown as {known} and as {one['id']}")
            if messages:
                client.ask(topic, op="ack", group="g", offsets=[one["offset"] for one in messages])

    def until_accepting(self, what, seconds=90):
        """How long it takes until something sent from now on is accepted in every shard that was struck."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            if all(last > began + 0.05 for last in self.last_accepted.values()):
                return time.monotonic() - began
            time.sleep(0.01)
        raise AssertionError(f"nothing was accepted within {seconds} s after {what}; {self.wrong[:3]} {self.cluster.logs()}")

    def stop(self):
        self.is_running = False
        for thread in self.threads:
            thread.join()

    def judge(self):
        """Reads every topic to its end."""
        client = Client(self.cluster)
        assert not self.wrong, self.wrong[:5]
        time.sleep(3.5)
        total = 0
        for topic in TOPICS:
            held, count = self._read(client, topic)
            total += count
            lost = list(itertools.islice(self.accepted[topic].without(held, self.cancelled[topic]), 3))
            assert not lost, f"{topic}: accepted and lost, such as {lost}"
            came = [one for one in self.cancelled[topic].without() if not held.add(one)]
            assert not came, f"{topic}: cancelled, and released all the same: {came[:3]}"
        return total, self._compare_nodes()

    def _read(self, client, topic):
        """Reads a topic from its first message to its last; gives the ids and how many there are."""
        held, shown, offset, last_ms, count = IdBook(), dict(self.shown[topic]), 0, 0, 0
        while True:
            page = client.ask(topic, op="read", offset=offset, limit=1000)
            for one in page["messages"]:
                assert held.add(one["id"]), f"{topic}: {one['id']} was released twice"
                assert one["releasedAtMs"] >= one["deliverAtMs"], f"{topic}: {one} left early"
                assert one["deliverAtMs"] >= last_ms, f"{topic}: {one} is behind one of {last_ms}"
                last_ms = one["deliverAtMs"]
                message = shown.pop(one["offset"], one["id"])
                assert message == one["id"], f"{topic}/{one['offset']}: shown {message}, holds {one['id']}"
            if not page["messages"]:
                assert not shown, f"{topic}: shown, and not there: {list(shown.items())[:3]}"
                return held, count
            count += len(page["messages"])
            offset = page["nextOffset"]

    def _compare_nodes(self):
        end = time.monotonic() + 60
        while True:
            for node in self.cluster.nodes:
                line = self.cluster.line(node.address, timeout=30)
                for shard in range(SHARDS):
                    assert line.ask(op="digestShard", shard=shard)["ok"]
                line.close()
            time.sleep(0.5)
            seen = {node.name: node.shards() for node in self.cluster.nodes}
            equal = all(
                len({(one[shard].get("digest"), one[shard].get("digestRecord")) for one in seen.values()}) == 1
                and "digest" in seen["a"][shard] for shard in range(SHARDS))
            if equal:
                return sum(max(one[shard]["void"] for one in seen.values()) for shard in range(SHARDS))
            assert time.monotonic() < end, f"the nodes differ: {seen}"


def follows_all(node):
    """Whether the node has come to the end of all shards."""
    try:
        return all(one["role"] in ("following", "leading") and one["isCurrent"] for one in node.shards().values())
    except (OSError, KeyError):
        return False


class Strikes:
    """The faults."""

    def __init__(self, cluster, servers, ledger, chance):
        self.cluster, self.servers, self.ledger, self.chance = cluster, servers, ledger, chance
        self.took = collections.defaultdict(list)
        self.is_short = False

    def strike(self, kind):
        shard = self.chance.randrange(SHARDS)
        leader = self.cluster.leader(shard) or self.cluster.nodes[0]
        undo = getattr(self, kind)(shard, leader)
        took = self.ledger.until_accepting(kind)
        self.took[kind].append(took)
        time.sleep(0.3)
        for one in undo or ():
            one()
        if self.is_short:
            # Truncated as no leader would: a node that was killed may need a folder, too, and somebody must be there to give it.
            began = time.monotonic()
            until("all nodes have come back", lambda: all(map(follows_all, self.cluster.nodes)), seconds=300)
            self.took[f"all nodes come back after {kind}"].append(time.monotonic() - began)
        print(f"   {kind}: accepting everywhere again after {took:.2f} s", flush=True)

    def kill(self, shard, leader):
        leader.kill()
        return [leader.start]

    def pause(self, shard, leader):
        leader.signal(signal.SIGSTOP)
        return [lambda: leader.signal(signal.SIGCONT)]

    def blink(self, shard, leader):
        leader.signal(signal.SIGSTOP)
        time.sleep(LEASE_S * 1.5)
        leader.signal(signal.SIGCONT)

    def seize(self, shard, leader):
        for _ in range(6):
            other = self.chance.choice([node for node in self.cluster.nodes if node is not self.cluster.leader(shard)])
            _tell(other, op="seizeLeader", shard=shard)
            time.sleep(0.15)

    def move(self, shard, leader):
        other = self.chance.choice([node for node in self.cluster.nodes if node is not leader])
        _tell(leader, op="moveLeader", shard=shard, to=other.name)

    def clock(self, shard, leader):
        """A node whose wall clock is two seconds off takes part, and others whose clock is right."""
        leader.kill()
        leader.start(self.chance.choice((-2000, 2000)))

    def server(self, shard, leader):
        name = self.servers.leader(f"ESC-{shard}")
        self.servers.signal(name, signal.SIGKILL)
        return [lambda: self.servers.start(name), self._current]

    def server_pause(self, shard, leader):
        name = self.servers.leader(f"ESC-{shard}")
        self.servers.signal(name, signal.SIGSTOP)
        return [lambda: self.servers.signal(name, signal.SIGCONT), self._current]

    def late(self, shard, leader):
        """The stream is truncated while a node is away: it has to copy the folder of another one."""
        node = self.chance.choice([node for node in self.cluster.nodes if node is not leader])
        node.kill()
        stream = f"ESC-{shard}"
        first, end = self.servers.last_sequence(stream), time.monotonic() + 30
        while self.servers.last_sequence(stream) < first + 1500 and time.monotonic() < end:
            time.sleep(0.2)
        # The others are at the end, or a moment behind it.
        self.servers.purge(stream, below=self.servers.last_sequence(stream) - 500)
        self.is_short = True
        return [node.start]

    def both(self, shard, leader):
        leader.kill()
        return self.server(shard, leader) + [leader.start]

    def no_quorum(self, shard, leader):
        """Two of three servers are away: nothing is accepted, nothing is lost."""
        names = self.chance.sample(self.servers.names, 2)
        for name in names:
            self.servers.signal(name, signal.SIGKILL)
        time.sleep(15)
        self.servers.start(*names)
        self._current()

    def _current(self):
        for shard in range(SHARDS):
            self.servers.wait_until_current(f"ESC-{shard}")


def _tell(node, **request):
    try:
        line = node.cluster.line(node.address)
        line.ask(**request)
        line.close()
    except (OSError, ValueError):
        pass


COMMON = ("kill", "seize", "pause", "move", "server", "blink", "seize", "both", "clock", "kill", "server_pause", "late")


def faults(binary, count=10, seed=1):
    """Three nodes of the program outlive ten faults; what their clients were told stays true."""
    chance = random.Random(seed)
    kinds = list(COMMON[:count]) if count <= len(COMMON) else [
        "no_quorum" if place % 40 == 39 else COMMON[place % len(COMMON)] for place in range(count)]
    with nats_servers.servers(3) as servers:
        cluster = Cluster(binary, servers)
        try:
            cluster.until_led()
            ledger = Ledger(cluster)
            strikes = Strikes(cluster, servers, ledger, chance)
            try:
                for kind in kinds:
                    time.sleep(0.7)
                    strikes.strike(kind)
            finally:
                ledger.stop()
            total, void = ledger.judge()
            for kind, took in sorted(strikes.took.items()):
                took.sort()
                print(f"   {kind}: {len(took)} times, back after {took[len(took) // 2]:.2f} s, at most {took[-1]:.2f} s")
            print(f"   {total} messages in {len(TOPICS)} topics, all there once; {void} void entries")
            assert void > 0, "no leader was deposed with entries on their way that were stored"
        finally:
            cluster.end()


def many_faults(binary):
    """The same with two hundred faults; takes half an hour."""
    faults(binary, count=200, seed=2)


OWN_SERVERS = {"cluster-nodes": faults}
MEASUREMENTS = {"cluster-200": many_faults}
