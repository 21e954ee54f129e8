"""The rules of the house that no tool knows: sizes, docstrings, what the tree must and must not hold."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LINES = 450  # 400 is a file's natural limit; past 450 there is a seam

# Written in pieces, so that this file does not hold what it looks for.
REGISTRIES = (
    *("py" + "pi.org", "python" + "hosted.org", "deb." + "debian.org", "security." + "debian.org"),
    *("registry." + "npmjs", "archive." + "ubuntu.com", "dl-cdn." + "alpinelinux"),
)
MACHINE_PATHS = re.compile(r"(?<![\w.~$}-])/(?:" + "wo" + r"rk|" + "fa" + r"rm)/[a-z.]")


def tracked() -> list[Path]:
    """The files of the tree: git's own list, else everything but caches (an unpacked archive has no .git)."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]
    return [
        p
        for p in ROOT.rglob("*")
        if p.is_file() and not re.search(r"/(\.venv|\.git|\.vagrant|\.hypothesis|__pycache__|\.\w+_cache)/", str(p))
    ]


def texts() -> list[tuple[Path, str]]:
    found = []
    for path in tracked():
        try:
            found.append((path, path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:  # a picture or a capture
            continue
    return found


def modules() -> list[Path]:
    return sorted((ROOT / "netlab").rglob("*.py"))


def labs() -> list[Path]:
    folder = ROOT / "labs"
    return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_no_file_is_too_long() -> None:
    long = {named(p): n for p in modules() if (n := len(p.read_text().splitlines())) > LINES}
    assert not long, f"over {LINES} lines, where is the seam? {long}"


def test_every_package_opens_with_its_theory() -> None:
    thin = []
    for path in modules():
        doc = ast.get_docstring(ast.parse(path.read_text())) or ""
        if len(doc) < (80 if path.name == "__init__.py" else 20):
            thin.append(named(path))
    assert not thin, f"no docstring, or one that says nothing: {thin}"


def test_there_is_one_way_to_ask_did_you_mean() -> None:
    """A guess in a message is made and written by ``netlab.near``, so that all look alike."""
    others = [p for p in modules() if named(p) != "netlab/near.py"]
    own = [named(p) for p in others if re.search(r"did you mean|^\s*(import|from) difflib", p.read_text(), re.M)]
    assert not own, f"use netlab.near in {own}"


def test_every_module_has_deferred_annotations() -> None:
    """But the entry point: Ctrl-C may come while Python looks for __future__."""
    without = [
        named(p)
        for p in modules()
        if named(p) != "netlab/cli/entry.py"
        and re.search(r"^(def|class) ", p.read_text(), re.M)
        and "from __future__ import annotations" not in p.read_text()
    ]
    assert not without, without


def test_no_registry_and_no_path_of_a_machine() -> None:
    found = []
    for path, text in texts():
        for number, line in enumerate(text.splitlines(), 1):
            hit = MACHINE_PATHS.search(line) or next((host for host in REGISTRIES if host in line), None)
            if hit:
                found.append(f"{named(path)}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


def test_locks_hold_hashes_and_no_index() -> None:
    for name in ("requirements.lock", "requirements-test.lock"):
        text = (ROOT / name).read_text()
        pinned = re.findall(r"^[a-z0-9-]+==\S+", text, re.M)
        blocks = re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.M)[1:]
        assert pinned and all("--hash=sha256:" in block for block in blocks), name
        assert "://" not in text, f"{name} names an address"


def test_locks_cover_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    test_lock = (ROOT / "requirements-test.lock").read_text()
    running = (ROOT / "requirements.lock").read_text()
    for requirement in project["dependencies"]:
        name = re.split(r"[^\w.-]", requirement)[0].lower()
        assert f"\n{name}==" in running, f"{requirement} is not in requirements.lock: `invoke lock`"
    for requirement in project["dependencies"] + project["optional-dependencies"]["test"]:
        name = re.split(r"[^\w.-]", requirement)[0].lower()
        assert f"\n{name}==" in test_lock, f"{requirement} is not in requirements-test.lock: `invoke lock`"
    # An environment made for the tests serves everything else too, so the two must agree.
    pins = set(re.findall(r"^[a-z0-9-]+==\S+", running, re.M))
    assert pins <= set(re.findall(r"^[a-z0-9-]+==\S+", test_lock, re.M))


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "README.md").read_text()
    records = sorted(p.name for p in folder.glob("[0-9]*.md"))
    assert records, "there are no decision records"
    assert [name for name in records if f"]({name})" not in listed] == []
    numbers = [name[:4] for name in records]
    assert len(set(numbers)) == len(numbers), f"two records have one number: {records}"


def test_changelog_has_unreleased_and_the_current_version_is_not_ahead_of_it() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in text
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", text, re.M)
    assert released == sorted(released, key=lambda v: tuple(map(int, v.split("."))), reverse=True)


@pytest.mark.parametrize("lab", labs(), ids=lambda p: p.name)
def test_lab_is_complete(lab: Path) -> None:
    missing = [name for name in ("lab.yaml", "README.md", "expect.yaml") if not (lab / name).is_file()]
    assert not missing, f"{named(lab)} lacks {', '.join(missing)}"
    page = (lab / "README.md").read_text()
    assert page.startswith("# "), "a lab's page opens with its title"
    assert "```console" in page, "a lab's page shows what to type and what is seen"


def test_every_lab_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [lab.name for lab in labs() if f"labs/{lab.name}" not in readme] == []


def test_the_drawing_of_the_floors_is_the_contract() -> None:
    """README and development.md show one drawing, in the order of import-linter's layers."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    # `digest` and `plain` are below the other modules: names are hashed, evidence is written; `values` and `tuples` make classes.
    *floors, modules, digest, plain, values, tuples = next(
        contract["layers"] for contract in contracts if contract["id"] == "floors"
    )
    drawing, other = (
        re.findall(r"^```\n(YAML -> .*?)^```", (ROOT / page).read_text(), re.M | re.S)
        for page in ("README.md", "docs/development.md")
    )
    assert drawing == other and len(drawing) == 1
    assert re.findall(r"^netlab/(\w+) ", drawing[0], re.M) == [*(floor.strip("()") for floor in floors), "evidence"]
    beside = drawing[0].partition("beside it the modules")[2]
    assert set(re.findall(r"\w+", beside)) - {"and"} | {"evidence"} == {
        *modules.split(" | "),
        digest,
        plain,
        values,
        tuples,
    }


def test_the_references_of_the_file_formats_are_what_their_schemas_say() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/make_reference.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_scripts_can_be_run() -> None:
    for name in ("bootstrap.sh", ".ci/run"):
        assert (ROOT / name).stat().st_mode & 0o111, f"{name} has no run bit"


def test_planes_are_named_in_their_rows_alone() -> None:
    """A branch on a plane's name is wrong for the next plane, in silence: what differs is a trait of the row.

    Some are also kinds of links, which other modules name.
    """
    from netlab.planes import ROWS

    names = set(ROWS) - {"bridge", "vxlan", "geneve", "ipip", "wireguard"}
    found = [
        f"{path.name}:{node.lineno}: {node.value}"
        for path in modules()
        if path.name != "planes.py" and "dataplanes" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert not found, found


def test_no_branch_on_the_name_of_the_data_plane() -> None:
    compared = [
        f"{path.name}:{node.lineno}"
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare)
        and any(isinstance(side, ast.Attribute) and side.attr == "dataplane" for side in (node.left, *node.comparators))
    ]
    assert not compared, compared
