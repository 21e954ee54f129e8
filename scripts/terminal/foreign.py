"""The foreign part of the lab's page: xterm.js, by npm's lock, into netlab/serve/foreign.

A build of the wheel runs this as a hook of hatchling, ``bootstrap.sh --page`` as a program.  Node is needed here alone.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

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


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # a program, and no build
    pass
else:

    class Page(BuildHookInterface[Any]):
        """The wheel carries the files; without npm it is a wheel whose page has no terminals."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Before the wheel is made; a checkout that is installed as it is takes what it has."""
            if version == "editable":
                return
            wrong = "" if is_there() else fetch()
            if wrong:
                self.app.display_warning(f"the page of this wheel has no terminals: {wrong}")
                return
            for name in FILES.values():
                build_data["force_include"][str(FOREIGN / name)] = f"netlab/serve/foreign/{name}"


if __name__ == "__main__":
    wrong = fetch()
    if wrong:
        sys.stderr.write(f"the page has no terminals: {wrong}\n")
    sys.exit(3 if wrong else 0)
