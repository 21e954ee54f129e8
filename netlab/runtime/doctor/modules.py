"""Where a module of the kernel is: in the kernel, in a file, or nowhere.

A request for a device, a rule or a socket whose module is not loaded makes the kernel load it, which changes the host.
So this is looked up before anything is tried.
"""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path


class Where(Enum):
    """What a request for the module would find."""

    IN_KERNEL = "in the kernel"
    IN_A_FILE = "not loaded yet; the kernel loads it for the first lab that needs it"
    NOWHERE = "this kernel has no such module"
    UNKNOWN = "not loaded, and this system does not show which modules the kernel could load"


class Modules:
    """The modules of the running kernel, as the files below ``root`` have them."""

    def __init__(self, release: str, root: Path = Path("/")) -> None:
        self._loaded = _names(root / "proc/modules", r"^(\S+)")
        self._root = root
        files = next((f for top in ("lib", "usr/lib") if (f := root / top / "modules" / release).is_dir()), None)
        self._built_in = _names(files / "modules.builtin", r"([^/\s]+)\.ko") if files else None
        self._files = _names(files / "modules.dep", r"^\S*?([^/\s]+)\.ko[.\w]*:") if files else None
        self._locked = _read(root / "proc/sys/kernel/modules_disabled").strip() == "1"

    def where(self, names: tuple[str, ...]) -> tuple[Where, str]:
        """The worst place of the modules, and the first module that is there."""
        places = [(self._where(name), name) for name in names]
        order = (Where.NOWHERE, Where.UNKNOWN, Where.IN_A_FILE)
        return next((pair for where in order for pair in places if pair[0] is where), (Where.IN_KERNEL, ""))

    def _where(self, name: str) -> Where:
        if self._loaded is None or name in self._loaded or self._shown(name):
            return Where.IN_KERNEL  # without /proc/modules the kernel loads none: whatever is tried changes nothing
        if self._built_in is None or self._files is None:
            return Where.NOWHERE if self._locked else Where.UNKNOWN
        if name in self._built_in:
            return Where.IN_KERNEL
        return Where.IN_A_FILE if name in self._files and not self._locked else Where.NOWHERE

    def _shown(self, name: str) -> bool:
        """Whether the kernel shows files of a module: of those that are loaded, and of some that are built in."""
        return (self._root / "sys/module" / name).is_dir() or (
            name == "af_packet" and (self._root / "proc/net/packet").exists()
        )


def _names(file: Path, pattern: str) -> frozenset[str] | None:
    """The modules' names in a file; None where it cannot be read."""
    text = _read(file)
    if not text and not file.exists():
        return None
    return frozenset(name.replace("-", "_") for name in re.findall(pattern, text, re.MULTILINE))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
