"""Nodes that are new, or were away for too long: the stream does not go back as far as their folders, so they copy that of another node.

Holds: what was said to be scheduled is in its topic once, whichever node leads; nodes hold the same state in the end, by digests.
Leaves to others: clusters and their ledger (cluster_nodes.py), starting servers (nats_servers.py).
"""

import shutil
import time

import cluster_nodes
import nats_servers
from cluster_nodes import SHARDS


def _until(what, is_so, seconds=60):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def _follows_all(node):
    """Whether the node has come to the end of all shards."""
    try:
        return all(one["role"] in ("following", "leading") and one["isCurrent"] for one in node.shards().values())
    except (OSError, KeyError):
        return False


def _copies(node):
    try:
        return any(one["role"] == "copying" for one in node.shards().values())
    except OSError:
        return False


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
            ledger = cluster_nodes.Ledger(cluster)
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
                    began = _log(late).count("folder_copied")
                    late.start()
                    if dies:
                        _until("a node that copies", lambda: _copies(late))
                        late.kill()
                        late.start()
                    _until("a node with a copied folder", lambda: _follows_all(late))
                    assert _log(late).count("folder_copied") > began, "it did without the folder of another node"
                    ledger.until_accepting("a node has come back")
                # The copied folder is as good as any.
                for shard in range(SHARDS):
                    cluster_nodes._tell(late, op="seizeLeader", shard=shard)
                _until("the leadership of the node", lambda: all(cluster.leader(shard) is late for shard in range(SHARDS)))
                ledger.until_accepting("it leads")
            finally:
                ledger.stop()
            total, _ = ledger.judge()
            print(f"   {total} messages, all there once; folders copied {_log(late).count('folder_copied')} times")
        finally:
            cluster.end()


OWN_SERVERS = {"cluster-copies": copies}
