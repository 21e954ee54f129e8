"""JUnit's files of the guests: counts, skips, groups of tests, the verbs of each lab; and the tables of docs/kernels.md."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.vm.again import FLAKY

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "kernels.md"
VERBS = ("up", "diff", "check", "reach", "trace", "diff again", "up again", "down")


class Case(NamedTuple):
    """A test's result on a kernel: passed, failed or skipped; why; what it needs; the verbs of a lab that it ran."""

    kernel: str
    group: str
    name: str
    result: str
    why: str
    seconds: float
    needs: tuple[str, ...]
    verbs: tuple[tuple[str, str], ...]
    flaky: str = ""  # why its first run failed; the second passed


def cases(kernel: str, text: str) -> list[Case]:
    """The tests in a file of JUnit's."""
    return [_case(kernel, row) for row in ET.fromstring(text).iter("testcase")]


def _case(kernel: str, row: ET.Element) -> Case:
    properties = [(item.get("name", ""), item.get("value", "")) for item in row.iter("property")]
    result, why = "passed", ""
    for tag, word in (("skipped", "skipped"), ("failure", "failed"), ("error", "failed")):
        part = row.find(tag)
        if part is not None:
            result, why = word, (part.get("message") or "").splitlines()[0] if part.get("message") else tag
    return Case(
        kernel,
        row.get("classname", "").replace(".", "/"),
        row.get("name", ""),
        result,
        why,
        float(row.get("time") or 0),
        tuple(value for name, value in properties if name == "needs"),
        tuple((name.removeprefix("verb:"), value) for name, value in properties if name.startswith("verb:")),
        dict(properties).get(FLAKY, ""),
    )


def earlier(files: Iterable[Path]) -> list[Case]:
    """The tests in merged files of earlier runs; of a test that several have on a kernel, the last."""
    ran = {}
    for file in files:
        for suite in ET.parse(file).iter("testsuite"):
            for row in suite.iter("testcase"):
                case = _case(suite.get("name", ""), row)
                ran[case.kernel, case.group, case.name] = case
    return sorted(ran.values(), key=lambda case: _numbers(case.kernel))


def _numbers(kernel: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", kernel)]


def merged(texts: Iterable[tuple[str, str]]) -> bytes:
    """One file of all (kernel, JUnit text), each suite called by its kernel."""
    whole = ET.Element("testsuites")
    for kernel, text in texts:
        for suite in ET.fromstring(text).iter("testsuite"):
            suite.set("name", kernel)
            suite.set("hostname", "vm")
            whole.append(suite)
    return ET.tostring(whole, encoding="utf-8", xml_declaration=True)


# -- the tables of the page --------------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def _labs(ran: Sequence[Case]) -> str:
    """A row for each lab; a cell has the kernels on which the verb did not do what it should."""
    rows: dict[str, dict[str, dict[str, str]]] = {}
    for case in ran:
        if case.verbs:
            rows.setdefault(re.sub(r".*\[(.*)\]", r"\1", case.name), {})[case.kernel] = dict(case.verbs)

    def cell(by: dict[str, dict[str, str]], verb: str) -> str:
        wrong = [f"{verbs.get(verb, 'not run')} on {kernel}" for kernel, verbs in by.items() if verbs.get(verb) != "ok"]
        return "; ".join(wrong) or "ok"

    body = [[lab, *(cell(by, verb) for verb in VERBS), ", ".join(by)] for lab, by in sorted(rows.items())]
    return _table(["lab", *VERBS, "on"], body)


def _groups(ran: Sequence[Case], kernels: Sequence[str]) -> str:
    counts: dict[str, dict[str, Counter[str]]] = {}
    for case in ran:
        counts.setdefault(case.group, {}).setdefault(case.kernel, Counter()).update(
            [case.result, *(["flaky"] if case.flaky else [])]
        )

    def cell(count: Counter[str]) -> str:
        others = [f"{count[word]} {word}" for word in ("failed", "skipped", "flaky") if count[word]]
        return ", ".join([str(count["passed"]), *others]) if count else "-"

    rows = [[group, *(cell(by.get(kernel, Counter())) for kernel in kernels)] for group, by in sorted(counts.items())]
    return _table(["tests that passed", *kernels], rows)


def _skips(ran: Sequence[Case], kernels: Sequence[str]) -> str:
    counts: dict[str, Counter[str]] = {}
    for case in ran:
        if case.result == "skipped":
            counts.setdefault(case.why, Counter())[case.kernel] += 1
    if not counts:
        return "No test was skipped."
    rows = [[why, *(str(count[kernel] or "-") for kernel in kernels)] for why, count in sorted(counts.items())]
    return _table(["skips by reason", *kernels], rows)


def tables(ran: Sequence[Case]) -> dict[str, str]:
    """The tables of a run by the names of their places in the page."""
    kernels = list(dict.fromkeys(case.kernel for case in ran))
    return {"labs": _labs(ran), "groups": _groups(ran, kernels), "skips": _skips(ran, kernels)}


def written(page: str, made: dict[str, str]) -> str:
    """The page with these tables between its marks."""
    for name, table in made.items():
        begin, end = f"<!-- {name}: made by `invoke vm-test --table` -->", f"<!-- end of {name} -->"
        head, rest = page.split(begin)
        page = f"{head}{begin}\n\n{table}\n\n{end}{rest.split(end)[1]}"
    return page
