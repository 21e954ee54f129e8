"""LAB and -f on the command line become the texts of a lab."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from netlab.errors import BadInput, NetlabError
from netlab.names import LAB_NAME_MAX, is_dns_label
from netlab.runtime.state.labs import find
from netlab.runtime.state.rundir import Applied, RunDir, running
from netlab.spec import load_texts, read_texts
from netlab.spec.load import NOT_MANIFESTS, SUFFIXES


def draft(lab: str, files: Sequence[str], name: str, namespace: str = "") -> Applied:
    """The documents of ``up`` and ``plan``.  Raises BadInput with every problem of the reading.

    Without a Lab document its name is that of the folder or file, made a DNS label.  ``namespace``: of the objects that
    name none; "": as the running lab of that source has it, else ``default``.
    """
    if not lab and not files:
        raise BadInput("no lab is named: give its name, a path, or -f FILE", hint="netlab labs lists them")
    sources: list[str | Path] = []
    if lab:
        try:
            sources.append(find(lab).path)
        except BadInput:
            applied = RunDir(lab).applied() if is_dns_label(lab, LAB_NAME_MAX) else None
            if applied is None:
                raise
            # A running lab by its own name (--name): what it came from, or what is kept of it where that has gone.
            if not os.path.exists(applied.source):
                return applied
            sources.append(applied.source)
            name = name or applied.name
    sources += files
    texts, problems = read_texts(sources)
    if problems:
        raise BadInput(load_texts(texts, problems).problems)
    source = str(sources[0]) if str(sources[0]) == "-" else os.path.realpath(sources[0])
    if not name and not any(
        "kind" in text and re.search(r"\bkind['\"]?\s*:\s*['\"]?Lab\b", text) for _, text, _ in texts
    ):
        name = _label(Path(source).stem if source != "-" else "lab")
    applied = Applied(source, name, tuple((file, text, namespace or _last(source)) for file, text, _ in texts))
    if any("cni" in text and re.search(r"\bcni['\"]?\s*:", text) for _, text, _ in texts):
        from netlab.runtime.cni.draft import with_conflist

        applied = with_conflist(applied)
    return applied


def _last(source: str) -> str:
    """The namespace that ``-n`` gave to the running lab of that source, so that ``up`` again changes nothing."""
    for rundir in running():
        with contextlib.suppress(NetlabError, OSError):
            applied = rundir.applied()
            if applied is not None and applied.source == source and applied.spec and len(applied.spec[0]) > 2:
                return applied.spec[0][2]
    return "default"


def _label(text: str) -> str:
    """The nearest DNS label to a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:LAB_NAME_MAX].rstrip("-") or "lab"


def beside(lab: str, files: Sequence[str]) -> list[str]:
    """The manifests in the folder of a lab's file that the lab was brought up without."""
    if not os.path.isfile(lab) or os.path.basename(lab) != "lab.yaml":
        return []
    given = {os.path.realpath(file) for file in (lab, *files)}
    folder = os.path.dirname(os.path.realpath(lab))
    names = (os.path.join(folder, name) for name in sorted(os.listdir(folder)))
    manifests = [file for file in names if file.endswith(SUFFIXES) and os.path.basename(file) not in NOT_MANIFESTS]
    return [] if folder in given else [os.path.basename(file) for file in manifests if file not in given]
