"""The list of CNI plugins that a Lab names, read when the lab's files are."""

from __future__ import annotations

import os
from dataclasses import replace

from netlab.errors import BadInput, Problem
from netlab.runtime.host import trust
from netlab.runtime.state.resolved import documents_of
from netlab.runtime.state.rundir import Applied, caller

_SUFFIXES = (".conflist", ".conf", ".json")


def with_conflist(applied: Applied) -> Applied:
    """The documents with the text of the list that their Lab names.

    Raises BadInput for a folder without a list, and for one whose programs this lab may not name (``host.trust``).
    """
    lab = documents_of(applied).lab
    named = lab.body.get("spec", {}).get("dataplane") if lab else None
    if lab is None or not isinstance(named, dict):
        return applied
    mark = lab.at("spec", "dataplane", "cni")
    folder = os.path.abspath(os.path.join(os.path.dirname(mark.file), named["cni"]))
    trust.require(applied, [trust.Program(folder, "spec.dataplane.cni", mark)], applied.owner or caller())
    file = _first(folder)
    if not file:
        message = f"{folder} has no network configuration list ({', '.join(f'*{each}' for each in _SUFFIXES)})"
        raise BadInput([Problem(mark, "spec.dataplane.cni", message)])
    try:
        with open(file, encoding="utf-8") as stream:
            return replace(applied, conflist=(file, stream.read()))
    except (OSError, ValueError) as error:
        raise BadInput([Problem(mark, "spec.dataplane.cni", f"{file}: {error}")]) from error


def _first(folder: str) -> str:
    """The first list by name, as a container runtime takes it; "" where there is none."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(_SUFFIXES))
    return os.path.join(folder, names[0]) if names else ""
