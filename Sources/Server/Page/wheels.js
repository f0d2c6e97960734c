// The wheels, drawn. Each ring is a wheel: those in memory inside, the slices on disk around them. A sector is as high as it is
// full, on a scale of powers. What stands behind a hand has been moved in, or released.
//
// Between two looks the drawing goes on by itself: hands move, and what they have passed is gone. The innermost wheel turns
// faster than we look; what is in it then is drawn as the slot of the next wheel that it came from, spread evenly.

const dial = {
  canvas: $("dial"),
  rings: [],
  particles: [],
  pending: 0,
  releasedRate: 0,
  /// Server time minus `performance.now()`.
  offsetMs: 0,
  lookedMs: 0,
  isLive: false,
  /// The next frame's.
  request: 0,
};

const colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["ground", "panel", "line", "text", "dim", "brass", "steel", "bad", "good"]) colours[name] = style.getPropertyValue(`--${name}`).trim();
}

const calm = matchMedia("(prefers-reduced-motion: reduce)");
const fullTurn = 2 * Math.PI;
const slicesInTurn = 64;

const serverNow = () => performance.now() + dial.offsetMs;

/// Makes rings of what the server said.
function ringsOf(overview) {
  const rings = overview.wheel.levels.filter((level) => level.pending > 0 || level.level <= 2).map((level) => ({
    name: `wheel ${level.level}`, isDisk: false, slotMs: level.tickMs, turnMs: level.intervalMs, pending: level.pending,
    size: overview.wheel.sectors, slots: level.slots,
  }));
  const byLevel = new Map();
  for (const slice of overview.disk.slices) {
    if (!byLevel.has(slice.level)) byLevel.set(slice.level, []);
    byLevel.get(slice.level).push(slice);
  }
  for (const [level, slices] of byLevel) {
    const widthMs = Math.max(...slices.map((slice) => slice.endMs - slice.startMs));
    rings.push({
      name: `disk ${level + 1}`, isDisk: true, slotMs: widthMs, turnMs: widthMs * slicesInTurn,
      pending: slices.reduce((sum, slice) => sum + slice.pending, 0), size: slicesInTurn,
      slots: slices.map((slice) => [Math.floor(slice.startMs / widthMs) % slicesInTurn, slice.pending]),
    });
  }
  return rings;
}

const part = (nowMs, ring) => (nowMs % ring.turnMs) / ring.turnMs;

/// Lays the rings out, and makes the path of each ring's sectors once a look.
function layOut(rings) {
  const inner = 0.2;
  const step = (0.97 - inner) / Math.max(rings.length, 3);
  rings.forEach((ring, place) => {
    ring.inner = inner + place * step;
    ring.outer = ring.inner + step * 0.84;
    const most = Math.log2(1 + Math.max(1, ...ring.slots.map(([, number]) => number)));
    ring.height = (number) => (ring.outer - ring.inner) * (0.16 + 0.84 * Math.log2(1 + number) / Math.max(most, 3));
    ring.path = new Path2D();
    // Where there is room, sectors stand apart.
    const gap = ring.size > 128 ? 0 : 0.06;
    for (const [slot, number] of ring.slots) {
      const from = ((slot + gap) / ring.size) * fullTurn;
      const to = ((slot + 1 - gap) / ring.size) * fullTurn;
      const sector = new Path2D();
      sector.arc(0, 0, ring.inner, from, to);
      sector.arc(0, 0, ring.inner + ring.height(number), to, from, true);
      sector.closePath();
      ring.path.addPath(sector);
    }
  });
  return rings;
}

// MARK: Motion

function spawn(from, to, number, colour, lastsMs, spread) {
  if (calm.matches || document.hidden) return;
  const nowMs = performance.now();
  for (let each = 0; each < number && dial.particles.length < 220; each += 1) {
    dial.particles.push({
      fromTurn: from.turn + (Math.random() - 0.5) * 0.02, from: from.radius, toTurn: to.turn + (Math.random() - 0.5) * spread, to: to.radius,
      colour, startMs: nowMs + Math.random() * lastsMs * 0.6, lastsMs,
    });
  }
}

/// Takes a look into the drawing, and sets messages moving that have moved since the last one.
function showWheels(overview, sinceLast) {
  const rings = layOut(ringsOf(overview));
  const disk = rings.findIndex((ring) => ring.isDisk);
  if (disk > 0 && sinceLast && sinceLast.demoted > 0) {
    const moving = overview.disk.slices.find((slice) => slice.moving);
    const at = moving ? ((Math.floor(moving.startMs / (moving.endMs - moving.startMs)) % slicesInTurn) + 0.5) / slicesInTurn : part(overview.nowMs, rings[disk]) + 1 / slicesInTurn;
    const target = rings[disk - 1];
    spawn({ turn: at, radius: rings[disk].inner }, { turn: at, radius: (target.inner + target.outer) / 2 }, Math.min(60, 6 + Math.log2(sinceLast.demoted) * 4), "steel", 900, 0.9);
  }
  dial.rings = rings;
  dial.pending = overview.stats.pending;
  dial.lookedMs = overview.nowMs;
  dial.releasedRate = sinceLast ? sinceLast.released : 0;
  dial.canvas.setAttribute("aria-label", `The timing wheels: ${plural(dial.pending, "message")} pending, ${count(overview.stats.pendingOnDisk)} of them on disk`);
}

/// Passing from one slot of a wheel to the next moves its messages in.
function moveIn(nowMs, beforeMs) {
  for (let place = 1; place < dial.rings.length; place += 1) {
    const ring = dial.rings[place];
    const slot = Math.floor(nowMs / ring.slotMs);
    if (slot === Math.floor(beforeMs / ring.slotMs)) continue;
    const sector = Math.floor(part(nowMs, ring) * ring.size);
    const found = ring.slots.find(([number]) => number === sector);
    if (!found) continue;
    const turn = part(nowMs, ring);
    const target = dial.rings[place - 1];
    if (!ring.isDisk) spawn({ turn, radius: ring.inner }, { turn: 0.5, radius: target.inner }, Math.min(26, 3 + Math.log2(1 + found[1]) * 3), "brass", 420, 1);
  }
  const inner = dial.rings[0];
  const expected = Math.min(dial.releasedRate, 45) * (nowMs - beforeMs) / 1000;
  if (inner && Math.random() < expected) {
    const turn = part(nowMs, inner);
    spawn({ turn, radius: inner.inner }, { turn, radius: 0.06 }, 1 + Math.floor(expected), "good", 300, 0.02);
  }
}

// MARK: Drawing

let lastFrameMs = 0;
function frame(timeMs) {
  if (calm.matches) { stopDrawing(); return draw(dial.lookedMs); }
  dial.request = requestAnimationFrame(frame);
  // Thirty frames a second are smooth enough, and half the work.
  if (timeMs - lastFrameMs < 32) return;
  const nowMs = serverNow();
  if (lastFrameMs && timeMs - lastFrameMs < 500) moveIn(nowMs, nowMs - (timeMs - lastFrameMs));
  lastFrameMs = timeMs;
  draw(nowMs);
}

function fitted(canvas) {
  const scale = Math.min(devicePixelRatio || 1, 2);
  const width = Math.round(canvas.clientWidth * scale);
  const height = Math.round(canvas.clientHeight * scale);
  if (canvas.width !== width || canvas.height !== height) { canvas.width = width; canvas.height = height; }
  return { context: canvas.getContext("2d"), width, height, scale };
}

function draw(nowMs) {
  const { context, width, scale } = fitted(dial.canvas);
  if (!width) return;
  const radius = width / 2;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, width);
  context.setTransform(0, -radius, radius, 0, radius, radius);
  dial.rings.forEach((ring, place) => drawRing(context, ring, dial.rings[place + 1], nowMs, 1 / radius * scale));
  drawParticles(context, 1.7 * scale / radius);
  context.setTransform(1, 0, 0, 1, radius, radius);
  drawMiddle(context, radius);
}

function drawRing(context, ring, next, nowMs, pixel) {
  const colour = ring.isDisk ? colours.steel : colours.brass;
  context.lineWidth = pixel;
  context.strokeStyle = colours.line;
  context.fillStyle = `${colour}0d`;
  context.beginPath();
  context.arc(0, 0, ring.outer, 0, fullTurn);
  context.arc(0, 0, ring.inner, 0, fullTurn, true);
  context.fill();
  for (const edge of [ring.inner, ring.outer]) { context.beginPath(); context.arc(0, 0, edge, 0, fullTurn); context.stroke(); }
  // Teeth, as many as are readable.
  const teeth = ring.isDisk ? slicesInTurn : 60;
  context.beginPath();
  for (let tooth = 0; tooth < teeth; tooth += 1) {
    const angle = (tooth / teeth) * fullTurn;
    const depth = tooth % (teeth / 4) === 0 ? 0.022 : 0.009;
    context.moveTo(Math.cos(angle) * ring.outer, Math.sin(angle) * ring.outer);
    context.lineTo(Math.cos(angle) * (ring.outer + depth), Math.sin(angle) * (ring.outer + depth));
  }
  context.stroke();

  const hand = part(nowMs, ring) * fullTurn;
  const passed = nowMs - dial.lookedMs;
  context.fillStyle = colour;
  if (passed < ring.turnMs * 0.98 || calm.matches) {
    const from = (calm.matches ? 0 : passed) / ring.turnMs * fullTurn;
    context.save();
    context.beginPath();
    context.moveTo(0, 0);
    context.arc(0, 0, 1.1, hand, hand - from + fullTurn);
    context.closePath();
    context.clip();
    // Brighter from the rim of the wheel outward.
    const shade = context.createRadialGradient(0, 0, ring.inner, 0, 0, ring.outer);
    shade.addColorStop(0, `${colour}88`);
    shade.addColorStop(1, colour);
    context.fillStyle = shade;
    context.fill(ring.path);
    context.restore();
  }
  if (next && !next.isDisk && passed >= ring.turnMs * 0.5) drawSpread(context, ring, next, nowMs, hand);

  // The hand, with the light it leaves behind.
  const trail = Math.min(0.6, 0.12 + 400 / ring.turnMs);
  if (context.createConicGradient) {
    const light = context.createConicGradient(hand - trail, 0, 0);
    light.addColorStop(0, "transparent");
    light.addColorStop(trail / fullTurn, colour);
    light.addColorStop(Math.min(1, trail / fullTurn + 0.0001), "transparent");
    context.globalAlpha = 0.28;
    context.fillStyle = light;
    context.beginPath();
    context.arc(0, 0, ring.outer, hand - trail, hand);
    context.arc(0, 0, ring.inner, hand, hand - trail, true);
    context.fill();
  }
  context.globalAlpha = 1;
  context.strokeStyle = colours.text;
  context.lineWidth = 1.6 * pixel;
  context.beginPath();
  context.moveTo(Math.cos(hand) * (ring.inner - 0.006), Math.sin(hand) * (ring.inner - 0.006));
  context.lineTo(Math.cos(hand) * (ring.outer + 0.012), Math.sin(hand) * (ring.outer + 0.012));
  context.stroke();
}

/// What a slot of the next wheel has brought in, spread evenly over what is left of this turn.
function drawSpread(context, ring, next, nowMs, hand) {
  const sector = Math.floor(part(nowMs, next) * next.size);
  const found = next.slots.find(([number]) => number === sector);
  if (!found) return;
  const height = ring.height(found[1] / ring.size);
  context.globalAlpha = 0.5;
  context.beginPath();
  context.arc(0, 0, ring.inner, hand, fullTurn);
  context.arc(0, 0, ring.inner + height, fullTurn, hand, true);
  context.fill();
  context.globalAlpha = 1;
}

function drawParticles(context, size) {
  const nowMs = performance.now();
  dial.particles = dial.particles.filter((one) => nowMs < one.startMs + one.lastsMs);
  for (const one of dial.particles) {
    const time = (nowMs - one.startMs) / one.lastsMs;
    if (time < 0) continue;
    const eased = time * time * (3 - 2 * time);
    const angle = (one.fromTurn + (one.toTurn - one.fromTurn) * eased) * fullTurn;
    const radius = one.from + (one.to - one.from) * eased;
    context.globalAlpha = Math.sin(Math.PI * Math.min(1, time + 0.15));
    context.fillStyle = colours[one.colour];
    context.beginPath();
    context.arc(Math.cos(angle) * radius, Math.sin(angle) * radius, size, 0, fullTurn);
    context.fill();
  }
  context.globalAlpha = 1;
}

function drawMiddle(context, radius) {
  context.textAlign = "center";
  context.fillStyle = colours.text;
  context.font = `650 ${Math.round(radius * 0.082)}px system-ui, sans-serif`;
  context.fillText(dial.pending < 10000 ? numbers.format(dial.pending) : shortNumbers.format(dial.pending), 0, radius * 0.012);
  context.fillStyle = colours.dim;
  context.font = `${Math.round(radius * 0.04)}px system-ui, sans-serif`;
  context.fillText("pending", 0, radius * 0.075);
}

/// Draws once where nothing moves, or begins to move.
function startDrawing() {
  if (calm.matches) return draw(dial.lookedMs);
  if (dial.isLive) return;
  dial.isLive = true;
  lastFrameMs = 0;
  dial.request = requestAnimationFrame(frame);
}

function stopDrawing() {
  dial.isLive = false;
  cancelAnimationFrame(dial.request);
}
