"""The grader: a hand-in becomes a lab again, and the checks of its exercise look at that lab by real packets.

The exercise, its faults and its scene come from the grader's own files.  Of the hand-in objects of the kernel, manifests
that make no process, labels and answers are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from netlab.errors import BadInput, NetlabError
from netlab.escape import terminal
from netlab.exercise.checks.ask import Ask
from netlab.exercise.checks.capture import Capture
from netlab.exercise.exercise import Exercise, Wanted
from netlab.exercise.handin import MANIFESTS, learned_of, state_of
from netlab.learn.course import chosen, read
from netlab.learn.facts import KernelFacts
from netlab.learn.handin import states_of
from netlab.learn.progress import Done, Progress
from netlab.learn.session import Say, Session
from netlab.objects import Obj
from netlab.output.learn import Grade, GradedCheck, HandIn, HandInState
from netlab.runtime import lab as labs
from netlab.runtime.client.listeners import AgentListeners
from netlab.runtime.converge import reach
from netlab.runtime.state import lock
from netlab.runtime.state.rundir import Applied, RunDir
from netlab.runtime.state.running import load_running, name_of
from netlab.spec import Text, load_texts

NOT_REACHED, AS_HANDED_IN = "not reached", "as handed in"


class HandedFacts(KernelFacts):
    """The facts of a lab that was made of a hand-in; ``learned`` are entries that the learner's kernel had learned."""

    def __init__(self, lab: str, answers: Mapping[str, str], learned: tuple[Obj, ...]) -> None:
        super().__init__(lab, answers)
        self._learned = learned

    def objects(self) -> Iterable[Obj]:
        return (*super().objects(), *self._learned)


def folder_of(document: HandIn) -> Path:
    """The folder of a hand-in's exercise.  Raises BadInput where there is none of that name."""
    if "/" in document.exercise:
        raise BadInput("the name of the exercise is a path")
    return chosen(document.exercise)


def graded(document: HandIn, file: str, folder: Path, draft: Applied, say: Say = lambda _: None) -> Grade:
    """The grade; the lab is gone afterwards.  A step whose lab cannot be made again is a reason in ``refused``."""
    exercise, lab = read(folder, document.seed), name_of(draft)
    if exercise.name != document.exercise:
        raise BadInput(f"{file}: this is exercise {terminal(document.exercise)}, and not {exercise.name}")
    if RunDir(lab).exists():
        raise BadInput(f"lab {lab} is running, and the grader makes its own", hint=f"netlab down {lab}")
    checks, refused = list[GradedCheck](), ""
    if len(document.steps) != len(exercise.steps):
        refused = f"the exercise has {len(exercise.steps)} steps, and the hand-in {len(document.steps)}"
    try:
        for number in () if refused else range(len(exercise.steps)):
            try:
                checks += _step(document, exercise, folder, draft, number, say)
            except NetlabError as wrong:
                refused = refused or f"step {number + 1}: {wrong}"
                wanted = exercise.steps[number].wanted
                checks += [_check(exercise, number, each, NOT_REACHED, "the lab was refused") for each in wanted]
    finally:
        labs.down(lab, say)
    return Grade(
        file=file,
        learner=document.learner,
        exercise=exercise.name,
        seed=document.seed,
        right=sum(each.result in {"right", AS_HANDED_IN} for each in checks),
        of=sum(len(step.wanted) for step in exercise.steps),
        hints=document.hints,
        resets=document.resets,
        skipped=sum(step.how == "skipped" for step in document.steps),
        seconds=round(sum(step.seconds for step in document.steps), 1),
        refused=refused,
        checks=tuple(checks),
    )


def _step(
    document: HandIn, exercise: Exercise, folder: Path, draft: Applied, number: int, say: Say
) -> Sequence[GradedCheck]:
    """The checks of a step, in the lab that was handed in for it."""
    given, step, how = states_of(document).get(number), exercise.steps[number], document.steps[number].how
    if given is None:
        return [_check(exercise, number, wanted, NOT_REACHED, "") for wanted in step.wanted]
    session = Session(exercise, folder, draft, Progress(document.seed, (Done("done", 0.0),) * number), say)
    session.prepare(verify=False)
    facts = HandedFacts(session.lab, document.answers, _rebuild(session.lab, given, say))
    graded = []
    for wanted in step.wanted:
        if isinstance(wanted.check, Capture):  # those packets are gone
            result = {"done": AS_HANDED_IN, "": NOT_REACHED}.get(how, "wrong")
            graded.append(_check(exercise, number, wanted, result, ""))
        else:
            look = wanted.check.look(facts)
            graded.append(_check(exercise, number, wanted, "right" if look.ok else "wrong", look.saw))
    return graded


def _check(exercise: Exercise, number: int, wanted: Wanted, result: str, saw: str) -> GradedCheck:
    question = wanted.check.question if isinstance(wanted.check, Ask) else ""
    return GradedCheck(
        step=number + 1,
        title=exercise.steps[number].title,
        check=wanted.kind,
        question=question,
        result=result,  # type: ignore[arg-type]  # the words of the document
        saw=saw,
    )


def _rebuild(name: str, given: HandInState, say: Say) -> tuple[Obj, ...]:
    """Make the handed lab of a fresh one; what its kernel had learned.  Raises BadInput, or KernelRefused."""
    rundir = RunDir(name)
    applied = rundir.applied()
    assert applied is not None
    add = [text for text in given.manifests if text not in applied.extra]
    delete = [each for each in given.deleted if each not in applied.deleted]
    labels = {key: value for key, value in given.labels.items() if applied.labels.get(key) != value}
    for text in add:
        if len(text) not in (2, 3):
            raise BadInput("a manifest is a file's name, its content and its namespace")
        documents = load_texts([Text(*text)])
        if documents.problems:
            raise BadInput(documents.problems)
        kinds = {each.kind for each in documents.objects} | {"Lab" for each in (documents.lab,) if each}
        if other := sorted(kinds - MANIFESTS):
            raise BadInput(f"a manifest of kind {other[0]} is not taken from a hand-in: it could run commands")
    if add or delete or labels:
        labs.change(name, add=add, delete=delete, label=labels, say=say)
    with lock.locked(name, say):
        lab = load_running(name)
        try:
            want, learned = state_of(given, lab.want), learned_of(given, lab.want)
            reach(rundir, AgentListeners(name, rundir.path), want, lab.want, narrow=False)
        except NetlabError:
            raise
        except Exception as wrong:  # noqa: BLE001 - the values are a stranger's: whatever they break is their fault
            raise BadInput(f"these objects cannot be made: {terminal(str(wrong))[:120]}") from None
    return learned
