"""What this host shows of itself, for ``causes``."""

from __future__ import annotations

import os
import sys

from netlab.runtime.rootless.causes import Cause, Facts, Refusal, cause


def explained(refusal: Refusal) -> Cause:
    """The cause behind a refusal on this host."""
    folder = os.path.dirname(sys.executable)
    return cause(
        refusal,
        Facts(
            sysctl=lambda name: _text(f"/proc/sys/{name.replace('.', '/')}"),
            container=os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv") or _is_filtered(),
            chroot=_is_chroot(),
            profile=(_text("/proc/self/attr/current") or "").rstrip("\0").partition(" ")[0],
            program=f"{folder}/{{netlab,kubenetlab,invoke,inv}}",
        ),
    )


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def _is_filtered() -> bool:
    """Whether a seccomp filter holds this process, as a container engine sets."""
    return "\nSeccomp:\t2" in (_text("/proc/self/status") or "")


def _is_chroot() -> bool:
    """Whether / is no mount point: then this process, or a parent, has changed its root."""
    table = _text("/proc/self/mountinfo")
    return table is not None and not any(line.split(" ")[4:5] == ["/"] for line in table.splitlines())
