"""Warnings that the author does not want: ``--ignore CODE[:OBJECT]``, and the annotation ``netlab/ignore`` of an object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netlab.errors import BadInput
from netlab.lint.codes import ALL
from netlab.near import near
from netlab.spec import Document, Documents, Warning
from netlab.tuples import NamedTuple

ANNOTATION = "netlab/ignore"


class Ignore(NamedTuple):
    """``object`` is empty for all of the code's; else ``Kind namespace/name``, ``namespace/name`` or ``name``."""

    code: str
    object: str = ""

    @classmethod
    def parse(cls, text: str) -> Ignore:
        """Raises BadInput for a code that does not exist."""
        code, _, name = (part.strip() for part in text.partition(":"))
        if code not in ALL:
            raise BadInput(f"--ignore {text}: no code {code!r}{near(code, ALL)}", hint="docs/lint.md lists the codes")
        return cls(code, name)

    def matches(self, warning: Warning) -> bool:
        """Whether a warning is ignored."""
        if warning.code != self.code:
            return False
        full = warning.object.partition(" ")[2]
        return self.object in ("", warning.object, full, full.rpartition("/")[2])


def kept(warnings: Iterable[Warning], documents: Documents, ignore: Sequence[str] = ()) -> list[Warning]:
    """The warnings without those that are ignored, and a warning about each annotation that names no code."""
    ignores = [Ignore.parse(text) for text in ignore]
    annotated = {str(document): _codes(document) for document in documents.objects}
    unknown = [
        _unknown(document, code) for document in documents.objects for code in _codes(document) if code not in ALL
    ]
    return [
        warning
        for warning in (*warnings, *unknown)
        if warning.code not in annotated.get(warning.object, ()) and not any(each.matches(warning) for each in ignores)
    ]


def _codes(document: Document) -> list[str]:
    text = document.body["metadata"].get("annotations", {}).get(ANNOTATION, "")
    return [code for word in text.split(",") for code in word.split()] if text else []


def _unknown(document: Document, code: str) -> Warning:
    message = f"{document}: annotation {ANNOTATION}: no code {code!r}{near(code, ALL)}"
    mark = document.at("metadata", "annotations", ANNOTATION)
    return Warning("ignore-unknown", message, mark, str(document))
