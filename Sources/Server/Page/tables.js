// Tables that change in place, so that focus, selection and place in them stay.

function setText(node, text) { if (node.textContent !== text) node.textContent = text; }

/// Makes the rows of a table those of `rows`, arrays of cells, reusing the row of the same key.
function fill(body, rows, key, write = (cell, text) => setText(cell, text)) {
  const old = new Map([...body.rows].map((row) => [row.dataset.key, row]));
  let place = 0;
  for (const cells of rows) {
    const name = key(cells);
    let row = old.get(name);
    if (row) old.delete(name);
    else {
      row = document.createElement("tr");
      row.dataset.key = name;
      cells.forEach(() => row.insertCell());
    }
    if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] || null);
    cells.forEach((text, column) => write(row.cells[column], text, column, cells));
    place += 1;
  }
  for (const row of old.values()) row.remove();
}

function link(cell, text, act) {
  let button = cell.firstElementChild;
  if (!button) {
    button = cell.appendChild(document.createElement("button"));
    button.type = "button";
    button.className = "link";
    button.addEventListener("click", () => act(button.textContent));
  }
  setText(button, text);
}

function showTopics({ topics, hasMore }) {
  const rows = [];
  for (const topic of topics) {
    rows.push([topic.topic, count(topic.pending), count(topic.nextOffset), "", "", "", bytes(topic.bytes)]);
    for (const group of topic.groups) rows.push(Object.assign([group.group, "", "", count(group.lag), count(group.inFlight), count(group.members), ""], { of: topic.topic }));
  }
  fill($("topics").tBodies[0], rows, (row) => JSON.stringify([row.of, row[0]]), (cell, text, column, row) => {
    if (column) return setText(cell, text);
    cell.parentNode.className = row.of === undefined ? "" : "group";
    if (row.of === undefined) link(cell, text, findIn);
    else setText(cell, text);
  });
  $("topics-more").hidden = !hasMore;
  const names = topics.map((topic) => topic.topic);
  if (JSON.stringify(names) !== $("topic-names").dataset.names) {
    $("topic-names").dataset.names = JSON.stringify(names);
    $("topic-names").replaceChildren(...names.map((name) => Object.assign(document.createElement("option"), { value: name })));
  }
  showDeadTopics(topics);
}

function showQueues({ queues, exchanges }) {
  const delaying = exchanges.filter((exchange) => exchange.pending > 0 || !exchange.exchange.startsWith("amq."));
  $("s-queues").hidden = !queues.length && !delaying.length;
  fill($("queues").tBodies[0], queues.map((queue) => [queue.queue, count(queue.messageCount), count(queue.unacknowledged), count(queue.expiring), count(queue.consumerCount)]), (row) => row[0]);
  fill($("exchanges").tBodies[0], delaying.map((exchange) => [exchange.exchange, exchange.type, count(exchange.pending)]), (row) => row[0]);
}
