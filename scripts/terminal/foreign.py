"""The foreign part of the lab's page: xterm.js, by npm's lock, into netlab/serve/foreign.

The build of the wheel imports this (scripts/wheel.py), and ``bootstrap.sh --page`` runs it.  Node is needed here alone.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOREIGN = HERE.parents[1] / "netlab" / "serve" / "foreign"
FILES = {
    "@xterm/xterm/lib/xterm.mjs": "xterm.mjs",
    "@xterm/addon-fit/lib/addon-fit.mjs": "addon-fit.mjs",
    "@xterm/xterm/css/xterm.css": "xterm.css",
    "@xterm/xterm/LICENSE": "LICENSE.txt",
}
SECONDS = 120


def fetch() -> str:
    """Put the files there; what is wrong, or ""."""
    npm = shutil.which("npm")
    if npm is None:
        return "there is no npm"
    with tempfile.TemporaryDirectory() as folder:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, folder)
        words = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        try:
            subprocess.run(words, cwd=folder, check=True, timeout=SECONDS, stdout=subprocess.DEVNULL)
        except (subprocess.SubprocessError, OSError) as error:
            return f"npm ci: {error}"
        FOREIGN.mkdir(exist_ok=True)
        for path, name in FILES.items():
            text = (Path(folder) / "node_modules" / path).read_text(encoding="utf-8")
            lines = [line for line in text.splitlines(keepends=True) if not line.startswith("//# sourceMappingURL=")]
            (FOREIGN / name).write_text("".join(lines), encoding="utf-8")
    return ""


def is_there() -> bool:
    """Whether all files are there."""
    return all((FOREIGN / name).is_file() for name in FILES.values())


if __name__ == "__main__":
    wrong = fetch()
    if wrong:
        sys.stderr.write(f"the page has no terminals: {wrong}\n")
    sys.exit(3 if wrong else 0)
