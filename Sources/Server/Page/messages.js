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
