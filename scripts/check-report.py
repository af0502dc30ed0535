"""Looks at pages in headless Chromium, by its debugging protocol over a pipe.

    python3 check-report.py FOLDER              report.html and every .svg of the folder
    python3 check-report.py --self-test FOLDER  that a page with every fault is found out

Only the standard library is used. Pictures are written beside the pages.
"""

import base64
import collections
import json
import os
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

TIMEOUT = 30


class Browser:
    """A browser of its own, with a profile of its own."""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="check-report-")
        to_browser, self.write_end = os.pipe()
        self.read_end, from_browser = os.pipe()

        def take_pipes():
            # The browser reads from 3 and writes to 4. Copied away first, so neither is overwritten.
            source, sink = os.dup(to_browser), os.dup(from_browser)
            high = [os.dup2(source, 103), os.dup2(sink, 104)]
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)
            for fd in (3, 4):
                os.set_inheritable(fd, True)

        self.process = subprocess.Popen(
            [
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--disable-background-networking", "--no-first-run", "--hide-scrollbars",
                "--force-color-profile=srgb", "--remote-debugging-pipe",
                f"--user-data-dir={self.profile}", "about:blank",
            ],
            preexec_fn=take_pipes, close_fds=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self.buffer, self.last_id, self.events = b"", 0, []

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.profile, ignore_errors=True)

    def message(self, deadline):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.read_end], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError("the browser does not answer")
            piece = os.read(self.read_end, 1 << 20)
            if not piece:
                raise EOFError("the browser has ended")
            self.buffer += piece
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, session=None, **params):
        self.last_id += 1
        call = {"id": self.last_id, "method": method, "params": params}
        if session:
            call["sessionId"] = session
        data = json.dumps(call).encode() + b"\0"
        while data:
            data = data[os.write(self.write_end, data):]
        deadline = time.monotonic() + TIMEOUT
        while True:
            message = self.message(deadline)
            if message.get("id") == self.last_id:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self.events.append(message)

    def wait_for(self, method, session):
        deadline = time.monotonic() + TIMEOUT
        while not any(e.get("method") == method and e.get("sessionId") == session for e in self.events):
            self.events.append(self.message(deadline))


class Page:
    """A page in a tab of its own."""

    def __init__(self, browser, path, scheme, width, scripts=True):
        self.browser, self.url = browser, path.resolve().as_uri()
        self.target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = browser.call("Target.attachToTarget", targetId=self.target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call("Page.navigate", url=self.url)
        browser.wait_for("Page.loadEventFired", self.session)
        # Whatever is reported late.
        time.sleep(0.2)
        self.call("Page.getLayoutMetrics")

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def close(self):
        self.browser.call("Target.closeTarget", targetId=self.target)

    def eval(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def press(self, key, code):
        for kind in ("rawKeyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)
        if key == "Enter":
            self.call("Input.dispatchKeyEvent", type="char", text="\r")

    def complaints(self):
        """What the console says, and what is loaded beside the page."""
        found = []
        for event in self.browser.events:
            if event.get("sessionId") != self.session:
                continue
            method, params = event["method"], event["params"]
            if method == "Runtime.exceptionThrown":
                found.append(f"exception: {params['exceptionDetails']['text']}")
            elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
                found.append(f"console: {params['type']}")
            elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
                found.append(f"log: {params['entry']['text']}")
            elif method == "Network.requestWillBeSent" and params["request"]["url"] != self.url:
                found.append(f"request: {params['request']['url']}")
        return found

    def screenshot(self, path):
        """Writes a picture of the whole page, and returns the colours of a smaller one."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]

        def shoot(scale):
            clip = {**size, "scale": scale}
            shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, clip=clip)
            return base64.b64decode(shot["data"])

        path.write_bytes(shoot(1))
        return pixels(shoot(0.25))


def pixels(data):
    """Decodes a PNG of eight bits a sample, and counts its colours."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG"
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    channels = {2: 3, 6: 4}[colour]
    assert depth == 8
    raw, stride = zlib.decompress(packed), width * channels
    before, colours = bytearray(stride), collections.Counter()
    for row in range(height):
        start = row * (stride + 1)
        kind, line = raw[start], bytearray(raw[start + 1:start + 1 + stride])
        if kind == 2:
            line = bytearray((a + b) & 255 for a, b in zip(line, before))
        elif kind:
            for i in range(stride):
                left = line[i - channels] if i >= channels else 0
                up, corner = before[i], before[i - channels] if i >= channels else 0
                if kind == 1:
                    guess = left
                elif kind == 3:
                    guess = (left + up) // 2
                else:
                    p = left + up - corner
                    guess = min((abs(p - left), 0, left), (abs(p - up), 1, up), (abs(p - corner), 2, corner))[2]
                line[i] = (line[i] + guess) & 255
        before = line
        colours.update(zip(line[0::channels], line[1::channels], line[2::channels]))
    return colours


def judge_picture(colours, scheme):
    """What is wrong with a picture: empty, or of the other scheme."""
    found, total = [], sum(colours.values())
    (most, count), = colours.most_common(1)
    if len(colours) < 20 or count > 0.97 * total:
        found.append(f"empty: {len(colours)} colours, one of them {100 * count / total:.1f} %")
    light = sum(sum(colour) * n for colour, n in colours.items()) / (3 * 255 * total)
    if (scheme == "light") != (light > 0.5):
        found.append(f"not {scheme}: mean lightness {light:.2f}")
    return found


# Of every element with text of its own, against the background that is behind it (text in pictures
# has an outline): at least 4.5, as the guidelines for accessible pages ask.
CONTRAST = """(() => {
  const lin = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const lum = s => { const [r, g, b] = s.match(/[\\d.]+/g).map(Number); return 0.2126 * lin(r) + 0.7152 * lin(g) + 0.0722 * lin(b); };
  const back = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if (!/, 0\\)$|transparent/.test(c)) return c; } return 'rgb(255,255,255)'; };
  const bad = [];
  for (const e of document.body.querySelectorAll('*')) {
    if (e.closest('svg') || !e.offsetParent) continue;
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
    const [a, b] = [lum(getComputedStyle(e).color), lum(back(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.push(e.tagName + '.' + e.className + ' ' + ratio.toFixed(2));
  }
  return [...new Set(bad)];
})()"""

# Sorts by the column of flows, twice, and returns both orders.
SORT = """(() => {
  const table = document.querySelector('#rules ~ .scroll table.sort');
  const column = [...table.tHead.rows[0].cells].findIndex(c => c.textContent === 'flows');
  const head = table.tHead.rows[0].cells[column];
  const order = () => [...table.tBodies[0].rows].map(r => Number(r.cells[column].dataset.n));
  const button = head.querySelector('button');
  button.click();
  const first = [head.getAttribute('aria-sort'), order()];
  button.click();
  return [first, [head.getAttribute('aria-sort'), order()], document.getElementById('said').textContent];
})()"""

# A script and a handler of whoever wrote a label, had it come through as markup.
INTRUDE = """(() => {
  const script = document.createElement('script');
  script.textContent = 'window.ran = 1';
  document.body.appendChild(script);
  document.body.insertAdjacentHTML('beforeend', '<img src="x" onerror="window.ran = 2">');
  return new Promise(done => setTimeout(() => done(window.ran === undefined), 200));
})()"""


def judge_use(page):
    """What is wrong with the use of a report: keyboard, table, contrast, names, policy."""
    found = []
    page.press("Tab", 9)
    if page.eval("document.activeElement.className") != "skip":
        found.append("the first stop of the keyboard is not the link that skips to the report")
    if page.eval("document.activeElement.getBoundingClientRect().left") < 0:
        found.append("the link that skips is not seen when it has the focus")
    page.press("Enter", 13)
    if page.eval("document.activeElement.id") != "main":
        found.append("the link that skips does not lead to the report")
    first, second, said = page.eval(SORT)
    if first != ["descending", sorted(first[1], reverse=True)] or second != ["ascending", sorted(second[1])]:
        found.append(f"sorting: {first}, {second}")
    if said != "sorted by flows, ascending":
        found.append(f"what was sorted is not said: {said!r}")
    found += [f"contrast: {bad}" for bad in page.eval(CONTRAST)]
    for node in page.call("Accessibility.getFullAXTree")["nodes"]:
        role, name = node.get("role", {}).get("value"), node.get("name", {}).get("value")
        if role in ("image", "button", "link", "table", "region", "navigation") and not node.get("ignored") and not name:
            found.append(f"{role} without a name")
    found += page.complaints()
    if not page.eval(INTRUDE):
        found.append("a script that is not the page's own was run")
    return found


def check_file(browser, path):
    found = []
    for scheme in ("light", "dark"):
        page = Page(browser, path, scheme, 1280)
        # So that what is folded is looked at too.
        page.eval("document.querySelectorAll('details').forEach(details => { details.open = true; })")
        picture = path.with_name(f"{path.stem}-{scheme}.png")
        judged = judge_picture(page.screenshot(picture), scheme)
        judged += judge_use(page) if path.suffix == ".html" else page.complaints()
        page.close()
        found += [f"{path.name}, {scheme}: {fault}" for fault in judged]
    if path.suffix == ".html":
        page = Page(browser, path, "light", 360)
        if page.eval("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{path.name}: wider than a narrow window")
        page.screenshot(path.with_name(f"{path.stem}-narrow.png"))
        page.close()
        page = Page(browser, path, "light", 1280, scripts=False)
        judged = judge_picture(page.screenshot(path.with_name(f"{path.stem}-no-script.png")), "light")
        found += [f"{path.name}, without script: {fault}" for fault in judged + page.complaints()]
        page.close()
    return found


FAULTY = """<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>t</title><style>body{margin:0}</style>
<script>console.error("e"); undefinedFunction()</script><img src="beside.png"></html>"""


def self_test(browser, folder):
    path = folder / "faulty.html"
    path.write_text(FAULTY)
    page = Page(browser, path, "dark", 1280)
    found = judge_picture(page.screenshot(folder / "faulty.png"), "dark") + page.complaints()
    if not page.eval(INTRUDE):
        found.append("intruder")
    page.close()
    missing = [kind for kind in ("empty", "not dark", "exception", "console", "request", "intruder")
               if not any(fault.startswith(kind) for fault in found)]
    path.unlink()
    (folder / "faulty.png").unlink()
    return [f"not found out: {kind}" for kind in missing]


def main():
    is_test = sys.argv[1] == "--self-test"
    folder = Path(sys.argv[-1])
    browser = Browser()
    try:
        if is_test:
            found = self_test(browser, folder)
        else:
            files = [folder / "report.html", *sorted(folder.glob("*.svg"))]
            found = [fault for path in files for fault in check_file(browser, path)]
            print(f"looked at {', '.join(path.name for path in files)}")
    finally:
        browser.close()
    for fault in found:
        print(f"error: {fault}", file=sys.stderr)
    sys.exit(1 if found else 0)


main()
