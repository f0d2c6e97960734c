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
  await lookAtShards();
  const sentMs = performance.now();
  const overview = await ask("overview", { limit: 100, ...aboutShard() });
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
