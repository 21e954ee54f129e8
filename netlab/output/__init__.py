"""The JSON documents that verbs print with ``-o json``: a frozen dataclass for each, and where each stands.

A dataclass's fields are the document's keys, in their order.  Names and meanings are stable; fields may be added.  The
modules are imported only when a document is printed.
"""

from __future__ import annotations

from importlib import import_module
from types import GenericAlias
from typing import Any

#: What is printed, or sent as an event of the page -> the module and the dataclass of the document, or of each item where the document is a list.
DOCUMENTS = {
    "apply": "changes.Applied",
    "break": "faults.Broken",
    "break --list": "faults.KnownFault[]",
    "capture": "trace.Capture",
    "capture file": "trace.CaptureFile",
    "check": "flows.Check",
    "class grade": "learn.Grade[]",
    "class status": "learn.ClassStatus",
    "delete": "changes.Deleted",
    "diagnose": "diagnosis.Diagnosis",
    "diff": "changes.Diff",
    "down": "changes.Down[]",
    "doctor": "doctor.Doctor",
    "explain": "flows.Explanation",
    "graph": "graph.Graph",
    "get addresses": "kernel.Address[]",
    "get fdb": "kernel.FdbEntry[]",
    "get links": "kernel.Link[]",
    "get neighbours": "kernel.Neighbour[]",
    "get nft": "kernel.NftObject[]",
    "get routes": "kernel.Route[]",
    "get sysctls": "kernel.Sysctl[]",
    "heal": "faults.Healed",
    "label": "changes.Labelled",
    "labs": "changes.AvailableLab[]",
    "learn": "learn.CourseExercise[]",
    "learn --hand-in": "learn.HandIn",
    "link": "changes.Links",
    "ls": "changes.RunningLab[]",
    "plan": "changes.Plan",
    "reach": "flows.Reach",
    "serve down": "page.Down",
    "serve drift": "page.Drift",
    "serve exercise": "page.Exercise",
    "serve picture": "page.Picture",
    "test": "flows.Test",
    "trace": "trace.Trace",
    "trace --versus": "trace.Versus",
    "up": "changes.Up",
}


def document(title: str) -> Any:
    """The type of a document by its key in ``DOCUMENTS``: a dataclass, or a tuple of one where a list is printed."""
    module, _, name = DOCUMENTS[title].partition(".")
    kind = getattr(import_module(f"{__name__}.{module}"), name.removesuffix("[]"))
    return GenericAlias(tuple, (kind, ...)) if name.endswith("[]") else kind
