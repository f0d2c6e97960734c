"""Clusters of one shard on real NATS servers, through the shell of `Tests/ShardShell`: nodes and servers are killed and stopped.

Holds: the ledger stands here, outside of every node: what was said to be accepted is released, once, at one offset, never early.
Leaves to others: starting servers (nats_servers.py), the stream alone (nats_suites.py).
"""

import collections
import pathlib
import random
import signal
import subprocess
import tempfile
import threading
import time

import nats_servers

STREAM = "ESC-0"
NODES = ("a", "b", "c")
# Beside the clocks of the nodes: a message is due by that of its leader.
CLOCKS_MS = {"a": 0, "b": 120, "c": -120}


class Node:
    """One node; started again in the same folder after it was killed."""

    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"escapement-node-{name}-"))
        self.process = None

    def start(self):
        program = pathlib.Path(self.cluster.binary).resolve().parent / "ShardShell"
        self.process = subprocess.Popen(
            [program, self.cluster.servers.address(), "0", "3", self.name, self.folder, "create",
             f"clock={CLOCKS_MS[self.name]}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._hear, args=(self.process,), daemon=True).start()

    def _hear(self, process):
        for line in process.stdout:
            self.cluster.heard(self, line.split())

    def say(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except OSError:
            pass

    def kill(self):
        self.process.kill()
        self.process.wait()


class Cluster:
    """Three nodes, a client that sends to whoever leads, and the ledger."""

    def __init__(self, binary, servers):
        self.binary, self.servers = binary, servers
        self.lock = threading.Lock()
        self.accepted, self.sent_ms = {}, {}
        # Offset → id, and id → offsets, as every leader has shown them.
        self.at_offset, self.offsets = {}, collections.defaultdict(set)
        self.shown_by = collections.defaultdict(set)
        self.answers, self.wrong = {}, []
        self.leader, self.led = None, 0
        self.last_accepted = time.monotonic()
        self.nodes = [Node(self, name) for name in NODES]
        self.is_sending = True
        for node in self.nodes:
            node.start()
        threading.Thread(target=self._send, daemon=True).start()

    def _send(self):
        number = 0
        while self.is_sending:
            number += 1
            leader = self.leader
            if leader:
                with self.lock:
                    self.sent_ms[f"m{number}"] = time.time() * 1000
                leader.say(f"schedule m{number} {random.choice((0, 5, 50, 400, 2500))}")
            time.sleep(0.0007)

    def heard(self, node, words):
        with self.lock:
            if words[0] == "accepted":
                self.accepted[words[1]] = node.name
                self.last_accepted = time.monotonic()
            elif words[0] == "leads":
                self.leader, self.led = node, self.led + 1
            elif words[0] == "deposed" and self.leader is node:
                self.leader = None
            elif words[0] == "released":
                self._released(words)
            elif words[0] in ("status", "digest"):
                self.answers[(node.name, words[0])] = words[1:]
            elif words[0] in ("stopped", "failed"):
                self.wrong.append(f"{node.name}: {' '.join(words)}")

    def _released(self, words):
        message, offset, due_ms, at_ms = words[1], int(words[2]), int(words[3]), int(words[4])
        if self.at_offset.setdefault(offset, message) != message:
            self.wrong.append(f"offset {offset} was {self.at_offset[offset]}, and is {message}")
        self.offsets[message].add(offset)
        if at_ms < due_ms:
            self.wrong.append(f"{message} left {due_ms - at_ms} ms early")

    def ask(self, node, what):
        with self.lock:
            self.answers.pop((node.name, what), None)
        node.say(what)
        end = time.monotonic() + 5
        while time.monotonic() < end:
            if found := self.answers.get((node.name, what)):
                return found
            time.sleep(0.01)
        return None

    def until_accepting(self, what, seconds=60):
        """How long it takes until something is accepted that was sent after now."""
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            if self.last_accepted > began + 0.02:
                return time.monotonic() - began
            time.sleep(0.005)
        raise AssertionError(f"nothing was accepted within {seconds} s after {what}; {self.wrong}")

    def end(self):
        for node in self.nodes:
            node.kill()
            nats_servers.shutil.rmtree(node.folder, ignore_errors=True)


def faults(binary, rounds=14):
    """A shard outlives nodes and servers that are killed, stopped and taken the leadership from; nothing accepted is lost."""
    with nats_servers.servers(3) as servers:
        cluster = Cluster(binary, servers)
        try:
            print(f"   first accepted after {cluster.until_accepting('the start'):.2f} s", flush=True)
            for number in range(rounds):
                _strike(cluster, servers, number)
            _judge(cluster)
        finally:
            cluster.end()


def _strike(cluster, servers, number):
    time.sleep(1.5)
    leader = cluster.leader or cluster.nodes[0]
    others = [node for node in cluster.nodes if node is not leader]
    kind = ("seize", "kill", "seize", "stop", "server", "seize", "both")[number % 7]
    again = []
    if kind == "seize":
        # Several, since each meets a leader with more than one entry on its way only now and then.
        for _ in range(12):
            random.choice([node for node in cluster.nodes if node is not cluster.leader]).say("seize")
            time.sleep(0.2)
    elif kind == "kill":
        cluster.leader = None
        leader.kill()
        again.append(leader.start)
    elif kind == "stop":
        leader.process.send_signal(signal.SIGSTOP)
        again.append(lambda: leader.process.send_signal(signal.SIGCONT))
        cluster.leader = None
    if kind in ("server", "both"):
        name = servers.leader(STREAM)
        servers.signal(name, signal.SIGKILL)
        again.append(lambda: servers.start(name))
    if kind == "both":
        cluster.leader = None
        leader.kill()
        again.append(leader.start)
    took = cluster.until_accepting(kind)
    print(f"   {kind}: accepting again after {took:.2f} s", flush=True)
    time.sleep(1)
    for one in again:
        one()
    if kind in ("server", "both"):
        servers.wait_until_current(STREAM)


def _judge(cluster):
    time.sleep(1)
    cluster.is_sending = False
    end = time.monotonic() + 60
    while time.monotonic() < end and any(one not in cluster.offsets for one in list(cluster.accepted)):
        time.sleep(0.1)
    lost = [one for one in cluster.accepted if one not in cluster.offsets]
    twice = [one for one, offsets in cluster.offsets.items() if len(offsets) > 1]
    digests = {}
    while time.monotonic() < end:
        digests = {node.name: cluster.ask(node, "digest") for node in cluster.nodes}
        if len({tuple(one or [name]) for name, one in digests.items()}) == 1:
            break
        time.sleep(0.2)
    void = {node.name: (cluster.ask(node, "status") or ["?"])[-1] for node in cluster.nodes}
    print(f"   {len(cluster.accepted)} accepted, {len(cluster.offsets)} released, {cluster.led} leaderships, void entries {void}")
    assert any(int(count) > 0 for count in void.values()), "no leader was deposed with entries on their way that were stored"
    assert not cluster.wrong, cluster.wrong[:5]
    assert not lost, f"{len(lost)} accepted and lost, such as {lost[:5]}"
    assert not twice, f"{len(twice)} released twice, such as {twice[:5]}"
    assert len({tuple(one or [name]) for name, one in digests.items()}) == 1, f"the nodes differ: {digests}"


OWN_SERVERS = {"cluster-faults": faults}
