"use strict";
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
