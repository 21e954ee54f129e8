"""``invoke web-test``: the live page in a real browser, Debian's chromium, without its window; screenshots go to build/web.

Playwright comes from the package index into build/web/python and drives the chromium of the host.  The labs are made in a
world of namespaces of their own, and the browser runs there too: it reaches nothing but the page.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "web"
XTERM = ROOT / "netlab" / "serve" / "foreign" / "xterm.mjs"  # of the page's terminals, in no repository
PACKAGES = ("playwright==1.56.0", "pillow==11.3.0")  # pillow for --screens
_CANNOT = 3
_INSTALL = 60  # seconds for apt-get
_PAGES = ("netlab/serve/static", "netlab/serve/wall")
_WORLD = ("unshare", "--mount", "--net", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc")
# An empty /run, so that no lab of the host is seen, and loopback, which the browser needs.
_SETUP = 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"'


def modules() -> Path | None:
    """The folder of what npm's locked packages bring: tsc, biome and axe-core; None where they cannot be had."""
    npm = shutil.which("npm")
    if npm is None:
        sys.stderr.write("types, lints and accessibility of the page: not run: there is no npm\n")
        return None
    folder, here = BUILD / "npm", Path(__file__).parent
    lock = (here / "package-lock.json").read_text()
    stamp = folder / "package-lock.json"
    if not (folder / "node_modules").exists() or stamp.read_text() != lock:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copy(here / "package.json", folder)
        stamp.write_text(lock)
        words = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        if subprocess.run(words, cwd=folder, check=False).returncode:
            shutil.rmtree(folder, ignore_errors=True)
            sys.stderr.write("types, lints and accessibility of the page: not run: npm ci failed\n")
            return None
    return folder / "node_modules"


def checked(there: Path) -> bool:
    """Whether the types of the page's modules, which stand in their comments, are right, and the linter finds nothing."""
    here = Path(__file__).parent
    lint = [there / ".bin" / "biome", "lint", "--error-on-warnings", f"--config-path={here}", *_PAGES]
    commands = ([there / ".bin" / "tsc", "-p", here / "tsconfig.json"], lint)
    return not any(subprocess.run(words, cwd=ROOT, check=False).returncode for words in commands)


def chromium(*, install: bool) -> str | None:
    """The host's chromium; ``install``: by apt-get, where it is not there."""
    there = shutil.which("chromium") or shutil.which("chromium-browser")
    if there is None and install and shutil.which("apt-get") and os.geteuid() == 0:
        words = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(words, check=False, stdout=subprocess.DEVNULL, env=environment, timeout=_INSTALL)
        there = shutil.which("chromium")
    return there


def main() -> int:
    """Install what is missing under build/, then run the steps; the exit status is theirs, 3 where the host cannot.

    ``--if-possible`` installs chromium too, and has exit status 0 where the host cannot.
    """
    given = sys.argv[1:]
    is_optional = "--if-possible" in given
    status = run([word for word in given if word != "--if-possible"], install=is_optional)
    return 0 if is_optional and status == _CANNOT else status


def run(given: list[str], *, install: bool) -> int:
    """Run the steps with these words."""
    browser = chromium(install=install)
    if browser is None:
        sys.stderr.write("not run: there is no chromium (apt-get install --no-install-recommends chromium)\n")
        return _CANNOT
    if os.geteuid() != 0:
        sys.stderr.write("not run: the world of the labs needs root\n")
        return _CANNOT
    there = modules()
    if there and not checked(there):
        return 1
    folder = BUILD / "python"
    if not folder.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), *PACKAGES]
        if subprocess.run(words, check=False).returncode:
            shutil.rmtree(folder, ignore_errors=True)
            sys.stderr.write(f"not run: {PACKAGES[0]} could not be installed\n")
            return _CANNOT
    if "--part" not in given and not XTERM.is_file():  # the step says so where it cannot be had
        subprocess.run([sys.executable, str(ROOT / "scripts/terminal/foreign.py")], check=False)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{folder}", "NETLAB_BROWSER": browser,
                   "XDG_STATE_HOME": str(BUILD / "state")}  # fmt: skip
    if there:
        environment["NETLAB_AXE"] = str(there / "axe-core" / "axe.min.js")
    steps = [sys.executable, str(Path(__file__).with_name("steps.py")), *given]
    return subprocess.run(
        [*_WORLD, "sh", "-ec", _SETUP, "web", *steps], cwd=ROOT, env=environment, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
