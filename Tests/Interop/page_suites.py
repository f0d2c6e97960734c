"""The page at `/` in a real browser: what it shows, what can be done with it, and by whom.

Each suite gets the HTTP port of a server of its own.
"""

import http.client
import json
import os
import time

from browser import browser

HOUR_MS = 3_600_000


_connections = {}


def ask(port, op, **fields):
    """An operation beside the browser."""
    if port not in _connections:
        _connections[port] = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    _connections[port].request("POST", "/v1", json.dumps({"op": op, **fields}))
    reply = json.loads(_connections[port].getresponse().read())
    assert reply["ok"], f"{op}: {reply}"
    return reply


def scenery(port):
    """What a picture should show: messages near and far, groups with and without lag, queues, dead letters."""
    now = int(time.time() * 1000)
    horizons = [(3000, 400), (60_000, 900), (200_000, 700), (1_800_000, 900), (4 * HOUR_MS, 900), (30 * HOUR_MS, 700), (400 * HOUR_MS, 500), (4000 * HOUR_MS, 260)]
    for topic, share in (("orders.timeout", 1.0), ("reviews.automatic", 0.5), ("payments.retry", 0.4), ("trials.end", 0.2)):
        for ahead, number in horizons:
            number = int(number * share)
            times = [now + int(ahead * (0.02 + 0.98 * ((n * 0.6180339887) % 1)) * (1 + 0.5 * ((n * 37) % 11) / 11)) for n in range(number)]
            for start in range(0, number, 500):
                batch = [{"id": f"{topic}-{ahead}-{n}", "deliverAtMs": times[n], "body": {"order": n}} for n in range(start, min(number, start + 500))]
                ask(port, "scheduleMany", topic=topic, messages=batch, acks="memory")
    for n in range(36):
        ask(port, "publish", topic="payments.retry", id=f"pay-{n}", body={"payment": n, "amount": 1990 + n})
    ask(port, "fetch", topic="payments.retry", group="bank", max=12, maxAttempts=1)
    ask(port, "nack", topic="payments.retry", group="bank", upTo=11, delayMs=0)
    ask(port, "fetch", topic="orders.timeout", group="shop", max=1)
    ask(port, "rabbitmq.queueDeclare", queue="invoices", durable=True)
    ask(port, "rabbitmq.queueDeclare", queue="mails", durable=True, arguments={"x-message-ttl": 600_000})
    for n in range(40):
        ask(port, "rabbitmq.publish", exchange="", routingKey="invoices" if n % 3 else "mails", body=str(n), properties={"deliveryMode": 2})


def traffic(port, seconds):
    """Messages that come, are released and are taken, for some time."""
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        batch = [{"delayMs": 200 + (n * 7919) % 2600, "body": {"order": number + n}} for n in range(60)]
        ask(port, "scheduleMany", topic="orders.timeout", messages=batch, acks="memory")
        got = ask(port, "fetch", topic="orders.timeout", group="shop", max=200)["messages"]
        if got:
            ask(port, "ack", topic="orders.timeout", group="shop", upTo=got[-1]["offset"])
        number += 60
        time.sleep(0.12)


def opened(tab, port):
    tab.open(f"http://127.0.0.1:{port}/")
    tab.until("document.readyState === 'complete' && $('connection').dataset.state === 'live' && dial.rings.length")


def clean(tab, port):
    """Nothing went wrong, nothing was refused by the page's policy, and nothing was asked of anybody else."""
    # A request that the server refuses is an error to the browser's log, and is told to the user.
    errors = [one for one in tab.seen("Log.entryAdded") if one["entry"]["level"] == "error" and one["entry"]["source"] != "network"]
    assert not errors, errors
    assert not tab.seen("Runtime.exceptionThrown"), tab.seen("Runtime.exceptionThrown")
    for event in tab.seen("Network.requestWillBeSent"):
        url = event["request"]["url"]
        assert url.startswith((f"http://127.0.0.1:{port}/", "data:image/svg+xml")), url


def shows_the_server(port):
    """The wheels are drawn and turn, numbers and tables show what is there, one request a second is all it takes."""
    scenery(port)
    with browser() as tab:
        tab.size(1440, 1000)
        opened(tab, port)
        rings = tab.run("dial.rings.map((ring) => ring.name)")
        assert rings[:2] == ["wheel 1", "wheel 2"] and len([name for name in rings if name.startswith("disk")]) >= 2, rings
        pending = ask(port, "stats")["pending"]
        shown = tab.until("dial.pending")
        assert abs(shown - pending) <= 200, (shown, pending)
        assert str(tab.run("$('levels').tBodies[0].rows.length")) == str(len(rings))
        picture = "(() => { const c = $('dial').getContext('2d').getImageData(0, 0, $('dial').width, $('dial').height).data; let n = 0; for (let i = 3; i < c.length; i += 4) n += c[i] > 0; return n; })()"
        tab.until(f"{picture} > 20000", "a dial with something on it")
        before = tab.run("$('dial').toDataURL()")
        tab.until(f"$('dial').toDataURL() !== {json.dumps(before)}", "the hands move")
        names = tab.run("[...$('topics').querySelectorAll('button')].map((one) => one.textContent)")
        assert names == sorted(names) and "orders.timeout" in names, names
        assert tab.run("[...$('queues').tBodies[0].rows].map((row) => row.cells[0].textContent)") == ["invoices", "mails"]
        ahead = tab.run("[...$('ahead').tBodies[0].rows].map((row) => Number(row.cells[2].textContent.replace(/[^0-9]/g, '')))")
        assert sum(1 for number in ahead if number) >= 6, ahead
        traffic(port, 4)
        tab.until("lateness.columns.some((column) => column.some((value) => value))", "the lateness of releases")
        tab.until("tiles.find((tile) => tile.name === 'released').history.some((value) => value > 0)", "a rate")
        asked = [event["timestamp"] for event in tab.seen("Network.requestWillBeSent") if '"overview"' in event["request"].get("postData", "")]
        assert len(asked) >= 3 and all(later - sooner > 0.9 for sooner, later in zip(asked, asked[1:])), asked
        clean(tab, port)


def changes_messages(port):
    """Schedule, find, reschedule and cancel a message; look at dead letters and put them back; refusals are told."""
    ask(port, "publish", topic="t", id="broken", body={"n": 12345678901234567890})
    ask(port, "fetch", topic="t", group="g", maxAttempts=1)
    ask(port, "nack", topic="t", group="g", offset=0, delayMs=0)
    with browser() as tab:
        opened(tab, port)

        def fill(form, **fields):
            for name, value in fields.items():
                tab.run(f"$('{form}').elements['{name}'].value = {json.dumps(value)}")
            tab.run(f"$('{form}').requestSubmit()")

        def said(place, words):
            tab.until(f"$('{place}').textContent.includes({json.dumps(words)})", f"{place} says {words}")

        fill("schedule", topic="orders", when="1h30m", id="o-1", body='{"n": 12345678901234567890}')
        said("schedule-said", "Scheduled as o-1")
        message = ask(port, "get", topic="orders", id="o-1")
        assert message["body"] == {"n": 12345678901234567890} and 85 < (message["deliverAtMs"] - message["scheduledAtMs"]) / 60_000 < 95, message
        fill("schedule", topic="orders", when="soon", body="1")
        said("schedule-said", "no time")
        fill("schedule", topic="orders", when="5s", body="{no json")
        said("schedule-said", "no JSON")
        fill("find", topic="orders", id="o-1")
        said("find-said", "It is pending")
        assert "12345678901234567890" in tab.run("$('found').textContent"), tab.run("$('found').textContent")
        fill("change", when="3h")
        said("find-said", "new time")
        assert ask(port, "get", topic="orders", id="o-1")["deliverAtMs"] > message["deliverAtMs"]
        tab.run("$('cancel').click()")
        said("find-said", "cancelled")
        assert ask(port, "get", topic="orders", id="o-1")["state"] == "cancelled"
        fill("find", topic="orders", id="o-1")
        said("find-said", "was cancelled")
        fill("find", topic="nowhere", id="")
        said("find-said", "there is no topic")
        tab.until("$('dead').elements.topic.value === 't.g.dlq'", "the dead letter is offered")
        fill("dead")
        said("dead-said", "1 dead letter")
        assert "12345678901234567890" in tab.run("$('letters').textContent")
        tab.run("$('redrive').click()")
        said("dead-said", "Press again")
        assert ask(port, "topics")["topics"][1]["nextOffset"] == 1
        tab.run("$('redrive').click()")
        said("dead-said", "1 message put back")
        clean(tab, port)


def serves_everybody(port):
    """Keyboard, names for screen readers, dark and light with contrast, a phone, and peace for those who want it."""
    scenery(port)
    with browser() as tab:
        tab.size(1280, 900)
        opened(tab, port)
        tab.press("Tab")
        assert tab.run("document.activeElement.className") == "skip"
        tab.press("Enter")
        tab.until("document.activeElement.id === 'main'", "the skip link leads to the content")
        reached = set()
        for _ in range(60):
            tab.press("Tab")
            reached.add(tab.run("document.activeElement.closest('section')?.id || document.activeElement.id"))
        for place in ("s-topics", "s-find", "s-schedule", "s-dead"):
            assert place in reached, f"{place} cannot be reached: {reached}"
        outline = tab.run("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", "focus is not to be seen"
        nodes = [node for node in tab.call("Accessibility.getFullAXTree")["nodes"] if not node.get("ignored")]
        roles = [node["role"]["value"] for node in nodes]
        for role in ("banner", "main", "navigation", "status", "heading"):
            assert role in roles, f"there is no {role}"
        for node in nodes:
            if node["role"]["value"] in ("button", "textbox", "combobox", "img", "image", "table", "form", "region"):
                assert node.get("name", {}).get("value") or node["role"]["value"] == "table", node
        for scheme in ("light", "dark"):
            tab.prefer(**{"prefers-color-scheme": scheme})
            tab.until(f"document.documentElement.dataset.theme === '{scheme}'")
            for selector in ("td", ".dim", "h2", "button", "#find button", ".danger", "button.link"):
                assert tab.run(f"({CONTRAST})({json.dumps(selector)})") >= 4.5, f"{selector} is hard to read, {scheme}"
        tab.size(390, 844, is_phone=True, scale=2)
        opened(tab, port)
        assert tab.run("document.scrollingElement.scrollWidth <= innerWidth"), "the page is wider than a phone"
        small = tab.run("[...document.querySelectorAll('button:not(.link), input, select')].filter((one) => one.offsetParent && one.offsetHeight < 36).length")
        assert small == 0, f"{small} controls are too small for a finger"
        tab.prefer(**{"prefers-reduced-motion": "reduce"})
        tab.until("!dial.isLive", "nothing moves")
        tab.prefer(**{"prefers-reduced-motion": "no-preference"})
        tab.until("dial.isLive", "it moves again")
        tab.run("$('pause').click()")
        tab.until("!dial.isLive && $('connection-text').textContent === 'paused'")
        clean(tab, port)


CONTRAST = """(selector) => {
  const light = (text) => { const [r, g, b] = text.match(/[0-9.]+/g).map((v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
  const element = [...document.querySelectorAll(selector)].find((one) => one.offsetParent) || document.querySelector(selector);
  let ground = element;
  while (ground && /, 0\\)$|transparent/.test(getComputedStyle(ground).backgroundColor)) ground = ground.parentElement;
  const [a, b] = [light(getComputedStyle(element).color), light(getComputedStyle(ground || document.body).backgroundColor)];
  return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
}"""


def asks_who(port):
    """Where the server asks who somebody is, the page does: nothing is shown before, everything afterwards, until signing out."""
    with browser() as tab:
        tab.open(f"http://127.0.0.1:{port}/")
        tab.until("document.readyState === 'complete' && !$('who').hidden", "the form")
        assert tab.run("document.activeElement.name") == "name"
        assert not tab.run("$('topics').tBodies[0].rows.length")
        tab.type("")
        tab.run("$('who').elements.secret.value = 'wrong'; $('who').requestSubmit()")
        tab.until("!$('who').hidden && $('who-why').textContent.includes('not good')", "the refusal")
        tab.run(f"$('who').elements.secret.value = {json.dumps(TOKEN)}; $('who').requestSubmit()")
        tab.until("$('connection').dataset.state === 'live'", "the look")
        assert tab.run("$('who').hidden && $('who').elements.secret.value === ''")
        tab.run("$('sign-in').click(); $('sign-out').click()")
        tab.until("$('connection-text').textContent === 'sign in to look'")
        foreign = [e for e in tab.seen("Log.entryAdded") if e["entry"]["level"] == "error" and "401" not in e["entry"]["text"]]
        assert not foreign, foreign


TOKEN = "a-token-for-the-page-suite"


def picture(port):
    """The picture of the README: set PAGE_PICTURE to a file to have it made; otherwise only that it can be taken."""
    scenery(port)
    path = os.environ.get("PAGE_PICTURE")
    with browser() as tab:
        tab.prefer(**{"prefers-color-scheme": os.environ.get("PAGE_PICTURE_SCHEME", "dark")})
        tab.size(1360, 900)
        opened(tab, port)
        traffic(port, 45 if path else 2)
        tab.wait(0.4)
        tab.picture(path or os.devnull, whole=False)
        if path:
            tab.size(1440, 2200)
            tab.wait(1.5)
            tab.picture(path.replace(".png", "-whole.png"))
            tab.size(390, 844, is_phone=True, scale=2)
            tab.wait(1.5)
            tab.picture(path.replace(".png", "-phone.png"), whole=False)


SUITES = {"page-shows": shows_the_server, "page-changes": changes_messages, "page-everybody": serves_everybody, "page-picture": picture}
GUARDED_SUITES = {"page-sign-in": asks_who}
