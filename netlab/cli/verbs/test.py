"""``netlab test``: manifests in, verdicts out."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netlab.cli import cireports, out, paint
from netlab.cli.files import require_writable, shown, text_of, write
from netlab.cli.options import namespace_option, output
from netlab.cli.progress import under_way
from netlab.errors import BadInput, Exit, HostCannot, NeedsRoot
from netlab.names import LAB_NAME_MAX, is_dns_label

if TYPE_CHECKING:
    from netlab.testing.prepared import Options, Source
    from netlab.testing.report import Report
    from netlab.testrun.sets import Done, Measure, Task

EXPECT = "expect.yaml"
#: The statuses of several sets, the one that counts most first.
_WORST = (Exit.REFUSED, Exit.HOST_CANNOT, Exit.BAD_INPUT, Exit.NO, Exit.OK)


@click.command()
@click.argument("sets", nargs=-1, metavar="[SET]...")
@click.option(
    "-f", "--filename", "files", multiple=True, metavar="FILE|DIR|-", help="manifests; all -f together are one set"
)
@click.option("--expect", "expect_file", default="", metavar="FILE", help="expectations (the grammar of expect.yaml)")
@namespace_option
@click.option(
    "--stand-ins/--no-stand-ins",
    default=None,
    help="Pods for those that policies name and the set lacks (default: unless the set has a Lab)",
)
@click.option("--hooks", is_flag=True, help="keep Helm hooks, whatever their delete policy")
@click.option("--predict", is_flag=True, help="predict only: no packet, no privilege, any operating system")
@click.option("--strict", is_flag=True, help="warnings make the test fail, as errors do")
@click.option("--complete", is_flag=True, help="refuse objects that matter and are not modelled (exit status 2)")
@click.option("--ignore", multiple=True, metavar="CODE[:OBJECT]", help="leave out findings of this code; repeatable")
@click.option("--matrix", is_flag=True, help="print the whole matrix instead of a line a target")
@click.option("--coverage", is_flag=True, help="list the rules that no expectation holds (by the prediction)")
@click.option("-q", "--quiet", is_flag=True, help="print headers and failures only")
@click.option("--write", "write_file", default="", metavar="FILE", help="record what is as expectations")
@click.option(
    "--against",
    default="",
    metavar="OLD",
    help="show the flows that open and close since OLD: manifests or --write's file",
)
@click.option("--keep", default="", metavar="NAME", help="leave the lab as tested, under this name")
@click.option(
    "-j", "--jobs", type=click.IntRange(1, 256), default=None, metavar="N", help="sets at a time (default: processors)"
)
@click.option("--machines", default="", metavar="URL", help="test the sets on other machines: tls://SCHEDULER:8786, or"
              " ssh://HOST,ssh://HOST")  # fmt: skip
@click.option("--svg", default="", metavar="FILE",
              help="also draw the flows between workloads; with --against, what opens and closes")  # fmt: skip
@cireports.options
@output
def command(
    sets: tuple[str, ...],
    files: tuple[str, ...],
    expect_file: str,
    namespace: str,
    stand_ins: bool | None,
    hooks: bool,
    predict: bool,
    strict: bool,
    complete: bool,
    ignore: tuple[str, ...],
    matrix: bool,
    coverage: bool,
    quiet: bool,
    write_file: str,
    against: str,
    keep: str,
    jobs: int | None,
    machines: str,
    junit: str,
    svg: str,
    markdown: str,
    sarif: str,
    output: str,
) -> int:
    r"""Test the NetworkPolicies of manifests by real packets, without a lab file.

    netlab test brings a lab of its own up, sends packets between all Pods, and takes the lab down.  Each SET is tested by
    itself: a file of manifests, or a folder of a lab with its expect.yaml.  No command of a manifest is ever run.

    Without expectations, packets are compared with the prediction, and each port is printed with its clients.  Pods marked
    (stand-in) are added for selectors of policies that match no Pod, and as strangers that no policy names.

    \b
    Exit status
      0  everything as expected
      1  an expectation failed, lint found an error (with --strict a warning),
         or a packet contradicts the prediction
      2  bad input, nothing was tested, or an expectation names no flow
      3  this host cannot: no privilege (sudo, or --predict), no kernel feature
    """
    from netlab.testing import formats
    from netlab.testing.prepared import Options
    from netlab.testing.report import View
    from netlab.testrun.sets import Task, performed, predicted

    began = time.monotonic()
    cireports.require_writable(junit, markdown, sarif)
    require_writable("--write", write_file)
    require_writable("--svg", svg)
    with _as_tests():
        sources = _sources(sets, files, expect_file)
    _refuse(sources, keep, write_file, against, svg)
    if keep and predict:
        raise BadInput("--keep leaves a lab, and --predict makes none: give one or the other")
    options = Options(namespace, stand_ins, hooks, keep or "test")
    older = _older(against)
    _refuse_machines(machines, jobs, keep)
    measure, orphaned = (predicted, lambda _: None) if predict else _by_packets(elsewhere=bool(machines))
    tasks = []
    for source in sources:
        again = _arguments(source, files, expect_file, options)
        view = View(out.command(), again, quiet, matrix, coverage, bool(svg))
        tasks.append(
            Task(source, options, view, measure, strict, ignore, complete, bool(keep), bool(write_file), older)
        )
    single = len(tasks) == 1
    with _terminated(), _swept(predict=predict or bool(machines)):
        if machines:
            results = _spread(machines, tasks, output)
        elif single:
            results = [_single(tasks[0])]
        else:
            with closing(performed(tasks, jobs or os.cpu_count() or 1, orphaned)) as running:
                results = _reported(running, len(tasks), output)
    if single and output != "json":
        _print(results[0])
    reports = [result.report for result in results]
    seconds = time.monotonic() - began
    if output == "json":
        out.document(formats.document(reports, several=not single, predicted=predict, seconds=seconds))
    elif not single:
        out.line(_summary(reports, seconds), paint.CHECK)
    if write_file:
        write("--write", write_file, results[0].written)
    if svg:
        write("--svg", svg, _picture(results[0].report))
    cireports.tell(reports, junit=junit, markdown=markdown, sarif=sarif, beside_json=output == "json")
    statuses = {report.status for report in reports}
    return next(status for status in _WORST if status in statuses)


# -- what is tested ---------------------------------------------------------------------------------------------------


def _sources(sets: Sequence[str], files: Sequence[str], expect_file: str) -> list[Source]:
    """The sets as they were read.  Raises BadInput for what cannot be read."""
    from netlab.spec import load_texts, read_texts
    from netlab.testing.prepared import Source

    if not sets and not files:
        raise BadInput(
            "say what to test: -f FILE, -f - for standard input, or a set", hint="helm template . | netlab test -f -"
        )
    if sets and files:
        raise BadInput("-f makes one set, and SET is a set of its own: give one or the other")
    if expect_file and len(sets) > 1:
        raise BadInput("--expect is of one set", hint="an expect.yaml beside the manifests of a folder is its own")
    sources = []
    for name, paths in [("", list(files))] if files else [(name, [name]) for name in sets]:
        texts, problems = read_texts(paths)
        if problems:
            raise BadInput(load_texts(texts, problems).problems)
        expect = Path(expect_file) if expect_file else _beside(name) if name else None
        called = name.rstrip("/") if name else ""
        sources.append(Source(called, texts, text_of(expect) if expect else "", shown(expect) if expect else ""))
    return sources


def _beside(name: str) -> Path | None:
    """The expectations of a set that is a folder, or a folder's lab.yaml."""
    folder = Path(name) if os.path.isdir(name) else Path(name).parent
    path = folder / EXPECT
    return path if (os.path.isdir(name) or Path(name).name == "lab.yaml") and path.is_file() else None


def _older(against: str) -> Source | None:
    """What ``--against`` names: manifests, or a file of expectations."""
    from netlab.spec import read_texts
    from netlab.testing.prepared import Source

    if not against:
        return None
    if os.path.isdir(against):
        return Source(against, read_texts([against])[0])
    text = text_of(Path(against))
    heads = [line.partition(":")[0] for line in text.splitlines()]
    if "flows" in heads and "kind" not in heads:
        return Source(against, (), text, against)
    return Source(against, read_texts([against])[0])


def _picture(report: Report) -> str:
    from netlab.output.flows import Reach
    from netlab.picture.matrix import matrix
    from netlab.picture.svg import render

    reach = Reach(lab=report.name, places={}, flows=report.cells, seconds=report.summary.seconds, warnings=())
    how = "predicted, without packets," if report.summary.predicted_only else "by real packets"
    return render(matrix(reach, report.summary.changes, how))


def _refuse(sources: Sequence[Source], keep: str, write_file: str, against: str, svg: str) -> None:
    for option, value in (("--keep", keep), ("--write", write_file), ("--against", against), ("--svg", svg)):
        if value and len(sources) > 1:
            raise BadInput(f"{option} is of one set, and {len(sources)} are given")
    if keep and not is_dns_label(keep, LAB_NAME_MAX):
        raise BadInput(f"--keep {keep}: a lab's name is a DNS label of at most {LAB_NAME_MAX} characters")


def _arguments(source: Source, files: Sequence[str], expect_file: str, options: Options) -> str:
    """The words of the command line that test this set again."""
    words = [word for file in files for word in ("-f", file)] if files else [source.name]
    words += ["--expect", expect_file] if expect_file else []
    words += ["-n", options.namespace] if options.namespace else []
    if options.stand_ins is not None:
        words.append("--stand-ins" if options.stand_ins else "--no-stand-ins")
    words += ["--hooks"] if options.hooks else []
    return shlex.join(words)


def _refuse_machines(machines: str, jobs: int | None, keep: str) -> None:
    if machines and keep:
        raise BadInput("--keep leaves a lab on this machine, and --machines tests on others: give one or the other")
    if machines and jobs is not None:
        raise BadInput("--jobs is of this machine; with --machines each worker tests one set at a time",
                       hint="a host that is named twice has two workers: --machines ssh://a,ssh://a")  # fmt: skip


def _spread(machines: str, tasks: Sequence[Task], output: str) -> list[Done]:
    """The results of the sets, from other machines."""
    from netlab.runtime.machines.where import parse
    from netlab.testrun.sets import spread

    where = parse(machines)
    from netlab.runtime.machines.engine import connect

    with connect(where) as connected, closing(spread(tasks, connected)) as running:
        if len(tasks) == 1:
            return list(running)
        return _reported(running, len(tasks), output)


def _by_packets(*, elsewhere: bool = False) -> tuple[Measure, Callable[[int], None]]:
    """How a set is measured on a lab; what killed tests left is removed first.  Raises HostCannot where none can be."""
    if elsewhere:
        from netlab.testrun.run import measured

        return measured, lambda _: None
    if sys.platform != "linux":
        raise HostCannot("netlab sends packets on Linux alone", hint="netlab test --predict predicts on every system")
    if os.geteuid() != 0:
        raise NeedsRoot("packets need root; --predict does not")
    from netlab.libc import die_with_parent
    from netlab.testrun.labs import remove_left
    from netlab.testrun.run import measured

    remove_left(out.note)
    return measured, die_with_parent


@contextmanager
def _swept(*, predict: bool) -> Iterator[None]:
    """Whatever ends the tests, nothing of this process's own lab stays."""
    try:
        yield
    finally:
        if not predict:
            from netlab.testrun.run import sweep

            sweep()


@contextmanager
def _as_tests() -> Iterator[None]:
    """Lines to type that readers of manifests give are those of ``test``, not of ``up``."""
    before, after = "netlab up -f -", "netlab test -f -"
    try:
        yield
    except BadInput as error:
        problems = [problem._replace(message=problem.message.replace(before, after)) for problem in error.problems]
        raise BadInput(problems, hint=error.hint.replace(before, after)) from error


@contextmanager
def _terminated() -> Iterator[None]:
    """SIGTERM and a closed terminal end a test as Ctrl-C does: the lab goes down."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    numbers = (signal.SIGTERM, signal.SIGHUP) if sys.platform == "linux" else (signal.SIGTERM,)
    heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]  # nohup ignores SIGHUP
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# -- what is printed --------------------------------------------------------------------------------------------------


def _single(task: Task) -> Done:
    from netlab.testrun.sets import perform

    with _as_tests(), under_way("testing"):
        return perform(task)


def _reported(results: Iterator[Done], count: int, output: str) -> list[Done]:
    """The results; each is printed when it comes."""
    results_kept: list[Done] = []
    terminal = sys.stderr.isatty()
    for result in results:
        results_kept.append(result)
        if output != "json":
            _print(result)
        if terminal:
            sys.stderr.write(
                f"\r{len(results_kept)} of {count} sets\x1b[K" + ("\r\x1b[K" if len(results_kept) == count else "")
            )
            sys.stderr.flush()
    return results_kept


def _print(result: Done) -> None:
    for line in result.report.lines:
        out.line(line, paint.CHECK)


def _summary(reports: Sequence[Report], seconds: float) -> str:
    words = {Exit.OK: "ok", Exit.NO: "failed", Exit.BAD_INPUT: "not tested", Exit.HOST_CANNOT: "not tested"}
    counts: dict[str, int] = {}
    for report in reports:
        word = words.get(report.status, "with errors")
        counts[word] = counts.get(word, 0) + 1
    listed = ", ".join(f"{number} {word}" for word, number in counts.items())
    return f"{out.count(len(reports), 'set')} in {seconds:.1f} s: {listed}"
