// The shards of a cluster: who leads each, and which one the rest of the page is about. A server of its own has none.

const cluster = { isAny: document.documentElement.dataset.server === "node", shard: 0 };

/// What an operation about no topic has to say beside its fields.
const aboutShard = () => (cluster.isAny ? { shard: cluster.shard } : {});

async function lookAtShards() {
  if (!cluster.isAny) return;
  const reply = await ask("shards");
  $("s-shards").hidden = false;
  const rows = reply.shards.map((one) => Object.assign(
    [String(one.shard), one.leader || "nobody", one.address || "", count(one.epoch), one.role, count(one.record), one.problem || (one.isCurrent ? "" : "behind")],
    { number: one.shard }));
  fill($("shards").tBodies[0], rows, (cells) => cells[0], (cell, text, column, cells) => {
    if (column) return setText(cell, text);
    link(cell, text, (shown) => { cluster.shard = Number(shown); looking.last = null; lookNow(); });
    cell.parentElement.toggleAttribute("aria-current", cells.number === cluster.shard);
  });
  setText($("h-shards"), `Shards, as node ${reply.node} knows them`);
  setText($("shards-text"), `Wheels, numbers, topics and queues are those of shard ${cluster.shard}.`);
}
