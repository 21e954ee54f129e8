"""``ask``: a question whose answer is written in the file, or stands in the observed state of the lab."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_interface
from typing import Any, ClassVar

from netlab.exercise.facts import Facts, Look
from netlab.exercise.places import netns_of
from netlab.objects import Obj, Veth
from netlab.objects.links import Device, End
from netlab.values import dataclass

_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Query:
    """The field of the first observed object of a kind, in a namespace, that has the fields of ``where``."""

    kind: str
    at: str
    field: str
    where: tuple[tuple[str, str], ...] = ()

    def answers(self, facts: Facts) -> tuple[str, ...]:
        """The value, as a text; none where no object fits."""
        netns = netns_of(facts.cluster, self.at)
        for obj in facts.objects():
            if obj.kind == self.kind or (self.kind == "device" and isinstance(obj, Device)):
                side = _side(obj, netns)
                if side is not None and all(str(getattr(side, name, "")) == value for name, value in self.where):
                    return (str(getattr(side, self.field, "")),)
        return ()


def _side(obj: Obj, netns: str) -> Obj | End | None:
    """What an object is in a namespace: of a veth, the end there."""
    if isinstance(obj, Veth):
        return next((end for end in (obj.end, obj.peer) if end.netns == netns), None)
    return obj if obj.netns == netns else None


@dataclass(frozen=True, slots=True)
class Ask:
    """``right``: the answers of the file; ``observed``: where the answer stands instead."""

    KEEPS: ClassVar[bool] = True
    SENDS: ClassVar[bool] = False

    question: str
    right: tuple[str, ...] = ()
    observed: Query | None = None
    tolerance: int = 0

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Ask:
        if ("answer" in fields) == ("observed" in fields):
            raise ValueError("question: needs answer or observed, exactly one")
        query = None
        if observed := fields.get("observed"):
            where = tuple((name, str(value)) for name, value in observed.get("where", {}).items())
            query = Query(observed["kind"], observed["at"], observed["field"], where)
        right = tuple(str(answer) for answer in fields.get("answer", ()))
        return cls(fields["question"], right, query, fields.get("tolerance", 0))

    def look(self, facts: Facts) -> Look:
        given = facts.answer(self.question)
        right = self.observed.answers(facts) if self.observed else self.right
        if given is None:
            return Look(False, "no answer yet")
        ok = any(equal(given, answer, self.tolerance) for answer in right)
        return Look(ok, f"{given}: {'right' if ok else 'no'}")


def equal(given: str, right: str, tolerance: int = 0) -> bool:
    """Whether an answer means the same: case, blanks, a unit after a number and the prefix length do not matter."""
    given, right = " ".join(given.split()).lower(), " ".join(right.split()).lower()
    if given == right:
        return True
    try:
        return ip_interface(given).ip == ip_interface(right).ip
    except ValueError:
        pass
    if _NUMBER.fullmatch(right):
        head, _, unit = given.partition(" ")
        number = head.replace(",", "") if _NUMBER.fullmatch(head) else ""
        return bool(number) and (not unit or unit.isalpha()) and abs(float(number) - float(right)) <= tolerance
    return False
