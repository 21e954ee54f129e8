"""The pages' console blocks are typed, and what they show is what is seen.

A block that is run looks like this in Markdown:

    ```console
    $ sudo ./bootstrap.sh netlab up overlay
    overlay is up: 2 nodes, …
    # ip netns exec overlay-client ping -c 1 -W 1 10.244.9.9
    ...
    (exit status 1)
    ```

- ``$ `` and ``# `` are prompts (a user's, root's); a line that ends in a backslash goes on in the next, and ``> `` goes
  on with what a shell would still wait for (a here-document).
- What follows is the expected output, stdout and stderr together. Nothing follows: only the exit status is checked.
- ``...`` alone on a line stands for any number of lines; ``…`` or a word like ``<pid>`` stands for anything within one.
  Runs of blanks are equal to each other; blanks at a line's ends do not count.
- ``(exit status N)`` as the last line: the command must end with N. Otherwise it must end with 0.
- ```` ```console notest REASON ````: not run, and counted as a skip with that reason.

The commands of a page run in order in one bash session, as root, in a scratch copy of the checkout's root, so relative
paths work and nothing that a page writes stays.  ``sudo`` and ``./bootstrap.sh`` are stand-ins there that just run the
command: the environment is made already (tests/house/test_bootstrap.py tests the real one).  ``netlab`` runs in a fork of
a process that has imported it (tests/forks.py); ``sleep`` with seconds waits until the page's tcpdump or capture listens;
``tcpdump`` prints each packet at once.
The session has a /run of its own, so a page sees its labs alone, as its reader would, and what it leaves running is taken
down at its end.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from netlab.runtime.client.sandbox import WRAPPERS
from netlab.runtime.cni.plugin import FOLDERS
from netlab.runtime.state.sudo import maps_all_users
from tests.kernel_features import needed_by_lab

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TIMEOUT = 120.0  # seconds that one command of a page may take
MARK = "\x01netlab-docs\x01"
#: Commands of pages that write to a folder whose owner has no number in a world without root.
ROOT_ALONE = "written-in-a-pod"
#: Lines that no page has, since root does not see them.
ROOTLESS_ALONE = ("source not used: drops (BPF is for root of the machine", "netlab shell opens the shell in which")

# -- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """One command of a page: where it stands, what is typed, what must be seen, how it must end."""

    line: int
    command: str
    expected: tuple[str, ...]
    status: int


@dataclass(frozen=True)
class Block:
    """One fenced console block; ``notest`` is the reason why it is not run, None where it is."""

    line: int
    notest: str | None
    steps: tuple[Step, ...]


_FENCE = re.compile(r"^ {0,3}(`{3,})\s*(\S*)\s*(.*?)\s*$")


def blocks(text: str) -> Iterator[Block]:
    """The console blocks of a Markdown page, in order."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        opening = _FENCE.match(lines[at])
        at += 1
        if not opening:
            continue
        first, fence = at, opening[1]
        while at < len(lines) and lines[at].strip() != fence:
            at += 1
        if opening[2] == "console":
            word, _, reason = opening[3].partition(" ")
            notest = (reason or "marked notest") if word == "notest" else None
            yield Block(first, notest, tuple(steps(lines[first:at], first + 1)))
        at += 1


def steps(lines: Sequence[str], first: int) -> Iterator[Step]:
    """The commands of a block; ``first`` is the page's line number of its first line."""
    at = 0
    if lines and lines[0][:2] not in ("$ ", "# "):
        raise ValueError(f"line {first}: a console block begins with a prompt, `$ ` or `# `")
    while at < len(lines):
        line, command = first + at, [lines[at][2:]]
        at += 1
        while at < len(lines) and (command[-1].endswith("\\") or lines[at].startswith("> ")):
            command.append(lines[at].removeprefix("> "))
            at += 1
        expected = []
        while at < len(lines) and lines[at][:2] not in ("$ ", "# "):
            expected.append(lines[at])
            at += 1
        while expected and not expected[-1].strip():
            expected.pop()
        status = 0
        if expected and (said := re.fullmatch(r"\(exit status (\d+)\)", expected[-1].strip())):
            status = int(said[1])
            expected.pop()
        yield Step(line, "\n".join(command), tuple(expected), status)


# -- comparing --------------------------------------------------------------------------------------------------------


def _pattern(line: str) -> re.Pattern[str]:
    parts = re.split(r"(…|<[\w .:-]+>|\s+)", line.strip())
    return re.compile(
        "".join(
            ".*?" if p == "…" or (p[:1] == "<" and p[-1:] == ">") else r"\s+" if p.isspace() else re.escape(p)
            for p in parts
        )
    )


def first_difference(expected: Sequence[str], seen: Sequence[str]) -> str | None:
    """The first expected line that is not there, or the first line too many; None where they agree."""
    # reach[i]: the first i expected lines can account for the seen lines so far.
    wanted = [None if line.strip() == "..." else _pattern(line) for line in expected]

    def skip(positions: set[int]) -> set[int]:
        for i, pattern in enumerate(wanted):
            if pattern is None and i in positions:
                positions.add(i + 1)
        return positions

    reach = skip({0})
    for line in seen:
        step = {i for i in reach if i < len(wanted) and wanted[i] is None}
        for i in reach:
            pattern = wanted[i] if i < len(wanted) else None
            if pattern is not None and pattern.fullmatch(line.strip()):
                step.add(i + 1)
        if not step:
            at = max(reach)
            return f"expected: {expected[at] if at < len(expected) else '(nothing more)'}\nseen:     {line}"
        reach = skip(step)
    return None if len(wanted) in reach else f"expected: {expected[max(reach)]}\nseen:     (nothing more)"


# -- typing -----------------------------------------------------------------------------------------------------------


class Session:
    """A bash in a scratch copy of the checkout, with a /run of its own."""

    def __init__(self, folder: Path, *, forks: bool = True) -> None:
        self.folder = folder
        for name in ("labs", "docs"):
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name)
        (folder / "tasks.py").symlink_to(ROOT / "tasks.py")
        (folder / "bootstrap.sh").write_text('#!/bin/sh\nexec "$@"\n')
        (folder / "bootstrap.sh").chmod(0o755)
        programs, door = folder / ".bin", folder / ".forks"
        programs.mkdir()
        for name in ("netlab", "kubenetlab"):
            line = f'-I -S "{HERE}/forked.py" "{door}"' if forks else "-m netlab"
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {line} "$@"\n')
            (programs / name).chmod(0o755)
        if tcpdump := shutil.which("tcpdump", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
            # By itself it hands a packet on up to a second late.
            (programs / "tcpdump").write_text(f'#!/bin/sh\nexec "{tcpdump}" --immediate-mode "$@"\n')
            (programs / "tcpdump").chmod(0o755)
        path = f"{programs}:{Path(sys.executable).parent}:{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
        home = folder / ".home"
        home.mkdir()
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("NETLAB_", "PYTEST_", "SUDO_"))}
        self.bash = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "bash", "--norc", "--noprofile"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={
                **keep,
                "PATH": path,
                "HOME": str(home),
                "PYTHONPATH": str(ROOT),
                "NO_COLOR": "1",
                "LC_ALL": "C.UTF-8",
                # The reader is root behind sudo, so hints are printed in the form that such a reader can paste.
                "SUDO_UID": str(ROOT.stat().st_uid),
                "SUDO_GID": str(ROOT.stat().st_gid),
            },
        )
        # Without root, programs that need another option there are in a folder of /run.
        status, said = self.type(
            f"[ ! -d {WRAPPERS} ] || cp -a {WRAPPERS} {folder}/.wrappers; mount -t tmpfs -o mode=755 tmpfs /run && "
            f"{{ [ ! -d {folder}/.wrappers ] || cp -a {folder}/.wrappers {WRAPPERS}; }}"
        )
        if status:
            self.close()
            pytest.skip(f"no mount namespace to be had here (in a plain chroot / is no mount point): {' '.join(said)}")
        # An /etc of its own too: the last lab of the host takes /etc/netns away, and with it what is mounted there in
        # any namespace.
        # Without root it is a mount, which nobody takes away.
        self.type(
            "if mountpoint -q /etc/netns; then mount -t tmpfs -o mode=755 tmpfs /etc/netns; else "
            "mkdir -p /run/.etc/upper /run/.etc/work && mount -t overlay "
            "-o lowerdir=/etc,upperdir=/run/.etc/upper,workdir=/run/.etc/work overlay /etc && rm -rf /etc/netns; fi"
        )
        self.type('sudo() { env "$@"; }')
        listening = f'"{sys.executable}" -I -S "{HERE}/listening.py"'
        self.type(f'sleep() {{ case $1 in [1-9]) {listening} ;; *) command sleep "$@" ;; esac; }}')
        if forks:
            self.type(f'"{sys.executable}" -I "{ROOT}/tests/forks.py" "{door}" >/dev/null 2>&1 &')
            self.type(f'until [ -S "{door}" ]; do kill -0 $! || break; command sleep 0.02; done')

    def type(self, command: str) -> tuple[int, list[str]]:
        """Type a command, wait for its end; its exit status (124: it did not end) and its lines."""
        assert self.bash.stdin is not None and self.bash.stdout is not None
        # The group keeps the page's here-documents whole and gives the command no terminal to wait on.
        try:
            self.bash.stdin.write(f"{{ {command}\n}} </dev/null 2>&1\nprintf '{MARK}%s\\n' $?\n".encode())
            self.bash.stdin.flush()
        except BrokenPipeError:  # the shell has ended: what it said is still to be read
            pass
        seen, until, out = b"", time.monotonic() + TIMEOUT, self.bash.stdout.fileno()
        while (end := re.search(rb"\x01netlab-docs\x01(\d+)\n", seen)) is None:
            if not select.select([out], [], [], max(0.0, until - time.monotonic()))[0]:
                return 124, [*seen.decode(errors="replace").splitlines(), f"(no end after {TIMEOUT:.0f} s)"]
            piece = os.read(out, 65536)
            if not piece:
                return 124, [*seen.decode(errors="replace").splitlines(), "(the shell ended)"]
            seen += piece
        lines = [line.rstrip() for line in seen[: end.start()].decode(errors="replace").splitlines()]
        if not maps_all_users():
            lines = [line for line in lines if not line.startswith(ROOTLESS_ALONE)]
        while lines and not lines[-1]:
            lines.pop()
        return int(end[1]), lines

    def close(self) -> list[str]:
        """Take down what the page left running, end the shell; the names of namespaces that are left even so."""
        left: list[str] = []
        if self.bash.poll() is None:
            if self.type('[ -n "$(ls /run/netns 2>/dev/null)" ]')[0] == 0:
                self.type("netlab down --all")
            status, left = self.type("ls /run/netns 2>/dev/null || true")
            left = left if status == 0 else []
            for name in left:
                self.type(f"ip netns del {name}")
        assert self.bash.stdin is not None
        try:
            self.bash.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.bash.wait(60)
        except subprocess.TimeoutExpired:
            self.bash.kill()
            self.bash.wait()
        assert self.bash.stdout is not None
        self.bash.stdout.close()
        return left


# -- the tests --------------------------------------------------------------------------------------------------------

PAGES = [
    ROOT / "README.md",
    ROOT / "docs" / "ci.md",
    ROOT / "docs" / "cni.md",
    ROOT / "docs" / "kubectl.md",
    ROOT / "docs" / "learn.md",
    ROOT / "docs" / "lint.md",
    ROOT / "docs" / "machines.md",
    ROOT / "docs" / "story.md",
    ROOT / "docs" / "test.md",
    ROOT / "docs" / "trace.md",
    ROOT / "docs" / "write-an-exercise.md",
    *sorted((ROOT / "labs").glob("*/README.md")),
]
NOT_RUN = [(p, block) for p in PAGES if p.is_file() for block in blocks(p.read_text()) if block.notest is not None]


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _without_root(expected: Sequence[str]) -> list[str]:
    """The lines of a page as a plain user sees them: typed without sudo, and without the kernel's reasons for drops."""
    words = {
        "sudo ./bootstrap.sh netlab": "netlab",
        "sudo ip -n": "netlab shell -- ip -n",
        "labs run as root": "labs run without root",
    }
    lines = [line for line in expected if "XXX  DROPPED: " not in line]
    for old, new in words.items():
        lines = [line.replace(old, new) for line in lines]
    return lines


@pytest.mark.kernel
@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=pytest.mark.needs(*needed_by_lab(page.parent)), id=_id(page)) for page in PAGES]
)
def test_page_shows_what_is_seen(page: Path, tmp_path: Path) -> None:
    todo = [step for block in blocks(page.read_text()) if block.notest is None for step in block.steps]
    if not todo:
        pytest.skip(f"{_id(page)} has no console block that is run")
    if page.name == "cni.md" and not any(os.access(f"{folder}/bridge", os.X_OK) for folder in FOLDERS):
        pytest.skip("the CNI reference plugins are missing (apt-get install containernetworking-plugins)")
    session = Session(tmp_path)
    try:
        for step in todo:
            if not maps_all_users() and ROOT_ALONE in step.command:
                continue
            status, seen = session.type(step.command)
            expected = step.expected if maps_all_users() else _without_root(step.expected)
            different = first_difference(expected, seen) if expected else None
            if status != step.status or different:
                wrong = different or f"exit status {status}, not {step.status}"
                everything = "\n".join(seen[-60:])
                pytest.fail(
                    f"{_id(page)}:{step.line}: {step.command}\n{wrong}\n\nall that was seen:\n{everything}",
                    pytrace=False,
                )
    finally:
        left = session.close()
    assert not left, f"{_id(page)}: `netlab down --all` left {left}"


def test_the_table_of_commands_names_the_verbs_there_are() -> None:
    """It promises no verb that is missing, and leaves none out."""
    table = (ROOT / "docs/commands.md").read_text()
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = {code.removeprefix("netlab ").split()[0] for row in rows for code in re.findall("`(.*?)`", row)}
    assert named == {p.stem for p in (ROOT / "netlab" / "cli" / "verbs").glob("[a-z]*.py")}


@pytest.mark.parametrize(("page", "block"), NOT_RUN, ids=[f"{_id(p)}:{b.line}" for p, b in NOT_RUN])
def test_block_is_not_run(page: Path, block: Block) -> None:
    pytest.skip(f"a console block of a page is not run: {block.notest}")


@pytest.mark.parametrize(
    ("expected", "seen", "same"),
    [
        (["a  b"], ["a b"], True),
        (["a b", "..."], ["a b", "x", "y"], True),
        (["...", "z"], ["z", "x", "z"], True),
        (["...", "z"], ["z", "x"], False),
        (["64 bytes from <address>: time=… ms"], ["64 bytes from 10.0.0.1: time=0.03 ms"], True),
        (["one"], ["one", "two"], False),
        (["one", "two"], ["one"], False),
        (["a.c"], ["abc"], False),
    ],
)
def test_expected_output_is_compared_as_written(expected: list[str], seen: list[str], same: bool) -> None:
    assert (first_difference(expected, seen) is None) is same


def test_a_page_is_read_as_written() -> None:
    page = "t\n```console\n$ a \\\n  b\nout\n# cat <<E\n> x\n> E\nx\n(exit status 2)\n```\n```console notest needs a VM\n$ c\n```\n"
    first, second = blocks(page)
    assert first.steps == (Step(3, "a \\\n  b", ("out",), 0), Step(6, "cat <<E\nx\nE", ("x",), 2))
    assert second.notest == "needs a VM"


@pytest.mark.kernel
def test_a_session_keeps_its_directory_and_sees_no_other_lab(tmp_path: Path) -> None:
    session = Session(tmp_path)
    try:
        assert session.type("cd /tmp; x=1") == (0, [])
        assert session.type("echo $PWD $x; ls /run/netns 2>/dev/null; (exit 3)") == (3, ["/tmp 1"])
        assert session.type("sudo cat <<E\na b\nE") == (0, ["a b"])
    finally:
        assert session.close() == []
