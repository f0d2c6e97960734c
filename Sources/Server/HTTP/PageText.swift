// swift-format-ignore-file
// The page at `/`, made by Page/build.py of the files in Page. Do not change it here.
//
// Holds: the policy lets nothing run, and nothing be fetched, but this very style and script, and requests to this server.

/// The page that shows the server to people.
enum PageText {
  /// What browsers are told that the page may do.
  static let policy: StaticString = "default-src 'none'; script-src 'sha256-k8LneQ5b6uMXLDZTPwu6VTm8NgX4nOxSLhlVkEYZ/m4='; style-src 'sha256-wX2nvtcSPpNpi/PqKK1OE4mct6nkBbF41g54/Ay4RMM='; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

  /// The page.
  static let html: StaticString = #"""
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
<title>Escapement</title>
<link rel="icon" href="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Ccircle cx='16' cy='16' r='13' fill='none' stroke='%23d9a441' stroke-width='4' stroke-dasharray='4 2.8'/%3E%3Ccircle cx='16' cy='16' r='7' fill='none' stroke='%235fa8d3' stroke-width='3' stroke-dasharray='3 1.4'/%3E%3C/svg%3E">
<style>:root {
  color-scheme: dark;
  --ground: #0b0e13; --panel: #12171f; --line: #232c39; --text: #e9edf4; --dim: #9aa6b8;
  --brass: #e0ab45; --steel: #66b0dc; --good: #6fcf8f; --bad: #ff8077; --on-accent: #14100a;
  --field: #0b0f15; --shadow: 0 1px 0 #ffffff0a inset, 0 12px 30px #00000055;
}
:root[data-theme="light"] {
  color-scheme: light;
  --ground: #f3efe7; --panel: #fffdf8; --line: #ded6c6; --text: #1c2430; --dim: #596374;
  --brass: #8f5d05; --steel: #1b6a97; --good: #1f7a3f; --bad: #b3261e; --on-accent: #fffdf8;
  --field: #fbf8f1; --shadow: 0 8px 24px #6b5a3a1f;
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--text);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  padding: 0 max(16px, calc(50vw - 720px)) 40px;
}
code, pre, textarea, td.name, .mono { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; font-size: .92em; }
h1 { font-size: 1.25rem; margin: 0; letter-spacing: .01em; font-weight: 650; }
h2 { font-size: .82rem; margin: 0 0 12px; font-weight: 650; letter-spacing: .07em; text-transform: uppercase; color: var(--dim); }
p { margin: 0; }
.dim { color: var(--dim); }
.note { font-size: .86rem; margin-top: 10px; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip { position: absolute; left: 16px; top: -60px; background: var(--brass); color: var(--on-accent); padding: 8px 14px; border-radius: 0 0 8px 8px; z-index: 2; }
.skip:focus { top: 0; }
:focus-visible { outline: 2px solid var(--brass); outline-offset: 2px; border-radius: 4px; }
main:focus { outline: none; }

header { display: flex; flex-wrap: wrap; align-items: center; gap: 6px 14px; padding: 16px 0; }
.logo { width: 30px; height: 30px; fill: none; }
.logo .outer { stroke: var(--brass); stroke-width: 4; stroke-dasharray: 4 2.8; }
.logo .inner { stroke: var(--steel); stroke-width: 3; stroke-dasharray: 3 1.4; }
#connection { display: flex; align-items: center; gap: 8px; margin-left: auto; }
.lamp { width: 9px; height: 9px; border-radius: 50%; background: var(--dim); }
[data-state="live"] .lamp { background: var(--good); box-shadow: 0 0 8px var(--good); }
[data-state="lost"] .lamp { background: var(--bad); box-shadow: 0 0 8px var(--bad); }
nav { display: flex; gap: 8px; }

.panel { background: var(--panel); border: 1px solid var(--line); border-radius: 14px; padding: 18px 20px; box-shadow: var(--shadow); min-width: 0; }
main { display: grid; gap: 16px; grid-template-columns: repeat(12, minmax(0, 1fr)); align-items: start; }
main > * { grid-column: span 12; min-width: 0; }
.side { display: grid; gap: 16px; }
.wheels canvas { display: block; width: 100%; max-width: 660px; aspect-ratio: 1; margin: 0 auto 14px; }
@media (min-width: 980px) {
  main > .wheels { grid-column: 1 / span 6; }
  main > .side { grid-column: 7 / span 6; }
  main > #s-find, main > #s-schedule { grid-column: span 6; align-self: stretch; }
}
#tiles { display: grid; gap: 10px; grid-template-columns: repeat(4, minmax(0, 1fr)); margin: 0; }
#tiles div { background: var(--panel); border: 1px solid var(--line); border-radius: 12px; padding: 10px 12px 8px; min-width: 0; }
dt { font-size: .78rem; color: var(--dim); white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
dd { margin: 0; font-size: 1.36rem; font-weight: 600; font-variant-numeric: tabular-nums; line-height: 1.3; }
#tiles canvas { display: block; width: 100%; height: 26px; }
dd small { font-size: .8rem; font-weight: 400; color: var(--dim); margin-left: 3px; }
#lateness { display: block; width: 100%; height: 168px; }

table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 500; font-size: .8rem; color: var(--dim); padding: 4px 8px; white-space: nowrap; }
td { text-align: right; padding: 4px 8px; border-top: 1px solid var(--line); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th:last-child, td:last-child { padding-right: 0; }
tr.group td:first-child { padding-left: 20px; }
tr.group td { border-top-color: transparent; color: var(--dim); }
td .late { color: var(--bad); font-weight: 600; }
td.text { text-align: left; white-space: normal; overflow-wrap: anywhere; min-width: 160px; }
.scroll { overflow-x: auto; max-height: 420px; overflow-y: auto; }
.pair { display: grid; gap: 24px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); }
.chip { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 8px; background: var(--brass); }
.chip.disk { background: var(--steel); }
#ahead td { border: 0; padding: 3px 0 3px 12px; }
#ahead td:first-child { padding-left: 0; color: var(--dim); }
#ahead td:nth-child(2) { width: 66%; }
.bar { display: block; height: 14px; border-radius: 4px; background: linear-gradient(90deg, var(--steel), var(--brass)); width: 0; }
td:first-child { max-width: 340px; overflow: hidden; text-overflow: ellipsis; }

button, input, select, textarea { font: inherit; color: inherit; }
button { background: var(--field); border: 1px solid var(--line); border-radius: 8px; padding: 7px 14px; cursor: pointer; min-height: 36px; }
button:hover:not(:disabled) { border-color: var(--brass); }
button:disabled { opacity: .5; cursor: default; }
form button:not([type]) { background: var(--brass); border-color: var(--brass); color: var(--on-accent); font-weight: 600; }
button.danger { color: var(--bad); }
button.link { background: none; border: 0; padding: 2px 0; min-height: 0; text-align: left; color: var(--steel); cursor: pointer; text-decoration: underline; text-decoration-color: transparent; }
button.link:hover { text-decoration-color: currentcolor; }
input, select, textarea { background: var(--field); border: 1px solid var(--line); border-radius: 8px; padding: 7px 10px; width: 100%; min-height: 36px; }
textarea { resize: vertical; }
::placeholder { color: var(--dim); opacity: .85; }
form { display: flex; flex-wrap: wrap; gap: 10px; align-items: end; }
form label { flex: 1 1 180px; font-size: .82rem; color: var(--dim); display: grid; gap: 3px; }
form label.full { flex-basis: 100%; }
form label > * { color: var(--text); font-size: .95rem; }
form[hidden] { display: none; }
.who { margin-bottom: 16px; }
.who p { flex-basis: 100%; color: var(--dim); }
.said { min-height: 1.45em; margin: 10px 0 4px; }
.said.bad { color: var(--bad); }
.said.good { color: var(--good); }
#found dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 4px 14px; margin: 6px 0 14px; }
#found dd { font-size: inherit; font-weight: 400; overflow-wrap: anywhere; }
pre { margin: 0; max-height: 220px; overflow: auto; background: var(--field); border: 1px solid var(--line); border-radius: 8px; padding: 8px 10px; white-space: pre-wrap; overflow-wrap: anywhere; }
#found table { margin-bottom: 12px; }
@media (max-width: 620px) {
  body { padding: 0 10px 30px; }
  header { padding: 12px 4px; }
  #server { display: none; }
  nav { width: 100%; }
  nav button { flex: 1; }
  .panel { padding: 14px; }
  th, td { padding-left: 4px; padding-right: 4px; }
  #levels { font-size: .9rem; }
  #tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
</style>
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header>
  <svg class="logo" viewBox="0 0 32 32" aria-hidden="true"><circle class="outer" cx="16" cy="16" r="13"/><circle class="inner" cx="16" cy="16" r="7"/></svg>
  <h1>Escapement</h1>
  <p id="server" class="dim"></p>
  <p id="connection" role="status"><span class="lamp" aria-hidden="true"></span><span id="connection-text">connecting</span></p>
  <nav aria-label="View">
    <button id="pause" type="button" aria-pressed="false">Pause</button>
    <button id="theme" type="button">Light</button>
    <button id="sign-in" type="button" aria-expanded="false" aria-controls="who">Sign in</button>
  </nav>
</header>
<form id="who" class="panel who" hidden aria-label="Sign in">
  <p id="who-why">The server asks who you are: a name and secret made by <code>escapement access add</code>, or a token without a name.</p>
  <label>Name <input name="name" autocomplete="username" spellcheck="false"></label>
  <label>Secret <input name="secret" type="password" autocomplete="current-password" required></label>
  <button>Sign in</button> <button type="button" id="sign-out">Sign out</button>
</form>
<main id="main" tabindex="-1">
  <section id="s-wheels" class="panel wheels" aria-labelledby="h-wheels">
    <h2 id="h-wheels">The wheels</h2>
    <canvas id="dial" role="img" aria-label="The timing wheels" aria-describedby="levels"></canvas>
    <table id="levels">
      <caption class="hidden">Wheels, the finest first: in memory, then on disk</caption>
      <thead><tr><th scope="col">wheel</th><th scope="col">slot</th><th scope="col">turn</th><th scope="col">messages</th></tr></thead>
      <tbody></tbody>
    </table>
    <p class="dim note">Messages far ahead lie in slices on disk, the outer wheels; each time a hand reaches a slot, what is in it moves one wheel in. From the innermost it is released.</p>
  </section>
  <div class="side">
  <section id="s-numbers" class="numbers" aria-labelledby="h-numbers"><h2 id="h-numbers" class="hidden">Numbers</h2><dl id="tiles"></dl></section>
  <section id="s-lateness" class="panel" aria-labelledby="h-lateness">
    <h2 id="h-lateness">Lateness</h2>
    <canvas id="lateness" role="img" aria-labelledby="h-lateness" aria-describedby="lateness-text"></canvas>
    <p id="lateness-text" class="dim note">Nothing was released yet.</p>
  </section>
  <section id="s-ahead" class="panel" aria-labelledby="h-ahead">
    <h2 id="h-ahead">What lies ahead</h2>
    <table id="ahead"><caption class="hidden">Pending messages by how far ahead they are due</caption><tbody></tbody></table>
  </section>
  </div>
  <section id="s-topics" class="panel wide" aria-labelledby="h-topics">
    <h2 id="h-topics">Topics and groups</h2>
    <div class="scroll" tabindex="0" role="group" aria-labelledby="h-topics"><table id="topics">
      <thead><tr><th scope="col">topic, group</th><th scope="col">pending</th><th scope="col">released</th><th scope="col">lag</th><th scope="col">in flight</th><th scope="col">members</th><th scope="col">bytes</th></tr></thead>
      <tbody></tbody>
    </table></div>
    <p id="topics-more" class="dim note" hidden>There are more; <code>escapement topics</code> shows all.</p>
  </section>
  <section id="s-queues" class="panel wide" aria-labelledby="h-queues" hidden>
    <h2 id="h-queues">Queues and exchanges</h2>
    <div class="pair">
      <div class="scroll" tabindex="0" role="group" aria-label="Queues"><table id="queues">
        <thead><tr><th scope="col">queue</th><th scope="col">ready</th><th scope="col">unacknowledged</th><th scope="col">expiring</th><th scope="col">consumers</th></tr></thead>
        <tbody></tbody>
      </table></div>
      <div class="scroll" tabindex="0" role="group" aria-label="Exchanges"><table id="exchanges">
        <thead><tr><th scope="col">exchange</th><th scope="col">type</th><th scope="col">pending</th></tr></thead>
        <tbody></tbody>
      </table></div>
    </div>
  </section>
  <section id="s-find" class="panel" aria-labelledby="h-find">
    <h2 id="h-find">Find a message</h2>
    <form id="find" aria-label="Find">
      <label>Topic <input name="topic" list="topic-names" required maxlength="261" autocomplete="off" spellcheck="false"></label>
      <label>Id <input name="id" maxlength="128" autocomplete="off" spellcheck="false" placeholder="empty: what is due next"></label>
      <button>Find</button>
    </form>
    <p id="find-said" class="said" role="status"></p>
    <div id="found"></div>
    <form id="change" hidden aria-label="Change the message">
      <label>New time <input name="when" placeholder="30m, or 2030-01-31T08:00" autocomplete="off" spellcheck="false"></label>
      <button>Reschedule</button>
      <button type="button" id="cancel" class="danger">Cancel the message</button>
    </form>
  </section>
  <section id="s-schedule" class="panel" aria-labelledby="h-schedule">
    <h2 id="h-schedule">Schedule a message</h2>
    <form id="schedule" aria-label="Schedule">
      <label>Topic <input name="topic" list="topic-names" required maxlength="128" pattern="[A-Za-z0-9._\-]+" autocomplete="off" spellcheck="false"></label>
      <label>When <input name="when" required placeholder="5s, 1h30m, or 2030-01-31T08:00" autocomplete="off" spellcheck="false"></label>
      <label>Id <input name="id" maxlength="128" autocomplete="off" spellcheck="false" placeholder="empty: the server makes one"></label>
      <label>Key <input name="key" maxlength="256" autocomplete="off" spellcheck="false"></label>
      <label>Tag <input name="tag" maxlength="128" autocomplete="off" spellcheck="false"></label>
      <label class="full">Body, JSON <textarea name="body" rows="3" spellcheck="false">{"order":1}</textarea></label>
      <button>Schedule</button>
    </form>
    <p id="schedule-said" class="said" role="status"></p>
  </section>
  <section id="s-dead" class="panel wide" aria-labelledby="h-dead">
    <h2 id="h-dead">Dead letters</h2>
    <form id="dead" aria-label="Dead letters">
      <label>Dead letters of <select name="topic"><option value="">nobody has any</option></select></label>
      <button>Look</button>
      <button type="button" id="redrive" disabled>Redrive</button>
    </form>
    <p id="dead-said" class="said" role="status"></p>
    <div class="scroll" tabindex="0" role="group" aria-labelledby="h-dead"><table id="letters" hidden>
      <thead><tr><th scope="col">offset</th><th scope="col">id</th><th scope="col">dead since</th><th scope="col">attempts</th><th scope="col">reason</th><th scope="col">body</th></tr></thead>
      <tbody></tbody>
    </table></div>
  </section>
  <datalist id="topic-names"></datalist>
</main>
<noscript><p class="panel">This page needs JavaScript. <code>escapement top</code> shows the same at a terminal.</p></noscript>
<script>"use strict";
// Talking to the server: one operation of the line protocol a request, with whoever has signed in.

const $ = (id) => document.getElementById(id);

const who = {
  get shown() { return sessionStorage.getItem("who") || ""; },
  set shown(value) { value ? sessionStorage.setItem("who", value) : sessionStorage.removeItem("who"); },
};

class Refused extends Error {
  constructor(code, message) { super(message); this.code = code; }
}

/// Sends a request, given as JSON text, and gives the reply, and its text as it came.
async function askText(text) {
  const headers = { "Content-Type": "application/json" };
  if (who.shown) headers.Authorization = "Bearer " + who.shown;
  const response = await fetch("/v1", { method: "POST", body: text, headers, cache: "no-store", credentials: "omit" });
  const replyText = await response.text();
  const reply = JSON.parse(replyText);
  if (!reply.ok) {
    if (reply.error === "unauthenticated") askWho(who.shown ? "That name and secret are not good." : "");
    throw new Refused(reply.error, reply.message);
  }
  return { reply, replyText };
}

const ask = async (op, fields = {}) => (await askText(JSON.stringify({ op, ...fields }))).reply;

// MARK: Who

function askWho(why) {
  const form = $("who");
  if (why) $("who-why").textContent = why;
  if (!form.hidden) return;
  form.hidden = false;
  $("sign-in").setAttribute("aria-expanded", "true");
  form.elements.name.focus();
}

$("sign-in").addEventListener("click", () => {
  const form = $("who");
  form.hidden = !form.hidden;
  $("sign-in").setAttribute("aria-expanded", String(!form.hidden));
  if (!form.hidden) form.elements.name.focus();
});

$("who").addEventListener("submit", (event) => {
  event.preventDefault();
  const { name, secret } = event.target.elements;
  who.shown = name.value ? `${name.value}:${secret.value}` : secret.value;
  secret.value = "";
  $("who").hidden = true;
  $("sign-in").setAttribute("aria-expanded", "false");
  $("main").focus();
  lookNow();
});

$("sign-out").addEventListener("click", () => {
  who.shown = "";
  lookNow();
});

// MARK: Words

const numbers = new Intl.NumberFormat("en");
const shortNumbers = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const count = (value) => (value < 100000 ? numbers.format(value) : shortNumbers.format(value));
const plural = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

const units = [["y", 31536000000], ["d", 86400000], ["h", 3600000], ["m", 60000], ["s", 1000], ["ms", 1]];

/// A length of time in its two largest units.
function duration(ms) {
  if (ms > 1e15) return "for ever";
  let rest = Math.round(Math.abs(ms));
  const parts = [];
  for (const [name, unitMs] of units) {
    if (rest >= unitMs && parts.length < 2) parts.push(`${Math.floor(rest / unitMs)} ${name}`);
    rest %= unitMs;
  }
  return parts.join(" ") || "0 ms";
}

const bytes = (value) => {
  const names = ["B", "KiB", "MiB", "GiB", "TiB"];
  let place = 0;
  while (value >= 1024 && place < 4) { value /= 1024; place += 1; }
  return `${value < 10 && place ? value.toFixed(1) : Math.round(value)} ${names[place]}`;
};

const moment = (ms) => new Date(ms).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });

/// The fields that say a time: `30m` and `1h30m` are delays, anything else a date.
function timeFields(text) {
  const words = text.trim();
  if (/^\d+$/.test(words)) return { delayMs: Number(words) * 1000 };
  if (/^(\d+(ms|[smhd]))+$/.test(words)) {
    let ms = 0;
    for (const [, number, unit] of words.matchAll(/(\d+)(ms|[smhd])/g)) ms += Number(number) * units.find(([name]) => name === unit)[1];
    return { delayMs: ms };
  }
  const at = Date.parse(words);
  if (Number.isNaN(at)) throw new Error(`“${words}” is no time: write 5s, 30m, 1h30m, or a date such as 2030-01-31T08:00`);
  return { deliverAtMs: at };
}

/// Says what became of something, where a screen reader hears it.
function say(place, text, isGood) {
  const element = $(place);
  element.textContent = text;
  element.className = `said ${isGood === undefined ? "" : isGood ? "good" : "bad"}`;
}

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

// Single messages: find, cancel, reschedule, schedule; dead letters and their way back.

/// A body as people read it. Numbers keep the digits they came with, where the browser can.
function bodyText(replyText, pick) {
  const exact = (_, value, context) => (typeof value === "number" && context && JSON.rawJSON ? JSON.rawJSON(context.source) : value);
  const message = pick(JSON.parse(replyText, exact));
  if (message.bodyBase64 !== undefined) return `${message.bodyBase64} (bytes, in Base64)`;
  return JSON.stringify(message.body, null, 2);
}

const found = { topic: "", id: "" };

function findIn(topic) {
  const form = $("find");
  form.elements.topic.value = topic;
  form.elements.id.value = "";
  form.scrollIntoView({ block: "center", behavior: calm.matches ? "auto" : "smooth" });
  form.elements.id.focus({ preventScroll: true });
  form.requestSubmit();
}

$("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const { topic, id } = event.target.elements;
  look(topic.value.trim(), id.value);
});

async function look(topic, id) {
  $("found").replaceChildren();
  $("change").hidden = true;
  await attempt("find-said", async () => (id ? showMessage(topic, id) : showNext(topic)));
}

/// Does something that may be refused, and says why it was.
async function attempt(place, body) {
  try { await body(); } catch (error) { say(place, error.message, false); }
}

async function showMessage(topic, id) {
  const { reply, replyText } = await askText(JSON.stringify({ op: "get", topic, id }));
  if (reply.state !== "pending") {
    const fates = { released: `It was released, as offset ${reply.offset} of its topic.`, cancelled: "It was cancelled.", unknown: "There is no such message: it never was, or it was released or cancelled a while ago." };
    return say("find-said", fates[reply.state]);
  }
  Object.assign(found, { topic, id });
  const facts = [["id", id], ["due", `${moment(reply.deliverAtMs)}, in ${duration(reply.deliverAtMs - serverNow())}`], ["scheduled", moment(reply.scheduledAtMs)]];
  for (const name of ["key", "tag"]) if (reply[name] !== undefined) facts.push([name, reply[name]]);
  for (const [name, value] of Object.entries(reply.headers || {})) facts.push([name, value]);
  const list = document.createElement("dl");
  for (const [name, value] of facts) {
    list.append(Object.assign(document.createElement("dt"), { textContent: name }), Object.assign(document.createElement("dd"), { textContent: value }));
  }
  const body = Object.assign(document.createElement("pre"), { textContent: bodyText(replyText, (all) => all), tabIndex: 0 });
  body.setAttribute("aria-label", "Body");
  $("found").replaceChildren(list, body);
  $("change").hidden = false;
  say("find-said", "It is pending.");
}

async function showNext(topic) {
  const { messages, cursor } = await ask("list", { topic, limit: 10 });
  if (!messages.length) return say("find-said", `Nothing is pending in ${topic}.`);
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const name of ["id", "due", "in"]) head.append(Object.assign(document.createElement("th"), { textContent: name, scope: "col" }));
  const rows = messages.map((message) => [message.id, moment(message.deliverAtMs), duration(Math.max(0, message.deliverAtMs - serverNow()))]);
  fill(table.createTBody(), rows, (row) => row[0], (cell, text, column) => {
    if (column) return setText(cell, text);
    link(cell, text, (id) => { $("find").elements.id.value = id; look(topic, id); });
  });
  $("found").replaceChildren(table);
  say("find-said", cursor ? "These are due next." : `${plural(messages.length, "message")} pending.`);
}

$("change").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt("find-said", async () => {
    const { outcome } = await ask("reschedule", { ...found, ...timeFields(event.target.elements.when.value) });
    if (outcome === "rescheduled") await showMessage(found.topic, found.id);
    say("find-said", { rescheduled: "It has its new time.", released: "Too late: it was released.", unknown: "It is not pending any more." }[outcome], outcome === "rescheduled");
  });
});

$("cancel").addEventListener("click", () => attempt("find-said", async () => {
  const { outcome } = await ask("cancel", found);
  $("found").replaceChildren();
  $("change").hidden = true;
  say("find-said", { cancelled: "It is cancelled and will never be released.", released: "Too late: it was released.", unknown: "It is not pending any more." }[outcome], outcome === "cancelled");
  $("find").elements.id.focus();
}));

// MARK: Schedule

$("schedule").addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = event.target.elements;
  attempt("schedule-said", async () => {
    const request = { op: "schedule", topic: fields.topic.value.trim(), ...timeFields(fields.when.value) };
    for (const name of ["id", "key", "tag"]) if (fields[name].value) request[name] = fields[name].value;
    const body = fields.body.value.trim() || "null";
    try { JSON.parse(body); } catch (error) { throw new Error(`The body is no JSON: ${error.message}. Text needs quotation marks.`); }
    // The body goes as it was typed: its numbers would not all survive being read and written.
    const { reply } = await askText(`${JSON.stringify(request).slice(0, -1)},"body":${body}}`);
    const outcomes = { scheduled: `Scheduled as ${reply.id}, due ${moment(reply.deliverAtMs)}.`, kept: `${reply.id} is pending already, due ${moment(reply.deliverAtMs)}; nothing changed.`, released: `${reply.id} was released a short while ago; nothing was scheduled.` };
    say("schedule-said", outcomes[reply.outcome] || reply.outcome, reply.outcome === "scheduled");
    $("find").elements.topic.value = request.topic;
    $("find").elements.id.value = reply.id;
  });
});

// MARK: Dead letters

const dead = { topics: new Map(), origin: null };

function showDeadTopics(topics) {
  dead.topics = new Map(topics.filter((topic) => topic.topic.endsWith(".dlq")).map((topic) => {
    const again = topic.groups.find((group) => group.group === "redrive");
    return [topic.topic, { first: Math.max(topic.firstOffset, again ? again.committed : 0), next: topic.nextOffset }];
  }));
  const select = $("dead").elements.topic;
  const rows = [...dead.topics].map(([name, { first, next }]) => [name, `${name.slice(0, -4)} (${count(next - first)})`]);
  if (JSON.stringify(rows) === select.dataset.rows) return;
  select.dataset.rows = JSON.stringify(rows);
  const chosen = select.value;
  const options = rows.map(([value, textContent]) => Object.assign(document.createElement("option"), { value, textContent }));
  select.replaceChildren(...(options.length ? options : [Object.assign(document.createElement("option"), { value: "", textContent: "nobody has any" })]));
  if (dead.topics.has(chosen)) select.value = chosen;
}

$("dead").addEventListener("submit", (event) => {
  event.preventDefault();
  attempt("dead-said", showLetters);
});

async function showLetters() {
  const name = $("dead").elements.topic.value;
  const range = dead.topics.get(name);
  dead.origin = null;
  disarm();
  $("letters").hidden = true;
  if (!range) return say("dead-said", "There are no dead letters.");
  const { reply, replyText } = await askText(JSON.stringify({ op: "read", topic: name, offset: range.first, limit: 20 }));
  if (!reply.messages.length) return say("dead-said", "All of them were put back.");
  const rows = reply.messages.map((message, place) => {
    const headers = message.headers || {};
    return [count(message.offset), message.id, moment(message.releasedAtMs), headers["x-attempts"] || "", headers["x-reason"] || "", bodyText(replyText, (all) => all.messages[place])];
  });
  fill($("letters").tBodies[0], rows, (row) => row[0], (cell, text, column) => {
    if (column === 5) { cell.className = "text"; cell.replaceChildren(Object.assign(document.createElement("code"), { textContent: text })); } else setText(cell, text);
  });
  $("letters").hidden = false;
  const { "x-origin-topic": topic, "x-group": group } = reply.messages[0].headers || {};
  const rest = range.next - range.first;
  if (topic && group) dead.origin = { topic, group, rest };
  disarm();
  say("dead-said", rest > reply.messages.length ? `The oldest ${reply.messages.length} of ${count(rest)}.` : `${plural(rest, "dead letter")}.`);
}

function disarm() {
  const button = $("redrive");
  button.disabled = !dead.origin;
  button.dataset.armed = "";
  button.textContent = dead.origin ? `Redrive ${count(dead.origin.rest)}` : "Redrive";
}

$("redrive").addEventListener("click", () => attempt("dead-said", async () => {
  const button = $("redrive");
  if (!button.dataset.armed) {
    button.dataset.armed = "yes";
    button.textContent = `Really put ${count(dead.origin.rest)} back?`;
    return say("dead-said", `Press again to put ${plural(dead.origin.rest, "message")} back at the end of ${dead.origin.topic}.`);
  }
  const { topic, group } = dead.origin;
  const { redriven, remaining } = await ask("redrive", { topic, group });
  dead.origin = null;
  disarm();
  $("letters").hidden = true;
  say("dead-said", `${plural(redriven, "message")} put back at the end of ${topic}${remaining ? `, ${count(remaining)} remain` : ""}.`, true);
  lookNow();
}));

// The look at the server, once a second while somebody can see the page.

const looking = { timer: 0, last: null, isPaused: false, failures: 0, isAsking: false };

function connection(state, text) {
  $("connection").dataset.state = state;
  setText($("connection-text"), text);
}

function ratesBetween(now, before) {
  if (!before || now.nowMs <= before.nowMs) return null;
  const seconds = (now.nowMs - before.nowMs) / 1000;
  // A restart begins to count anew.
  if (now.stats.uptimeMs < before.stats.uptimeMs) return null;
  const rates = { demoted: now.disk.demoted - before.disk.demoted };
  for (const tile of tiles) if (tile.kind === "rate") rates[tile.name] = Math.max(0, now.stats[tile.name] - before.stats[tile.name]) / seconds;
  return rates;
}

async function lookOnce() {
  const sentMs = performance.now();
  const overview = await ask("overview", { limit: 100 });
  const tookMs = performance.now() - sentMs;
  looking.failures = 0;
  connection("live", "live");
  setText($("server"), overview.server + (overview.stats ? `, up ${duration(overview.stats.uptimeMs)}` : ""));
  for (const id of ["s-wheels", "s-numbers", "s-lateness", "s-ahead"]) $(id).hidden = !overview.stats;
  showTopics(overview);
  showQueues(overview);
  if (!overview.stats) return stopDrawing();
  dial.offsetMs = overview.nowMs + tookMs / 2 - performance.now();
  const rates = ratesBetween(overview, looking.last);
  showWheels(overview, rates);
  showLevels(dial.rings);
  showTiles(overview.stats, rates);
  takeLateness(overview.lateness);
  showAhead(overview);
  looking.last = overview;
  if (overview.stats.storageFailed) connection("lost", "the store has failed; nothing is accepted until a restart");
  else if (overview.stats.diskFull) connection("lost", "the disk is nearly full; new messages are refused");
  startDrawing();
}

async function lookNow() {
  clearTimeout(looking.timer);
  if (looking.isPaused || document.hidden || looking.isAsking) return;
  looking.isAsking = true;
  let pauseMs = 1000;
  try { await lookOnce(); } catch (error) {
    stopDrawing();
    if (error instanceof Refused) connection("lost", error.code === "unauthenticated" ? "sign in to look" : error.message);
    else {
      looking.failures += 1;
      connection("lost", "no connection; trying again");
      pauseMs = Math.min(5000, 500 * 2 ** looking.failures);
    }
  }
  looking.isAsking = false;
  looking.timer = setTimeout(lookNow, pauseMs);
}

document.addEventListener("visibilitychange", () => (document.hidden ? stopDrawing() : lookNow()));
calm.addEventListener("change", () => (calm.matches ? (stopDrawing(), draw(dial.lookedMs)) : startDrawing()));

$("pause").addEventListener("click", () => {
  looking.isPaused = !looking.isPaused;
  $("pause").setAttribute("aria-pressed", String(looking.isPaused));
  $("pause").textContent = looking.isPaused ? "Go on" : "Pause";
  if (looking.isPaused) { stopDrawing(); connection("", "paused"); } else lookNow();
});

// MARK: Dark and light

const prefersLight = matchMedia("(prefers-color-scheme: light)");

function applyTheme() {
  const theme = localStorage.getItem("theme") || (prefersLight.matches ? "light" : "dark");
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = theme === "light" ? "Dark" : "Light";
  readColours();
  tiles.forEach(drawLine);
  if (lateness.last) drawLateness();
  if (!dial.isLive) draw(dial.lookedMs);
}

$("theme").addEventListener("click", () => {
  localStorage.setItem("theme", document.documentElement.dataset.theme === "light" ? "dark" : "light");
  applyTheme();
});
prefersLight.addEventListener("change", applyTheme);
addEventListener("resize", () => { tiles.forEach(drawLine); if (lateness.last) drawLateness(); if (!dial.isLive) draw(dial.lookedMs); });

applyTheme();
lookNow();
</script>
</body>
</html>
"""#
}
