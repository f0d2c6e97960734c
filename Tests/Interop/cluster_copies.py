"""Nodes that are new, or were away for too long: the stream does not go back as far as their folders, so they copy that of another node.

Holds: what was said to be scheduled is in its topic once, whichever node leads; nodes hold the same state in the end, by digests.
The same for shards that were begun in part, streams that were lost, and shards that go back to their nodes.
Leaves to others: clusters and their ledger (cluster_nodes.py), starting servers (nats_servers.py).
"""

import shutil
import signal
import subprocess
import time

import cluster_nodes
import nats_servers
from cluster_nodes import SHARDS, TOPICS, follows_all, until


def _log(node):
    return (node.cluster.folder / f"{node.name}.log").read_text()


def _truncate(cluster):
    """Nothing of the streams stays but their last few messages."""
    for shard in range(SHARDS):
        stream = f"ESC-{shard}"
        cluster.servers.purge(stream, below=cluster.servers.last_sequence(stream) - 20)


def copies(binary):
    """A node whose disk was replaced, one that was away, and one that is killed while it copies come back, and can lead."""
    with nats_servers.servers(3) as servers:
        cluster = cluster_nodes.Cluster(binary, servers)
        try:
            cluster.until_led()
            ledger = cluster_nodes.Ledger(cluster, floods=False)
            try:
                time.sleep(3)
                for is_new, dies in ((True, False), (False, False), (True, True)):
                    late = cluster.nodes[2]
                    late.kill()
                    ledger.until_accepting("a node is gone")
                    time.sleep(2)
                    if is_new:
                        shutil.rmtree(late.folder)
                    _truncate(cluster)
                    begun, copied = _log(late).count("folder_begun"), _log(late).count("folder_copied")
                    late.start()
                    if dies:
                        until("a node that copies", lambda: _log(late).count("folder_begun") > begun)
                        late.kill()
                        late.start()
                    until("a node with a copied folder", lambda: follows_all(late))
                    assert _log(late).count("folder_copied") > copied, "it did without the folder of another node"
                    ledger.until_accepting("a node has come back")
                # The copied folder is as good as any.
                for shard in range(SHARDS):
                    cluster_nodes._tell(late, op="seizeLeader", shard=shard)
                until("the leadership of the node", lambda: all(cluster.leader(shard) is late for shard in range(SHARDS)))
                ledger.until_accepting("it leads")
            finally:
                ledger.stop()
            total, _ = ledger.judge()
            print(f"   {total} messages, all there once; folders copied {_log(late).count('folder_copied')} times")
        finally:
            cluster.end()


def _folders(node, *words):
    """What `cluster generation` says of a node at rest: shard → last record."""
    said = subprocess.run([node.cluster.binary, "cluster", "generation", node.folder, *words], check=True, stdout=subprocess.PIPE, text=True)
    found = {}
    for line in said.stdout.splitlines():
        if "record" in line:
            found[int(line.split()[1].rstrip(":"))] = int(line.split("record ")[1].split(",")[0])
    return found


def generation(binary):
    """The streams are lost with the disks of all servers: the nodes go on in new ones with what their folders hold."""
    with nats_servers.servers(3) as servers:
        cluster = cluster_nodes.Cluster(binary, servers)
        try:
            cluster.until_led()
            client, held = cluster_nodes.Client(cluster), {}
            for number in range(600):
                # Two topics: there are shards without any record.
                topic = TOPICS[number % 2]
                client.ask(topic, op="schedule", id=f"m{number}", delayMs=1 if number % 3 else 3_600_000, body=number)
                held.setdefault(topic, []).append(f"m{number}")
            until("all nodes have all", lambda: _are_equal(cluster))
            servers.lose_disks()
            for node in cluster.nodes:
                node.signal(signal.SIGTERM)
                node.process.wait(30)
            servers.start(*servers.names)
            known = {node: _folders(node) for node in cluster.nodes}
            chosen = set()
            for shard in range(SHARDS):
                best = max(cluster.nodes, key=lambda node: known[node].get(shard, 0))
                assert known[best].get(shard) is not None and _folders(best, "--begin", str(shard)) is not None
                chosen.add(best)
                for node in cluster.nodes:
                    if node is not best:
                        shutil.rmtree(node.folder / f"shard-{shard}", ignore_errors=True)
            # Their nodes make the streams, each its own, in whatever order they come; the others find them there.
            for node in chosen:
                node.start()
            until("leaders in the new streams", lambda: all(cluster.leader(shard) for shard in range(SHARDS)))
            for node in set(cluster.nodes) - chosen:
                node.start()
            cluster.until_led()
            client = cluster_nodes.Client(cluster)
            for topic, ids in held.items():
                for message in ids:
                    reply = client.ask(topic, op="get", id=message)
                    assert reply["state"] == ("released" if int(message[1:]) % 3 else "pending"), (topic, reply)
            until("all nodes have all", lambda: _are_equal(cluster))
            print(f"   {sum(map(len, held.values()))} messages, all there in the next generation")
        finally:
            cluster.end()


def half_begun(binary):
    """A first start that got some streams and not the others, as when the servers have no room: the next start makes the rest."""
    rights = {**nats_servers.RIGHTS, "publish": [*nats_servers.RIGHTS["publish"], "$JS.API.STREAM.DELETE.*"]}
    with nats_servers.servers(3, accounts=nats_servers.account(rights)) as servers:
        cluster = cluster_nodes.Cluster(binary, servers)
        try:
            cluster.until_led()
            for node in cluster.nodes:
                node.kill()
                shutil.rmtree(node.folder / f"shard-{SHARDS - 1}")
            stream = f"ESC-{SHARDS - 1}"
            assert servers.ask(servers.leader(stream), f"$JS.API.STREAM.DELETE.{stream}")["success"]
            for node in cluster.nodes:
                node.start()
            cluster.until_led()
        finally:
            cluster.end()


def order(binary):
    """A node that was away gets the shards back that are its own, without a fault that a client would notice."""
    with nats_servers.servers(3) as servers:
        cluster = cluster_nodes.Cluster(binary, servers)
        try:
            cluster.until_led()
            client = cluster_nodes.Client(cluster)
            away = cluster.leader(0)
            away.kill()
            until("another leader", lambda: cluster.leader(0) not in (None, away))
            away.start()
            # It leads again what its place in the order gives it; and whoever led for it has given that away by itself.
            until("a shard given back", lambda: _moves(cluster), 120)
            until("all are led", lambda: all(cluster.leader(shard) for shard in range(SHARDS)))
            for topic in TOPICS:
                assert client.ask(topic, op="schedule", id="one", delayMs=1, body=1)["outcome"] == "scheduled"
            print(f"   shards given back: {_moves(cluster)}")
        finally:
            cluster.end()


def _moves(cluster):
    return sum(_log(node).count("leader_moved") for node in cluster.nodes)


def _are_equal(cluster):
    """Whether all nodes have applied the same records of all shards."""
    try:
        seen = [node.shards() for node in cluster.nodes]
    except OSError:
        return False
    return all(len({one[shard].get("record") for one in seen}) == 1 for shard in range(SHARDS)) and all(map(follows_all, cluster.nodes))


OWN_SERVERS = {"cluster-copies": copies, "cluster-generation": generation, "cluster-half-begun": half_begun, "cluster-order": order}
