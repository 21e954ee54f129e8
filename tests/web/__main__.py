"""``invoke web-test``: the live page in a real browser, Debian's chromium, without its window; screenshots go to build/web.

Playwright comes from the package index into build/web/python and drives the chromium of the host.  The labs are made in a
world of namespaces of their own, and the browser runs there too: it reaches nothing but the page.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "web"
PLAYWRIGHT = "playwright==1.56.0"
_WORLD = ("unshare", "--mount", "--net", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc")
# An empty /run, so that no lab of the host is seen, and loopback, which the browser needs.
_SETUP = 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"'


def types() -> int:
    """Check the types of the page's modules, which stand in their comments, by tsc; 0 where there is no npm."""
    npm = shutil.which("npm")
    if npm is None:
        sys.stderr.write("types of the page: not run: there is no npm\n")
        return 0
    folder = BUILD / "types"
    if not (folder / "node_modules").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(Path(__file__).with_name(name), folder)
        words = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        if subprocess.run(words, cwd=folder, check=False).returncode:
            shutil.rmtree(folder, ignore_errors=True)
            sys.stderr.write("types of the page: not run: npm ci failed\n")
            return 0
    tsc = folder / "node_modules" / ".bin" / "tsc"
    return subprocess.run([tsc, "-p", Path(__file__).with_name("tsconfig.json")], check=False).returncode


def main() -> int:
    """Install what is missing under build/, then run the steps; the exit status is theirs, 3 where the host cannot."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        sys.stderr.write("not run: there is no chromium (apt-get install --no-install-recommends chromium)\n")
        return 3
    if os.geteuid() != 0:
        sys.stderr.write("not run: the world of the labs needs root\n")
        return 3
    if types():
        return 1
    folder = BUILD / "python"
    if not folder.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-m", "pip", "install", "-q", "--target", str(folder), PLAYWRIGHT]
        if subprocess.run(words, check=False).returncode:
            shutil.rmtree(folder, ignore_errors=True)
            sys.stderr.write(f"not run: {PLAYWRIGHT} could not be installed\n")
            return 3
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{folder}", "NETLAB_BROWSER": browser,
                   "XDG_STATE_HOME": str(BUILD / "state")}  # fmt: skip
    steps = [sys.executable, str(Path(__file__).with_name("steps.py")), *sys.argv[1:]]
    return subprocess.run(
        [*_WORLD, "sh", "-ec", _SETUP, "web", *steps], cwd=ROOT, env=environment, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
