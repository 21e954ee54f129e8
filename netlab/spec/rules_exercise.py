"""What must hold across the fields of an exercise."""

from __future__ import annotations

from netlab.spec.rules_common import Body, Faults, exactly_one

KINDS = ("probe", "matrix", "resolves", "route", "neigh", "fdb", "sysctl", "nft", "capture", "ask")
_SENDING = ("probe", "matrix", "resolves")


def _check(body: Body) -> Faults:
    yield from exactly_one(body, KINDS, "a check")


def _step(body: Body) -> Faults:
    checks = body.get("checks", ())
    if all(check.get("baseline") == "holds" for check in checks):
        yield ("checks",), "every check holds before anything was done; at least one must fail then"
    names = {name for check in checks for name in KINDS if name in check}
    sending = sorted(names & set(_SENDING))
    if "capture" in names and sending:
        message = f"capture and {', '.join(sending)} in one step: the packets of the check would be captured too"
        yield ("checks",), message


def _spec(body: Body) -> Faults:
    steps = body.get("steps", ())
    questions = [check["ask"]["question"] for step in steps for check in step.get("checks", ()) if "ask" in check]
    for question in sorted({each for each in questions if questions.count(each) > 1}):
        yield ("steps",), f'asks "{question}" twice'


RULES = {"ExerciseCheck": _check, "ExerciseStep": _step, "ExerciseSpec": _spec}
