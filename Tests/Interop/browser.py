"""A browser without a window, driven by the DevTools protocol over a pipe: Debian's Chromium, nothing else.

Holds: every wait has a deadline; the browser has a profile of its own and is ended by its process id.
Leaves to others: what a page should do (page_suites.py).
"""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

import tools

DEADLINE_S = 60.0


class Browser:
    """One tab."""

    def __init__(self):
        tools.debian("chromium", "fonts-liberation")
        self.profile = tempfile.mkdtemp(prefix="escapement-browser-")
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()

        def place_pipes():
            # Where the browser expects them. First away from there, should one of them be there already.
            ends = [os.dup(to_browser), os.dup(from_browser)]
            high = [os.dup2(end, 100 + place) for place, end in enumerate(ends)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars",
             "--disable-background-networking", "--remote-debugging-pipe", f"--user-data-dir={self.profile}", "about:blank"],
            preexec_fn=place_pipes, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_browser)
        os.close(from_browser)
        self._number, self._received, self._session = 0, b"", None
        self.events = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self._out)
        os.close(self._in)
        shutil.rmtree(self.profile, ignore_errors=True)

    # The protocol.

    def call(self, method, **parameters):
        """Sends a command and gives its result."""
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + DEADLINE_S
        while True:
            message = self._message(end)
            assert message, f"no answer to {method}"
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self.events.append(message)

    def wait(self, seconds):
        """Takes events for some time."""
        end = time.monotonic() + seconds
        while message := self._message(end):
            self.events.append(message)

    def _message(self, end):
        while b"\0" not in self._received:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self._in], [], [], left)[0]:
                return None
            data = os.read(self._in, 1 << 20)
            assert data, f"the browser ended with {self.process.poll()}"
            self._received += data
        text, _, self._received = self._received.partition(b"\0")
        return json.loads(text)

    def seen(self, method):
        """The parameters of the events of this kind."""
        return [event["params"] for event in self.events if event.get("method") == method]

    # What people do.

    def open(self, url):
        self.events = []
        self.call("Page.navigate", url=url)

    def run(self, script):
        """The value of an expression in the page; promises are awaited."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, f"{script}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def until(self, script, what=None):
        """Waits until an expression is true in the page, and gives its value."""
        end = time.monotonic() + DEADLINE_S
        while True:
            with contextlib.suppress(AssertionError):
                if value := self.run(script):
                    return value
            assert time.monotonic() < end, f"{what or script} did not come true"
            self.wait(0.05)

    def press(self, key, code=None, text=None, modifiers=0):
        """A key, down and up."""
        codes = {"Tab": 9, "Enter": 13, " ": 32}
        fields = {"key": key, "code": code or key, "windowsVirtualKeyCode": codes.get(key, 0), "modifiers": modifiers}
        if key == "Enter":
            text = "\r"
        self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **fields, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **fields)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def size(self, width, height, is_phone=False, scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=is_phone)

    def prefer(self, **features):
        """What the user has set: `prefer(**{"prefers-color-scheme": "light"})`."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in features.items()])

    def picture(self, path, whole=True):
        """Saves what is to be seen as a PNG file."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))


@contextlib.contextmanager
def browser():
    """A browser for the time of a suite."""
    one = Browser()
    try:
        yield one
    finally:
        one.close()
