// Numbers over time: tiles with their last minute, lateness as a map of heat, and what is due when.

const minute = 60;
const tiles = [
  ["scheduled", "Scheduled", "rate"], ["released", "Released", "rate"],
  ["delivered", "Delivered", "rate"], ["acked", "Acknowledged", "rate"],
  ["published", "Published", "rate"], ["cancelled", "Cancelled", "rate"],
  ["inFlight", "In flight", "gauge"], ["connections", "Connections", "gauge"],
].map(([name, label, kind]) => {
  const box = document.createElement("div");
  const term = box.appendChild(document.createElement("dt"));
  const value = box.appendChild(document.createElement("dd"));
  const canvas = value.appendChild(document.createElement("canvas"));
  const text = value.insertBefore(document.createElement("span"), canvas);
  term.textContent = label;
  text.textContent = "–";
  if (kind === "rate") value.insertBefore(Object.assign(document.createElement("small"), { textContent: "a second" }), canvas);
  canvas.setAttribute("aria-hidden", "true");
  $("tiles").append(box);
  return { name, kind, text, canvas, history: [] };
});

function showTiles(stats, rates) {
  for (const tile of tiles) {
    const value = tile.kind === "gauge" ? stats[tile.name] : rates && rates[tile.name];
    if (value === undefined || value === null) continue;
    tile.text.textContent = count(Math.round(value));
    tile.history.push(value);
    if (tile.history.length > minute) tile.history.shift();
    drawLine(tile);
  }
}

function drawLine({ canvas, history }) {
  const { context, width, height, scale } = fitted(canvas);
  context.clearRect(0, 0, width, height);
  const most = Math.max(1, ...history);
  const x = (place) => width - (history.length - 1 - place) * (width / (minute - 1));
  const y = (value) => height - scale - (value / most) * (height - 3 * scale);
  context.beginPath();
  history.forEach((value, place) => context.lineTo(x(place), y(value)));
  context.strokeStyle = colours.brass;
  context.lineWidth = 1.5 * scale;
  context.lineJoin = "round";
  context.stroke();
  context.lineTo(width, height);
  context.lineTo(x(0), height);
  context.globalAlpha = 0.16;
  context.fillStyle = colours.brass;
  context.fill();
  context.globalAlpha = 1;
}

// MARK: Lateness

const lateness = { seconds: 120, boundsMs: [], columns: [], last: null };

function takeLateness({ boundsMs, counts }) {
  const before = lateness.last;
  lateness.last = counts;
  lateness.boundsMs = boundsMs;
  if (!before || before.length !== counts.length) return;
  lateness.columns.push(counts.map((value, place) => Math.max(0, value - before[place])));
  if (lateness.columns.length > lateness.seconds) lateness.columns.shift();
  drawLateness();
  describeLateness();
}

/// The place of the bound that a part of all releases kept to; nil when there were none.
function quantile(counts, share) {
  const sum = counts.reduce((all, value) => all + value, 0);
  if (!sum) return null;
  let rest = Math.ceil(sum * share);
  return counts.findIndex((value) => (rest -= value) <= 0);
}

function describeLateness() {
  const all = lateness.columns.reduce((sums, column) => sums.map((value, place) => value + column[place]), lateness.last.map(() => 0));
  const within = (share) => {
    const place = quantile(all, share);
    return place < lateness.boundsMs.length ? `within ${duration(lateness.boundsMs[place])}` : `later than ${duration(lateness.boundsMs.at(-1))}`;
  };
  const sum = all.reduce((total, value) => total + value, 0);
  const text = sum ? `${plural(sum, "release")} in the last ${duration(lateness.columns.length * 1000)}: half ${within(0.5)}, 99 of 100 ${within(0.99)} of their time.` : "Nothing was released in the last two minutes.";
  if ($("lateness-text").textContent !== text) $("lateness-text").textContent = text;
}

function drawLateness() {
  const { context, width, height, scale } = fitted($("lateness"));
  context.clearRect(0, 0, width, height);
  const left = 52 * scale;
  const rows = lateness.boundsMs.length + 1;
  const rowHeight = height / rows;
  const columnWidth = (width - left) / lateness.seconds;
  context.font = `${11 * scale}px system-ui, sans-serif`;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (let row = 0; row < rows; row += 1) {
    const y = height - (row + 1) * rowHeight;
    const isPower = row < lateness.boundsMs.length && /^10*$/.test(String(lateness.boundsMs[row]));
    if (!isPower) continue;
    context.fillStyle = colours.dim;
    context.fillText(duration(lateness.boundsMs[row]), left - 8 * scale, y + rowHeight / 2);
    context.fillStyle = colours.line;
    context.fillRect(left, y + rowHeight - scale / 2, width - left, scale);
  }
  lateness.columns.forEach((column, place) => {
    const x = width - (lateness.columns.length - place) * columnWidth;
    const most = Math.log2(1 + Math.max(1, ...column));
    const late = quantile(column, 0.99);
    column.forEach((value, row) => {
      if (!value) return;
      context.fillStyle = lateness.boundsMs[row] <= 10 ? colours.brass : colours.bad;
      context.globalAlpha = 0.25 + 0.75 * Math.log2(1 + value) / most;
      context.fillRect(x, height - (row + 1) * rowHeight + scale, Math.max(scale, columnWidth - scale), rowHeight - 2 * scale);
    });
    context.globalAlpha = 1;
    if (late !== null) {
      context.fillStyle = colours.text;
      context.fillRect(x, height - (late + 1) * rowHeight, columnWidth, 1.5 * scale);
    }
  });
}

// MARK: What lies ahead

const horizons = [[1000, "1 second"], [10000, "10 seconds"], [60000, "1 minute"], [600000, "10 minutes"], [3600000, "1 hour"], [21600000, "6 hours"],
  [86400000, "1 day"], [604800000, "1 week"], [2592000000, "30 days"], [31536000000, "1 year"], [Infinity, "later"]];
const aheadRows = horizons.map(([ms, label]) => {
  const row = $("ahead").tBodies[0].insertRow();
  const head = row.insertCell();
  head.textContent = ms === Infinity ? label : `within ${label}`;
  const bar = row.insertCell().appendChild(document.createElement("span"));
  bar.className = "bar";
  return { bar, value: row.insertCell() };
});

function showAhead(overview) {
  const sums = horizons.map(() => 0);
  // What straddles a horizon is counted on both sides of it, by how much of its time lies there.
  const add = (fromMs, toMs, number) => {
    let left = Math.max(0, fromMs);
    const end = Math.max(toMs, left + 1);
    const whole = end - left;
    horizons.forEach(([ms], place) => {
      const right = Math.min(ms, end);
      if (right > left) { sums[place] += number * (right - left) / whole; left = right; }
    });
  };
  const { levels, sectors } = overview.wheel;
  for (const level of levels) {
    const widthMs = level.intervalMs / sectors;
    const now = Math.floor((overview.nowMs % level.intervalMs) / widthMs);
    for (const [slot, number] of level.slots) {
      const ahead = ((slot - now + sectors) % sectors) * widthMs;
      add(ahead, ahead + widthMs, number);
    }
  }
  for (const slice of overview.disk.slices) add(slice.startMs - overview.nowMs, slice.endMs - overview.nowMs, slice.pending);
  const most = Math.log2(1 + Math.max(1, ...sums));
  aheadRows.forEach(({ bar, value }, place) => {
    const number = Math.round(sums[place]);
    bar.style.width = `${number ? Math.max(1, 100 * Math.log2(1 + number) / most) : 0}%`;
    if (value.textContent !== count(number)) value.textContent = count(number);
  });
}

function showLevels(rings) {
  const shown = rings.map((ring) => [ring.name, duration(ring.slotMs), duration(ring.turnMs), count(ring.pending)]);
  fill($("levels").tBodies[0], shown, (cells) => cells[0], (cell, text, place, cells) => {
    if (place) return setText(cell, text);
    if (cell.firstChild) return;
    const chip = cell.appendChild(document.createElement("span"));
    chip.className = cells[0].startsWith("disk") ? "chip disk" : "chip";
    chip.setAttribute("aria-hidden", "true");
    cell.appendChild(document.createElement("span")).textContent = text;
  });
}
