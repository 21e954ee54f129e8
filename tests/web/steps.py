"""What a learner does on the page, step by step, and what a hostile page tries."""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SHOTS = ROOT / "build" / "web"
XTERM = ROOT / "netlab" / "serve" / "foreign" / "xterm.mjs"
WAIT = 60_000  # milliseconds, for a busy machine
CLIENT, SERVER = "pod:default/client", "pod:default/server"


def _of(*words: str) -> str:
    """The field after a word in what a command prints about the tunnel of node-1."""
    *command, word = words
    fields = subprocess.run(
        ["ip", "netns", "exec", "overlay-node-1", *command], check=True, capture_output=True, text=True
    )
    return fields.stdout.split(f"{word} ", 1)[1].split()[0]


ANSWERS = (
    ("The route into the tunnel", lambda: "vxlan0"),
    ("The MAC behind the gateway", lambda: _of("ip", "neigh", "show", "10.244.2.0", "lladdr")),
    ("The node behind the MAC", lambda: "172.18.0.3"),
)
ROUTE = ("ip", "-n", "overlay-node-1", "route")
HOSTILE = """<!doctype html><title>hostile</title><iframe src="TARGET/"></iframe><script>
const tries = [fetch("TARGET/page/v1/trace", {method: "POST", credentials: "include", body: '{"from":"default/client","to":"default/server"}'}),
  fetch("TARGET/app.js", {credentials: "include"}), new Promise((_, no) => { const s = new EventSource("TARGET/page/v1/events", {withCredentials: true}); s.onerror = no; s.onmessage = no })]
Promise.allSettled(tries).then(all => document.title = all.map(each => each.status).join(" "))
</script>"""


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def netlab(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "netlab", *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def served(lab: str) -> Iterator[str]:
    """The address of a lab's page."""
    words = [sys.executable, "-m", "netlab", "serve", lab]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


@contextmanager
def opened(browser: Browser, address: str, **options: Any) -> Iterator[Page]:
    """A new browser context on the page; its console must stay empty."""
    context = browser.new_context(viewport=options.pop("viewport", {"width": 1280, "height": 800}), **options)
    page = context.new_page()
    wrong: list[str] = []
    page.on(
        "console",
        lambda message: (
            wrong.append(f"{message.text} {message.location}") if message.type in ("error", "warning") else None
        ),
    )
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(address)
    page.wait_for_selector("svg.netlab .pick", timeout=WAIT)
    yield page
    assert wrong == [], wrong
    context.close()


AXE = """async () => (await axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}))
  .violations.map(each => `${each.id}: ${each.help}: ${each.nodes.map(node => node.html.slice(0, 160)).join(" | ")}`)"""


def accessible(page: Page) -> None:
    """axe-core finds nothing in what the page shows; nothing is asked where it is not there."""
    file = os.environ.get("NETLAB_AXE")
    if not file:
        return
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(Path(file).read_text())
    found = page.evaluate(AXE)
    assert found == [], "\n".join(found)


def shown(page: Page, name: str) -> None:
    """A screenshot of the page, which axe-core reads too; with ``--screens`` also a dark one."""
    accessible(page)
    page.screenshot(path=SHOTS / f"{name}.png")
    if "--screens" in sys.argv:
        before = page.evaluate("document.documentElement.dataset.theme")
        for theme in ("dark", before):
            page.evaluate(
                "to => document.querySelectorAll(':root, #board svg').forEach(each => each.dataset.theme = to)", theme
            )
            if theme == "dark":
                page.screenshot(path=SHOTS / f"{name}-dark.png")


def screens() -> None:
    """The screenshots of docs/page.md, with few colours; the dark ones together on one sheet."""
    from PIL import Image

    def saved(picture: Any, file: Path) -> None:
        few = picture.quantize(96, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(file, optimize=True)

    folder = ROOT / "docs" / "pictures"
    for name, file in SCREENS.items():
        saved(Image.open(SHOTS / f"{name}.png").convert("RGB"), folder / file)
    sheet = Image.new("RGB", (1280, 400 * -(-len(DARK) // 2)))
    for index, name in enumerate(DARK):
        small = Image.open(SHOTS / f"{name}-dark.png").convert("RGB").resize((640, 400), Image.Resampling.LANCZOS)
        sheet.paste(small, (640 * (index % 2), 400 * (index // 2)))
    saved(sheet, folder / "page-dark.png")


def choose(page: Page, key: str) -> None:
    page.locator(f'.pick[data-key="{key}"]').first.click()


def walked(page: Page, count: int) -> None:
    page.wait_for_selector(f'html[data-walked="{count}"]', timeout=WAIT)


def learner(browser: Browser) -> None:
    """Open the lab, follow a packet, break the route, see it die and what mends it, mend it; then the flows."""
    netlab("up", "overlay")
    with served("overlay") as address, opened(browser, address) as page:
        assert page.locator("#state").inner_text() == "as the lab describes it"
        shown(page, "picture")
        choose(page, CLIENT)
        choose(page, SERVER)
        walked(page, 1)
        assert page.locator("ol.hops > li.on").count() == 24
        assert page.locator("svg .dead").count() == 0
        shown(page, "walk")
        subprocess.run([*ROUTE, "del", "10.244.2.0/24"], check=True)
        page.wait_for_selector(".driftmark", timeout=WAIT)
        choose(page, CLIENT)
        choose(page, SERVER)
        walked(page, 2)
        assert page.locator("svg .dead").count() == 1
        shown(page, "died")
        (command,) = page.locator(".died code.cmd").all_inner_texts()
        page.get_by_role("tab", name="Flows").click()
        page.wait_for_selector('html[data-probed="1"]', timeout=WAIT)
        assert page.locator(".gl.timeout").count() > 0
        shown(page, "flows")
        page.get_by_role("tab", name="Picture").click()
        subprocess.run(["sh", "-c", command], check=True)
        page.wait_for_selector(".driftmark", state="detached", timeout=WAIT)
        netlab("down", "overlay")
        page.get_by_text("the lab is down").wait_for(timeout=WAIT)


def keyboard(browser: Browser) -> None:
    """Everything is reached without a mouse, in dark, with less motion, on a narrow screen."""
    netlab("up", "overlay")
    options = {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "reduced_motion": "reduce"}
    with served("overlay") as address, opened(browser, address, **options) as page:
        assert page.locator("html").get_attribute("data-theme") == "dark"
        page.locator(f'.pick[data-key="{CLIENT}"]').first.focus()
        page.keyboard.press("Enter")
        page.locator(f'.pick[data-key="{SERVER}"]').first.focus()
        page.keyboard.press("Enter")
        walked(page, 1)
        shown(page, "narrow")
        page.keyboard.press("Escape")
        page.get_by_text("Send a packet").wait_for(timeout=WAIT)
    netlab("down", "overlay")


def hostile(browser: Browser) -> None:
    """A page of another site, in the same browser, gets nothing; a rule's comment is text."""
    netlab("up", "overlay")
    comment = '"<img src=x onerror=document.title=1>"'
    rules = f"add table ip bad; add chain ip bad c; add rule ip bad c counter comment {comment}"
    subprocess.run(["ip", "netns", "exec", "overlay-node-1", "nft", rules], check=True)
    with served("overlay") as address, tempfile.TemporaryDirectory() as folder:
        base = address.partition("/?")[0]
        (Path(folder) / "index.html").write_text(HOSTILE.replace("TARGET", base))
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            context = browser.new_context()
            page = context.new_page()
            page.goto(address)
            page.wait_for_selector("svg.netlab .pick", timeout=WAIT)
            page.get_by_text("is of another program").first.wait_for(timeout=WAIT)
            assert page.locator("img").count() == 0
            other = context.new_page()
            other.goto(f"http://localhost:{server.server_address[1]}/")
            other.wait_for_function("document.title.includes('rejected')", timeout=WAIT)
            assert other.title() == "rejected rejected rejected"
            assert other.frames[1].locator("svg").count() == 0, "no frame shows the page"
            context.close()
            server.shutdown()
    netlab("down", "overlay")


MARKUP = "<main><p title=x class=y>a<script>b</script><img src=x><a href=javascript:z>c</a><svg><script>d</script></svg><iframe srcdoc=e></iframe></p></main>"
READ = f"""import("/dom.js").then(dom => {{
  const box = document.createElement("div")
  box.append(...dom.read({MARKUP!r}, "main"))
  return box.innerHTML
}})"""
# A link, a title, the clipboard, a size, and an answer that a terminal would type: none may do anything to the page.
ESCAPES = r"\033]8;;javascript:document.title=1\007link\033]8;;\007\033]2;taken\007\033]52;c;dGFrZW4=\007\033[8;5;5t\033[21t<b>plain</b>"


def terminal(browser: Browser) -> None:
    """Type in a terminal on a Pod and on a node; what a command prints cannot drive the page."""
    netlab("up", "overlay")
    with served("overlay") as address, opened(browser, address, color_scheme="dark") as page:
        choose(page, CLIENT)
        page.get_by_role("button", name="Open a terminal").click()
        lines = page.locator(".term:not([hidden]) .xterm-rows")
        lines.get_by_text("client:/#").wait_for(timeout=WAIT)
        page.keyboard.type("ping -c1 -q 10.244.2.2 | grep -o '1 received'; stty size; tty\n")
        lines.get_by_text("1 received", exact=True).wait_for(timeout=WAIT)
        page.keyboard.type(f"printf '{ESCAPES}'; echo; echo $((40+2))\n")
        lines.get_by_text("42", exact=True).wait_for(timeout=WAIT)
        assert page.title() == "overlay · netlab"
        assert page.locator(".term b, .term a").count() == 0
        shown(page, "terminal")
        page.keyboard.press("Control+Shift+Escape")
        assert page.evaluate("document.activeElement.getAttribute('role')") == "tab"
        page.keyboard.press("Escape")
        page.locator('.pick[data-key="node:node-1"]').first.focus()
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Open a terminal").click()
        lines.get_by_text("node-1:/#").wait_for(timeout=WAIT)
        page.keyboard.type("exit\n")
        page.wait_for_selector('html[data-hungup="1"]', timeout=WAIT)
        page.get_by_role("button", name="Close").click()
        page.get_by_role("button", name="Close").click()
        assert page.locator("#dock").is_hidden()
    netlab("down", "overlay")


# Screenshots of docs/page.md, by the name that a step gives them; and those of the sheet of dark ones.
SCREENS = {
    "died": "page.png",
    "denied": "page-flows.png",
    "policies": "page-policies.png",
    "capture": "page-capture.png",
    "fault": "page-fault.png",
    "exercise": "page-exercise.png",
    "terminal": "page-terminal.png",
    "narrow": "page-narrow.png",
}
DARK = ("died", "denied", "policies", "capture", "exercise", "large")


BAIT = "<img src=x onerror=document.title=1>"


def capture(browser: Browser) -> None:
    """Capture at a Pod, see the packets come, open one, download them; a payload is text, and a filter's error is shown."""
    netlab("up", "overlay")
    with served("overlay") as address, opened(browser, address) as page:
        choose(page, CLIENT)
        page.get_by_role("button", name="Capture here").click()
        page.locator("#side").get_by_text("capturing at").wait_for(timeout=WAIT)
        netlab("exec", "client", "--", "ping", "-c1", "10.244.2.2")
        page.locator("#packets summary").filter(has_text="echo request").wait_for(timeout=WAIT)
        page.locator("#packets summary").filter(has_text="echo reply").wait_for(timeout=WAIT)
        page.get_by_role("button", name="Stop").click()
        page.wait_for_selector('html[data-captured="1"]', timeout=WAIT)
        with page.expect_download() as download:
            page.get_by_role("link", name="Download pcapng").click()
        assert download.value.suggested_filename == "overlay-1.pcapng"
        assert Path(download.value.path()).read_bytes().startswith(b"\n\r\r\n")
        page.locator("#capture-at").select_option("")
        page.get_by_label("Filter").fill("tcp port 80")
        page.get_by_role("button", name="Start").click()
        page.locator("#side").get_by_text("capturing at").wait_for(timeout=WAIT)
        netlab("exec", "client", "--", "sh", "-c", f"echo 'GET /{BAIT} HTTP/1.0' | nc -w2 10.244.2.2 80 || true")
        row = page.locator("#packets summary").filter(has_text=BAIT)
        row.first.wait_for(timeout=WAIT)
        inside = page.locator("#packets details").filter(has_text=re.compile("VXLAN")).filter(has_text=BAIT).first
        inside.locator("summary").click()
        inside.locator(".layer").first.wait_for(timeout=WAIT)
        assert "VXLAN" in inside.locator(".layer").first.inner_text()
        assert page.locator("#packets details.same").count() > 5, "the same packet is marked at each interface"
        shown(page, "capture")
        page.get_by_role("button", name="Stop").click()
        page.wait_for_selector('html[data-captured="2"]', timeout=WAIT)
        page.get_by_label("Filter").fill("no such word")
        page.keyboard.press("Enter")
        page.locator("#side [role=alert]").wait_for(timeout=WAIT)
        assert page.locator("img").count() == 0
        assert page.title() == "overlay · netlab"
    netlab("down", "overlay")


def policies(browser: Browser) -> None:
    """Who may reach a Pod, from which rule; the rule's lines are marked in the YAML; then the other direction."""
    netlab("up", "policy")
    with served("policy") as address, opened(browser, address) as page:
        choose(page, SERVER)
        page.get_by_role("button", name="Who may reach it?").click()
        page.wait_for_selector('html[data-judged="1"]', timeout=WAIT)
        assert page.locator(".judged.may").first.inner_text().startswith("✓ client")
        denied = page.locator(".judged.not").filter(has_text="intruder").inner_text()
        assert "has app=intruder, not app=client" in denied
        page.locator(".judged.may .rulelink").first.click()
        marked = page.locator(".line.chosen .words").all_inner_texts()
        assert [line.strip() for line in marked] == [
            "- from:",
            "- podSelector:",
            "matchLabels:",
            "app: client",
            "ports:",
            "- protocol: TCP",
            "port: 80",
        ]
        shown(page, "policies")
        page.locator("#policy-pod").select_option("default/intruder")
        page.wait_for_selector('html[data-judged="2"]', timeout=WAIT)
        page.locator("#policy-side").select_option("egress")
        page.wait_for_selector('html[data-judged="3"]', timeout=WAIT)
        assert "server" in page.locator(".judged.not").inner_text()
        page.get_by_role("tab", name="Flows").click()
        page.wait_for_selector('html[data-probed="1"]', timeout=WAIT)
        shown(page, "denied")
    netlab("down", "policy")


def exercise(browser: Browser) -> None:
    """Finish an exercise on the page: answers, a hint, and a fault that is mended; then break by chance and heal."""
    shutil.rmtree(os.environ["XDG_STATE_HOME"], ignore_errors=True)
    netlab("up", "overlay")
    with served("overlay") as address, opened(browser, address) as page:
        page.get_by_role("tab", name="Exercise").click()
        page.get_by_role("button", name="Begin").click()
        current = page.locator("li.now")
        for title, value in ANSWERS:
            current.get_by_text(title, exact=True).wait_for(timeout=WAIT)
            page.get_by_label("Answer").fill("wrong")
            page.keyboard.press("Enter")
            current.get_by_text("No, that is not the answer").wait_for(timeout=WAIT)
            assert page.evaluate("document.activeElement.id") == "answer", "the panel is drawn anew, the focus stays"
            page.get_by_role("button", name="Hint").first.click()
            current.locator(".hint").wait_for(timeout=WAIT)
            shown(page, "exercise")
            page.get_by_label("Answer").fill(value())
            page.keyboard.press("Enter")
            current.get_by_text(title, exact=True).wait_for(state="detached", timeout=WAIT)
        current.get_by_text("A firewall that does not know tunnels").wait_for(timeout=WAIT)
        assert page.locator(".read h1").count() == 1
        assert page.locator(".read a, .read script").count() == 0
        assert page.evaluate(READ) == "<p>ac</p>", "of a page's markup its text stays"
        page.get_by_role("tab", name="Picture").click()
        page.get_by_text("a secret fault", exact=True).wait_for(timeout=WAIT)
        page.get_by_role("button", name="Heal").click()
        page.get_by_text("tunnel-port-filtered").wait_for(timeout=WAIT)
        page.get_by_role("tab", name="Exercise").click()
        page.get_by_text("Done in").wait_for(timeout=WAIT)
        assert page.locator("ol.steps .good").count() == 4
        shown(page, "exercise-done")
        page.get_by_role("tab", name="Picture").click()
        page.get_by_role("button", name="Choose a fault…").click()
        page.locator("#fault").select_option("route-to-peer-missing")
        page.get_by_role("button", name="Break", exact=True).click()
        page.locator(".drift").get_by_text("route-to-peer-missing").wait_for(timeout=WAIT)
        shown(page, "fault")
        page.get_by_role("button", name="Heal").click()
        page.get_by_text("✓ healed").wait_for(timeout=WAIT)
    netlab("down", "overlay")


def large(browser: Browser) -> None:
    """Four hundred Pods are drawn and moved."""
    with tempfile.TemporaryDirectory() as folder:
        nodes = ", ".join(f"{{name: node-{number}}}" for number in range(1, 21))
        spec = Path(folder) / "lab.yaml"
        spec.write_text(
            "apiVersion: netlab/v1\nkind: Lab\nmetadata: {name: large}\n"
            f"spec: {{dataplane: vxlan, nodes: [{nodes}]}}\n---\n"
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 400\n"
            "  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n"
            "    spec: {containers: [{name: web, image: nginx, ports: [{containerPort: 80}]}]}\n"
        )
        netlab("up", str(spec))
    with served("large") as address:
        began = time.monotonic()
        with opened(browser, address) as page:
            drawn = time.monotonic() - began
            assert page.locator('.sq[data-key^="pod:"]').count() == 400
            frames = page.evaluate(
                """() => new Promise(done => { let n = 0, x = 0; const stage = document.getElementById("stage"), end = performance.now() + 2000
                const send = (kind, x) => stage.dispatchEvent(new PointerEvent(kind, {bubbles: true, clientX: 300 + x, clientY: 300}))
                send("pointerdown", 0); requestAnimationFrame(function step(now) { n++; send("pointermove", x = (x + 7) % 200); now < end ? requestAnimationFrame(step) : done(n / 2) }) })"""
            )
            shown(page, "large")
            moved = f"{frames:.0f} frames a second while moved"
            say(f"  400 Pods: drawn {drawn:.2f} s after the address was opened, {moved}")
    netlab("down", "large")


STEPS: tuple[Callable[[Browser], None], ...] = (
    learner,
    keyboard,
    hostile,
    terminal,
    capture,
    policies,
    exercise,
    large,
)

# Short ones, for each change: a lab that breaks, packets, policies.
PART = (learner, capture, policies)


def main() -> int:
    """Run the steps that are named, with ``--part`` a few, or all; a line each."""
    named = {word for word in sys.argv[1:] if not word.startswith("--")}
    steps = PART if "--part" in sys.argv else STEPS
    SHOTS.mkdir(parents=True, exist_ok=True)
    failed = 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ["NETLAB_BROWSER"], args=["--no-sandbox", "--disable-gpu"]
        )
        for step in steps:
            if named and step.__name__ not in named:
                continue
            if step is terminal and not XTERM.is_file():
                say("terminal: not run: there is no xterm.js; ./bootstrap.sh --page fetches it")
                continue
            try:
                step(browser)
                say(f"{step.__name__}: passed")
            except Exception:  # noqa: BLE001 - the next step is run all the same
                failed += 1
                traceback.print_exc()
                say(f"{step.__name__}: FAILED")
                netlab("down", "--all")
        browser.close()
    if "--screens" in sys.argv and not failed:
        screens()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
