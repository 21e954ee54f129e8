"""What the build of a wheel adds to netlab's own files: man pages, completion of shells, and the page's terminal."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent))

#: Where the shells look below a prefix, each for the program of that name.
_COMPLETIONS = {
    "bash": "share/bash-completion/completions/netlab",
    "zsh": "share/zsh/site-functions/_netlab",
    "fish": "share/fish/vendor_completions.d/netlab.fish",
}


class Wheel(BuildHookInterface[Any]):
    """Adds files to a wheel; a checkout that is installed as it is takes what it has."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Before the wheel is made."""
        if version == "editable":
            return
        self._made = tempfile.TemporaryDirectory()
        for path, text in self._texts().items():
            file = Path(self._made.name) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            build_data["shared_data"][str(file)] = path
        self._terminal(build_data)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """After the wheel was made."""
        if version != "editable":
            self._made.cleanup()

    def _texts(self) -> dict[str, str]:
        import commandpages

        from netlab.cli.complete import script

        pages = {f"share/man/man1/{name}": text for name, text in commandpages.manual().items()}
        return {**pages, **{path: script(shell) + "\n" for shell, path in _COMPLETIONS.items()}}

    def _terminal(self, build_data: dict[str, Any]) -> None:
        """xterm.js, in no repository; without npm it is a wheel whose page has no terminals."""
        from terminal import foreign

        wrong = "" if foreign.is_there() else foreign.fetch()
        if wrong:
            self.app.display_warning(f"the page of this wheel has no terminals: {wrong}")
            return
        for name in foreign.FILES.values():
            build_data["force_include"][str(foreign.FOREIGN / name)] = f"netlab/serve/foreign/{name}"
