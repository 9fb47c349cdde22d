#!/usr/bin/env python3
"""Opens a report in headless Chromium and uses it as a reader does: chooses a layer with the mouse, reads the value
under the pointer, goes on with the keys, opens a stored view, and looks at it narrow, dark and without scripts.

Usage: Tests/report/check.py [PROGRAM] [SCREENSHOTS]

PROGRAM makes the report of notebooks-data/demo (default .build/debug/vitprobe); SCREENSHOTS is a folder that pictures
go to. Needs Python 3.9 or later and a browser (Debian: chromium); without one it says so and ends well.
"""

import base64
import csv
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Browser:
    """The DevTools protocol over a pair of pipes: documents of JSON that end in a NUL."""

    def __init__(self, program, profile):
        (read, self.write), (self.read, write) = os.pipe(), os.pipe()
        arguments = [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe",
            "--no-first-run", "--disable-background-networking", f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{read} 4>&{write}', "bash", *arguments], pass_fds=(read, write),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(read), os.close(write)
        self.rest, self.numbers, self.session, self.complaints = b"", itertools.count(1), None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def message(self):
        while b"\0" not in self.rest:
            piece = os.read(self.read, 1 << 16)
            if not piece:
                raise SystemExit("the browser ended")
            self.rest += piece
        text, self.rest = self.rest.split(b"\0", 1)
        message = json.loads(text)
        method, body = message.get("method"), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.complaints.append(body["exceptionDetails"].get("exception", {}).get("description", "exception"))
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(f"console.{body['type']}: {body['args']}")
        elif method == "Log.entryAdded":
            self.complaints.append(body["entry"]["text"])
        return message

    def call(self, method, **parameters):
        number = next(self.numbers)
        request = {"id": number, "method": method, "params": parameters}
        if self.session:
            request["sessionId"] = self.session
        os.write(self.write, json.dumps(request).encode() + b"\0")
        while True:
            message = self.message()
            if message.get("id") == number:
                if "error" in message:
                    raise SystemExit(f"{method}: {message['error']}")
                return message["result"]

    def open(self, address):
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=address)
        for _ in range(200):
            if self.value("document.readyState") == "complete" and self.value("location.protocol") == "file:":
                return
            time.sleep(0.05)
        raise SystemExit("the page did not load")

    def value(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise SystemExit(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def point(self, expression):
        """The middle of an element, after scrolling to it."""
        return self.value(
            f"(() => {{ const e = {expression}; e.scrollIntoView({{block: 'center'}});"
            " const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()")

    def move(self, expression):
        x, y = self.point(expression)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        return x, y

    def click(self, expression):
        x, y = self.move(expression)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def size(self, width, height, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def close(self):
        self.session = None
        try:
            self.call("Browser.close")
        except (SystemExit, OSError):
            pass
        self.process.wait(timeout=20)


def expect(condition, what):
    if not condition:
        raise SystemExit(f"failed: {what}")
    print(f"ok: {what}")


def row(model, layer):
    """The row of a layer in the list of layers, as an expression."""
    return (
        "[...document.querySelectorAll('details.model')].find(d => d.querySelector('b').textContent === "
        f"'{model}').querySelectorAll('tr[data-layer] code').values().find(c => c.textContent === '{layer}')")


def main():
    program = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".build/debug/vitprobe").resolve()
    pictures = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if not browser:
        print("skipped: no chromium, chromium-browser or google-chrome here")
        return
    demo = ROOT / "notebooks-data/demo"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page = pathlib.Path(folder, "report.html")
        subprocess.run([program, "report", demo, "-o", page, "-q"], check=True, stdout=subprocess.DEVNULL)
        window = Browser(browser, folder + "/profile")
        try:
            use(window, page.as_uri(), demo, pictures)
        finally:
            window.close()


def use(window, address, demo, pictures):
    def picture(name):
        if pictures:
            pictures.mkdir(parents=True, exist_ok=True)
            window.picture(pictures / f"{name}.png")

    window.size(1280, 860)
    window.open(address)
    expect(window.value("document.documentElement.classList.contains('scripted')"), "the script runs")
    picture("top")

    window.click(row("vit", "blocks.2.attn_res"))
    expect(
        window.value("[...document.querySelectorAll('.spine tr.on code')].map(c => c.textContent).join()")
        == "blocks.2.attn_res", "a click chooses a layer")
    expect("layer=0/vit/blocks.2.attn" in window.value("location.hash"), "the address keeps it")
    expect("blocks.2.attn_res" in window.value("document.querySelector('#chosen').innerText"), "its values are shown")
    expect(
        window.value("document.querySelectorAll('#variance circle.on').length") == 1,
        "one mark of the variance is singled out")
    expect(
        window.value("document.querySelectorAll('#fourier g.on').length") == 1, "one spectrum is singled out")
    expect(
        window.value("document.querySelectorAll('#attention rect.on').length") > 0, "its heads are singled out")

    staged = any("stage" in layer for network in json.loads((demo / "run.json").read_text()).get("networks", [])
                 for layer in network["layers"])
    marks = "[...document.querySelectorAll('#%s svg')].filter(s => [...s.querySelectorAll('text')].some(" \
            "t => t.textContent.startsWith('Stage'))).length"
    for view in ("cka", "fourier", "variance", "attention"):
        expect((window.value(marks % view) > 0) == staged, f"stages are marked in {view} where run.json knows them")
    for view, name in {"landscape": "landscape", "robustness": "robustness", "lesion": "lesion",
                       "trajectory": "trajectory_surface"}.items():
        drawn = window.value(f"document.querySelectorAll('#{view} figure svg').length")
        expect((drawn > 0) == (demo / f"{name}.csv").exists(), f"{drawn} figures in {view}, as there are tables")
    listed = window.value("[...document.querySelectorAll('.rows summary')].map(s => s.textContent.split('.')[0]).join()")
    expect(set(listed.split(",")) == {path.stem for path in demo.glob("*.csv")}, "every table is listed")
    save = "[...document.querySelectorAll('.rows')].filter(r => r.querySelector(':scope > button')).length"
    expect(window.value(save) == len(listed.split(",")), "every table can be saved")

    with open(demo / "variance.csv", newline="") as file:
        value = next(r for r in csv.DictReader(file) if (r["model"], r["layer_name"]) == ("vit", "blocks.2.attn_res"))
    window.move("document.querySelector('#variance circle.on')")
    words = window.value("document.querySelector('#tip').innerText")
    expect(value["value"] in words and value["se"] in words, f"the pointer reads every digit: {value['value']}")

    with open(demo / "cka.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    cell = next(r for r in rows if (r["model_a"], r["model_b"]) == ("vit", "resnet") and
                (r["layer_a_name"], r["layer_b_name"]) == ("blocks.1.mlp_res", "layer3.0"))
    window.click(
        "[...document.querySelectorAll('#cka figure')].find(f => f.querySelector('b').textContent === "
        "'CKA: vit and resnet').querySelectorAll('[data-row]')[1 * 8 + 4]")
    words = window.value("document.querySelector('#tip').innerText")
    expect(cell["cka"] in words and cell["ci_lo"] in words and "n = 512" in words,
           f"a cell of CKA reads {cell['cka']}")
    curve = "[...document.querySelectorAll('#cka figure')].find(f => f.querySelector('b').textContent === " \
            "'CKA: vit and resnet').querySelectorAll('.curve circle')"
    expect(window.value(curve + ".length") == 8, "a click draws the similarities of its row")
    expect(cell["cka"] in window.value(f"[...{curve}].map(c => c.dataset.tip).join()"), "with the same value")
    picture("cka")

    window.press("ArrowRight")
    expect("vit/blocks.2.attn" in window.value("location.hash"), "the right key goes on")
    window.press("ArrowLeft")
    expect("vit/blocks.1.mlp" in window.value("location.hash"), "the left key goes back")
    window.click("document.querySelector('#variance .rows summary')")
    expect(
        window.value("[...document.querySelectorAll('#variance .rows tbody tr')].map(r => r.cells[3].innerText).join()")
        == "blocks.1.mlp_res", "rows are those of the layer")
    window.press("Escape")
    expect(window.value("document.querySelector('#chosen').hidden && !location.hash"), "Escape lets go")

    window.open(address + "#layer=0/resnet/layer2.1&theme=dark&at=fourier")
    expect("layer2.1" in window.value("document.querySelector('#chosen').innerText"), "a stored view comes back")
    expect(window.value("getComputedStyle(document.body).backgroundColor") == "rgb(23, 24, 26)", "in the dark")
    picture("dark")
    window.open(address + "#layer=%3Cimg%3E/%E0%A4%A/%22&theme=%22&at=%22%3E")
    expect(window.value("document.querySelector('#chosen').hidden"), "a damaged address chooses nothing")

    for width in (390, 820, 1600):
        window.size(width, 860, dark=width == 820)
        window.open(address)
        expect(window.value("document.documentElement.scrollWidth") <= width, f"nothing is cut at a width of {width}")
        picture(f"width-{width}")
    window.call("Emulation.setEmulatedMedia", media="print")
    hidden = "[...document.querySelectorAll('nav, button, input')].every(e => !e.getClientRects().length)"
    expect(window.value(hidden), "nothing to press is printed")
    picture("print")
    expect(not window.complaints, f"no message in the console {window.complaints}")

    window.size(1280, 860)
    window.call("Emulation.setScriptExecutionDisabled", value=True)
    window.open(address)
    figures = window.value("[...document.querySelectorAll('figure svg')].filter(s => s.getBoundingClientRect().width "
                           "> 100).length")
    expect(figures > 25 and window.value("document.querySelector('#chosen').hidden"),
           f"{figures} figures are there without scripts")


if __name__ == "__main__":
    main()
