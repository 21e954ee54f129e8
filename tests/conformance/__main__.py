"""``invoke conformance``: every case on every data plane, and the table in docs/conformance.md."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("NETLAB_CONFORMANCE_ALL", "1")

import corpora
import runner
import scenarios
from runner import Result
from theirs import Theirs

from netlab.errors import BadInput

PAGE = corpora.ROOT / "docs" / "conformance.md"
FAMILY = {True: "IPv6", False: "IPv4"}
#: A function and its values: they go to other processes and machines.
Case = tuple[Callable[..., Result], tuple[str, ...]]
OTHERS = {"scenarios": "both", "validation": "-", "end-to-end": "IPv4"}


def main() -> int:
    """Exit status 1 where a case fails, 2 for a lab that cannot be judged, 3 where there are no corpora."""
    options = argparse.ArgumentParser()
    options.add_argument("--lab", default="")
    options.add_argument("--only", default="")
    options.add_argument("--jobs", type=int, default=1)
    options.add_argument("--machines", default="")
    given = options.parse_args()
    if corpora.folder() is None:
        sys.stderr.write(f"{corpora.why_absent()}\n")
        return 3
    labs = f"conf-{os.getpid() % 10000}-"
    if given.lab:
        return judge(given.lab, given.only, labs)
    todo: list[Case] = [
        (runner.run, (one, two, f"{labs}{number}-"))
        for number, (one, two) in enumerate((one, two) for one in runner.ALL for two in runner.PLANES)
    ]
    todo += [(runner.run_scenarios, (plane, f"{labs}{plane[:1]}")) for plane in runner.PLANES]
    todo += [(runner.run_e2e, (plane, f"{labs}{plane[:1]}e")) for plane in runner.PLANES]
    todo.append((runner.run_validation, ()))
    results = told(performed(todo, given.jobs, given.machines))
    PAGE.write_text(page(results), encoding="utf-8")
    sys.stdout.write(f"written: {PAGE.relative_to(corpora.ROOT)}\n")
    return 1 if any(one.failed for one in results) else 0


def judge(folder: str, only: str, labs: str) -> int:
    """Every case in labs like the user's; the page is written into its folder."""
    try:
        theirs = Theirs(folder)
    except BadInput as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        return 2
    results = told(
        runner.run(corpus, theirs.plane, f"{labs}{number}-", theirs.bed)
        for number, corpus in enumerate(runner.ALL)
        if only in corpus and (theirs.families is None or FAMILY["ipv6" in corpus] in theirs.families)
    )
    path = theirs.folder / "conformance.md"
    path.write_text(page_of(theirs, results), encoding="utf-8")
    sys.stdout.write(f"written: {path}\n")
    return 1 if any(one.failed for one in results) else 0


def told(found: Iterable[Result]) -> list[Result]:
    """The results, each printed when it is there."""
    results = []
    for result in found:
        corpus, plane = result.corpus, result.plane
        results.append(result)
        sys.stdout.write(
            f"{corpus:24} {plane:12} {result.passed:4} of {result.cases:4} cases, {result.answers:7} answers, "
            f"{result.seconds:6.1f} s\n"
        )
        for name, says in result.failed:
            sys.stdout.write(f"  FAIL {name}: {says}\n")
        sys.stdout.flush()
    return results


def page_of(theirs: Theirs, results: list[Result]) -> str:
    """The page of a user's lab."""
    cases, passed = sum(one.cases for one in results), sum(one.passed for one in results)
    agent = " ".join(theirs.spec.get("agent", ())) or "none"
    lines = [
        f"# Conformance of {theirs.name}",
        "",
        f"`invoke conformance --lab`: data plane `{json.dumps(theirs.spec.get('dataplane', 'vxlan'))}`, agent `{agent}`.",
        "Each case is a cluster in a lab like this one, its policies and the answers of packets that are expected. A flow",
        "that must be denied counts only if it passes without policies and gets no answer with them.",
        "",
        *table(results),
        "",
        f"{passed} of {cases} cases passed, {sum(one.answers for one in results):,} answers.",
        "",
        "## Failed",
        "",
    ]
    failed = [f"- {one.corpus} `{name}`: {says}" for one in results for name, says in one.failed]
    return "\n".join([*lines, *(failed or ["None."]), ""])


def table(results: list[Result]) -> list[str]:
    """A row a corpus and data plane."""
    lines = [
        "| corpus | family | data plane | cases | answers | passed | failed | seconds a case |",
        "|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for one in results:
        family = OTHERS.get(one.corpus) or FAMILY[one.corpus.endswith("ipv6")]
        each = one.seconds / max(1, one.cases)
        lines.append(
            f"| {one.corpus} | {family} | {one.plane} | {one.cases} | {one.answers:,} | {one.passed} "
            f"| {len(one.failed)} | {each:.2f} |"
        )
    return lines


def performed(todo: list[Case], jobs: int, machines: str) -> Iterator[Result]:
    """The results in their order: here one after the other, in ``jobs`` processes, or on other machines."""
    if jobs == 1 and not machines:
        for function, values in todo:
            yield function(*values)
        return
    environment = {name: value for name, value in os.environ.items() if name.startswith("NETLAB_CONFORMANCE")}
    with executor(jobs, machines) as made:
        for future in [made.submit(runner.there, environment, function, values) for function, values in todo]:
            yield future.result()


@contextmanager
def executor(jobs: int, machines: str) -> Iterator[Executor]:
    if not machines:
        with ProcessPoolExecutor(jobs) as pool:
            yield pool
        return
    from netlab.runtime.machines.engine import connect
    from netlab.runtime.machines.where import parse

    here = Path(__file__).resolve().parent
    with connect(parse(machines), path=[str(here), str(here.parent / "kit")]) as connected:
        yield connected.executor()


def page(results: list[Result]) -> str:
    """docs/conformance.md."""
    total = sum(one.cases for one in results)
    seconds = sum(one.seconds for one in results)
    apply = sum(one.apply for one in results) / max(1, sum(one.states for one in results))
    lines = [
        "# Conformance",
        "",
        "What `invoke conformance` found: every case of public test suites of NetworkPolicy v1 and of the policy API's",
        "tiers, by real packets and by the prediction. `tiers` are random clusters with policies of all three tiers: a small",
        "evaluator in the tests, which reads the objects as they are written, says what passes. A case is a cluster, its",
        "policies and the answers that are expected; some are several states, which are applied to the running lab one after",
        "the other. A flow that must be denied counts only if the deny rule of the Pod or the rule of a tier counted its",
        "packets; one that must be allowed, only if an answer came (of the Pod's port, its RST where nobody listens, or the",
        "underlay's router for addresses outside). `scenarios` are played step by step: probes, ping, connections that are up.",
        "`end-to-end` are the cases of Kubernetes' own tests of NetworkPolicy, in data of our own, through the API of a lab:",
        "a client makes Pods, Services and policies, and each answer is one `/agnhost connect` in a Pod. cyclonus drives a lab",
        "in the same way (exec by SPDY, `/agnhost`); it was not run here, as its modules come from Go's proxy alone.",
        "`validation` are objects that an API server refuses or takes, and so must netlab, with file",
        "and line.",
        "",
        "`invoke conformance --lab DIR` judges a data plane and a policy engine of yours: [policy-engine.md](policy-engine.md).",
        "",
        *table(results),
    ]
    lines += [
        "",
        f"{total} cases in {seconds:.0f} s: {seconds / max(1, total):.2f} s a case, its lab included; a state is in the",
        f"kernel {apply * 1000:.0f} ms after it is given.",
        "",
        "## Failed",
        "",
    ]
    failed = [f"- {one.corpus}, {one.plane}, `{name}`: {says}" for one in results for name, says in one.failed]
    lines += failed or ["None."]
    lines += ["", "## Left out, and why", ""]
    argued = dict.fromkeys((one.corpus, name, says) for one in results for name, says in one.argued)
    lines += [f"- {corpus} `{name}`: {says}." for corpus, name, says in argued]
    lines += [f"- Made legal before they are applied (the API server refuses them): {corpora.MENDED}."]
    lines += ["- A Pod to itself: not asserted by the suites, always allowed here."]
    choices = ", ".join(f"`{name}` with `spec.policy: {json.dumps(said)}`" for name, said in scenarios.CHOICES.items())
    lines += [
        f"- Where the specification leaves a choice, scenarios are played with the one that they expect: {choices}."
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    raise SystemExit(main())
