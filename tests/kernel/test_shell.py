"""``netlab shell`` without NAME: lines work there as they are printed, and it is the user's own shell."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import command

pytestmark = pytest.mark.kernel
ROOT = Path(__file__).resolve().parents[2]


def environment(**more: str) -> dict[str, str]:
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("NETLAB_LAB", "SUDO_"))}
    return {**keep, "PYTHONPATH": str(ROOT), **more}


def shell(*words: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command(), "shell", *words], input=stdin, env=environment(**env), timeout=120,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, argv: list[str], env: dict[str, str], cwd: Path) -> None:
        self.master, peer = pty.openpty()
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *argv], stdin=peer, stdout=peer, stderr=peer, env=env, cwd=cwd, close_fds=True
        )
        os.close(peer)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def until(self, pattern: str) -> str:
        """What is seen up to the pattern, after what was seen before."""
        end = time.monotonic() + 100
        while (found := re.search(pattern, self.seen)) is None:
            assert select.select([self.master], [], [], max(0.0, end - time.monotonic()))[0], self.seen
            try:
                self.seen += os.read(self.master, 65536).decode(errors="replace")
            except OSError:  # nobody has the terminal any more
                raise AssertionError(f"the terminal ended without {pattern}: {self.seen}") from None
        before, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return before

    def status(self) -> int:
        """The exit status, once nobody has the terminal any more."""
        with contextlib.suppress(OSError):
            while os.read(self.master, 65536):
                pass
        os.close(self.master)
        return self.process.wait(100)


def test_lines_work_as_they_are_printed_and_a_command_ends_as_it_ends(kit: Any, lab: str) -> None:
    other = f"{lab}b"
    kit.up(kit.spec(lab))
    try:
        kit.up(kit.spec(other, [("client", "node-1")], ["node-1"]))
        done = shell("--lab", other, "--", "ip", "-n", f"{other}-node-1", "-br", "link", "show", "cni0")
        assert done.returncode == 0 and done.stdout.startswith("cni0"), done.stderr
        done = shell("--lab", lab, stdin="netlab get pods -o name; netlab exec client -- hostname; exit 7\n")
        assert (done.returncode, done.stdout.split()) == (7, ["pod/client", "pod/server", "client"]), done.stderr
        assert not done.stderr
        done = shell("--lab", lab, "client", "--", "hostname")
        assert (done.returncode, done.stdout) == (0, "client\n"), done.stderr
        done = shell("--lab", lab, lab)
        assert done.returncode == 2 and f"netlab shell --lab {lab} is the shell of the lab" in done.stderr
    finally:
        kit.down(other)
    for line, status in (("exit 3", 3), ("kill -TERM $$", -15), ("yes | head -n 1", 0), ("kill -PIPE $$", -13)):
        assert shell("--lab", lab, "--", "sh", "-c", line).returncode == status, line
    done = shell("--lab", lab, "--", "no-such-program")
    assert (done.returncode, done.stderr) == (127, "netlab: no-such-program: command not found\n")
    assert shell("--lab", lab, "--", "/etc/passwd").returncode == 126


def test_on_a_terminal_it_is_the_users_bash_with_the_names_of_the_lab(kit: Any, lab: str, tmp_path: Path) -> None:
    kit.up(kit.spec(lab))
    (tmp_path / ".bashrc").write_text("PS1='mine$ '; alias hi='echo rc of mine'; PATH=/usr/sbin:/usr/bin:/sbin:/bin\n")
    env = environment(HOME=str(tmp_path), TERM="dumb", INPUTRC="/dev/null")
    env.pop("HISTFILE", None)
    terminal = Terminal([*command(), "shell", "--lab", lab], env, tmp_path)
    prompt = rf"\({lab}\) mine\$ "
    assert f"`ip -n {lab}-node-1 route`" in terminal.until(prompt)
    terminal.type("hi; pwd\n")
    said = terminal.until(prompt)
    assert "rc of mine" in said and str(tmp_path) in said
    terminal.type(f"ip -n {lab}-ser\t-br addr show dev eth0\n")
    assert "10.244.2.2/24" in terminal.until(prompt)
    terminal.type(f"ip netns exec {lab}-node-2 bridg\tlink show dev veth-server | tr a-z A-Z\n")
    assert "MASTER CNI0" in terminal.until(prompt)
    terminal.type("netlab exec ser\t-- hostname | tr a-z A-Z\n")
    assert "SERVER" in terminal.until(prompt)
    terminal.type(
        "COMP_WORDS=(ip netns exec ''); COMP_CWORD=3; _netlab_netns ip; echo ${#COMPREPLY[@]} names; ls /proc/$$/fd\n"
    )
    said = terminal.until(prompt)
    assert "5 names" in said, said
    assert re.search(r"^0\s+1\s+2\s+255\s*$", said, re.M), "no descriptor of netlab's is left"
    terminal.type("sh -c 'echo be''gun; exec sleep 1000'\n")
    terminal.until("begun")
    terminal.type("\x03")
    terminal.until(prompt)
    terminal.type("exit 9\n")
    assert terminal.status() == 9
    assert sorted(path.name for path in tmp_path.iterdir()) == [".bash_history", ".bashrc"]
    assert "exit 9" in (tmp_path / ".bash_history").read_text().splitlines()


def test_where_bash_is_missing_it_is_sh(kit: Any, lab: str, tmp_path: Path) -> None:
    """bash below a file that cannot be executed, in a mount namespace of the test's own."""
    kit.up(kit.spec(lab))
    hide = f'mount --bind /dev/null {Path(str(shutil.which("bash"))).resolve()}; exec "$@"'
    argv = ["unshare", "-m", "/bin/sh", "-c", hide, "sh", *command(), "shell", "--lab", lab]
    terminal = Terminal(argv, environment(TERM="dumb", ENV=""), tmp_path)
    terminal.until(rf"\({lab}\) [#$] ")
    terminal.type(f"netlab exec client -- hostname | tr a-z A-Z; ip -n {lab}-client -br addr show dev eth0\n")
    assert "CLIENT" in terminal.until("10.244.1.2/24")
    terminal.type("\x04")
    assert terminal.status() == 0
