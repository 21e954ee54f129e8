"""What stands beside the shell of the debugging league: the clock, the probe of the round, and the learner's verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.cli import out
from netlab.cli.beside import Beside
from netlab.cli.learnshell import Channel
from netlab.cli.learntext import wrapped
from netlab.learn.league import League
from netlab.learn.score import MINUTES, Result

WORDS = ("cause", "causes", "place", "step", "giveup")
COMMANDS = "commands: causes, cause N, place NAME, giveup, step, quit"
#: Verbs that find or undo a fault end the round; the next one waits until they are over.
RC = r"""
netlab() {
  local status
  case " $* " in
    *' diagnose '* | *' heal '* | *' --reveal '*)
      _netlab_ask spoil
      command netlab "$@"; status=$?
      _netlab_ask spoilt
      return $status ;;
  esac
  command netlab "$@"
}
"""


class LeagueWatcher(Beside):
    """The rounds of a league, which has drawn them."""

    def __init__(self, league: League, channel: Channel, shell: int, terminal: int) -> None:
        super().__init__(channel, shell, terminal)
        self._league = league
        self._waits = False

    def begin(self) -> None:
        self.channel.entitle(title(self._league))

    def look(self) -> None:
        league = self._league
        if league.current is None or self._waits:
            return
        if not league.over and self.is_due(league.state) and league.look():
            self.lines.append("  OK  it works again; name the cause and the place if you have not")
        if league.over:
            self._went_on()
        self.channel.entitle(title(league))

    def _went_on(self) -> None:
        league = self._league
        done = league.end()
        self.lines += ["", *_told(league, done)]
        if league.begin():
            self.lines += ["", *opening(league)]
        else:
            self.lines += ["", *report(league.results)]
        self.soon()

    def replied(self, word: str, rest: str) -> Iterable[str]:
        league = self._league
        if word == "spoilt":
            self._waits = False
        elif league.current is None:
            yield "the league is over; type quit"
        elif word in ("giveup", "spoil"):
            league.give_up()
            self._waits = word == "spoil"
            yield "this round counts as given up"
        elif word == "causes":
            yield from _causes(league)
        elif word == "cause":
            if not rest.isascii() or not rest.isdigit():
                yield "type: cause N, with a number of the list that causes prints"
            else:
                yield "That is the cause." if league.name_cause(int(rest)) else "No, that is not the cause."
        elif word == "place":
            if not rest:
                yield "type: place NAME, with the node, Pod or Service that has the fault"
            else:
                yield "That is the place." if league.name_place(rest) else "No, the fault is not there."
        else:
            yield from opening(league)


def title(league: League) -> str:
    """The line above the prompt."""
    if league.current is None:
        return "[the league is over]"
    left = max(0, MINUTES * 60 - int(league.current.seconds))
    return f"[round {len(league.results) + 1}/{league.count}, {left // 60} min {left % 60:02} s left]"


def opening(league: League) -> Iterator[str]:
    """What a learner reads when a round begins."""
    yield title(league)
    symptom, probe = league.symptom()
    yield from wrapped(f"Symptom: {symptom}")
    yield from wrapped(probe, "  ")
    yield COMMANDS


def _causes(league: League) -> Iterator[str]:
    for number, cause in enumerate(league.causes(), 1):
        yield from wrapped(f"{number}  {cause}")


def _told(league: League, done: Result) -> Iterator[str]:
    """The end of a round."""
    words = [word for word, right in (("cause", done.cause), ("place", done.place), ("mend", done.mended)) if right]
    verdict = "given up" if done.gave_up else f"right: {', '.join(words) or 'nothing'}"
    yield f"round {len(league.results)}: {out.count(done.points, 'point')} ({verdict}, {int(done.seconds)} s)"
    for line in league.explained(done):
        yield from wrapped(line, "  ")


def report(results: list[Result]) -> Iterator[str]:
    """The end of a league."""
    yield f"The league is over: {out.count(sum(result.points for result in results), 'point')}"
    for number, result in enumerate(results, 1):
        marks = "given up" if result.gave_up else "".join(
            letter if right else "-" for letter, right in (("C", result.cause), ("P", result.place), ("M", result.mended))
        )  # fmt: skip
        yield f"{number:3}  {result.points:3} points  {marks:8}  {int(result.seconds):4} s  {result.fault}"
    yield "C: the cause was right, P: the place, M: it works again"
