"""A plain user's labs: the verbs work as root's do, two users see nothing of each other, and nothing is left."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.kernel
TERMINAL = Path(__file__).with_name("terminal.py")
LABS = Path(__file__).resolve().parents[3] / "labs"
# A holder ends after the command that took the last lab down.  The process of that command may be seen as a zombie.
GONE = "until [ -z \"$(ps -eo stat=,comm= | grep -v '^Z' | grep -E 'netlab|knotd')\" ]; do sleep 0.1; done"


@pytest.fixture(autouse=True)
def user_namespaces(plain: Any) -> None:
    if plain("unshare -Urnmpf --mount-proc true").returncode:
        pytest.skip("this host gives its users no namespaces")


def test_a_plain_user_has_labs_as_root_has(plain: Any, home: Path, lab_name: str) -> None:
    script = f"""set -e
export SUDO_UID=7 SUDO_GID=7  # left from a sudo to this user: it is not believed
netlab up {LABS}/policy --name LAB | head -1 | sed 's/;.*//'
ls /run/netns 2>/dev/null | grep LAB || echo nothing in /run/netns
netlab diff LAB
netlab check LAB | sed 's/ (.*//'
netlab trace client server --lab LAB -o json >trace.json
netlab shell -- ip -n LAB-node-1 route del 10.244.2.0/24
netlab trace client server --lab LAB 2>&1 >/dev/null | sed 's/.* shell opens/shell opens/' || true
netlab shell -- netlab trace client server 2>&1 >/dev/null || true
netlab up LAB >/dev/null
netlab exec --lab LAB client -- sh -c 'exit 41' || echo status $?
netlab exec --lab LAB client -- sh -c 'kill -TERM $$' || echo status $?
echo text | netlab exec -i --lab LAB client -- cat
mkdir below
cd below
netlab capture --lab LAB --duration 0.1 -w file.pcapng 2>/dev/null
cd ..
netlab exec --lab LAB client -- sh -c 'tcpdump -c 1 -lni lo icmp 2>/dev/null & until ping -c1 -W1 127.0.0.1 >/dev/null && ! kill -0 $! 2>/dev/null; do :; done' | sed 's/.* IP //; s/,.*//'
netlab down LAB | sed 's/ in .*//'
{GONE}
netlab ls
netlab down LAB
""".replace("LAB", lab_name)
    done = plain(script)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == [
        f"lab {lab_name} is up: 2 nodes, 3 Pods, vxlan",
        "nothing in /run/netns",
        f"lab {lab_name}: no drift",
        f"lab {lab_name}: 3 of 3 flows as they should be",
        "shell opens the shell in which these lines work",
        "status 41",
        "status 143",
        "text",
        "127.0.0.1 > 127.0.0.1: ICMP echo request",
        f"lab {lab_name} is down: 6 namespaces removed",
        "no lab is running; netlab labs shows those that there are",
        f"lab {lab_name} is not running",
    ]
    assert json.loads((home / "trace.json").read_text())["answered"]
    file = (home / "below" / "file.pcapng").stat()
    assert (file.st_uid, file.st_gid) == (65534, 65534)


def test_two_users_and_many_commands_at_once(plain: Any, home: Path, lab_name: str, kit: Any) -> None:
    """Each user has one holder, whatever starts at the same time, and its end is the end of all that it held."""
    spec = home / "lab.yaml"
    spec.write_text(kit.spec(lab_name))
    spec.chmod(0o644)
    ups = f"""id=$(id -u)
for n in 1 2 3; do netlab up lab.yaml --name {lab_name}$n >/dev/null & done; wait
netlab ls -o json >$id.json
pgrep -c -u $id netlab-holder >$id.holders
"""
    killed = """kill -KILL $(pgrep -u $id netlab-holder)
until [ -z "$(ps -u $id -o stat=,comm= | grep -v '^Z' | grep netlab)" ]; do sleep 0.1; done
netlab ls
"""
    done = plain(ups + killed, before=ups)
    assert done.returncode == 0, done.stdout + done.stderr
    for user in (1234, 65534):
        assert (home / f"{user}.holders").read_text() == "1\n", done.stderr
        labs = json.loads((home / f"{user}.json").read_text())
        assert [lab["lab"] for lab in labs] == [f"{lab_name}{n}" for n in (1, 2, 3)], done.stderr
    assert done.stdout == "no lab is running; netlab labs shows those that there are\n"


def test_the_last_down_and_the_next_up_do_not_meet(plain: Any, home: Path, lab_name: str, kit: Any) -> None:
    spec = home / "lab.yaml"
    spec.write_text(kit.spec(lab_name))
    spec.chmod(0o644)
    line = "netlab up lab.yaml >/dev/null && netlab exec client -- true && netlab down LAB >/dev/null".replace(
        "LAB", lab_name
    )
    done = plain(f"for _ in 1 2 3; do {line} || echo failed; done; {GONE}")
    # Before Linux 6.14 `up` says that nothing limits the processes of a Pod.
    said = [
        line for line in done.stderr.splitlines() if not line.startswith("warning: Pods have no limit on processes")
    ]
    assert (done.returncode, done.stdout, said) == (0, "", [])


def test_a_terminal_sees_one_process(plain: Any, lab_name: str, home: Path, kit: Any) -> None:
    """Ctrl-C, Ctrl-Z, fg, a shell in a Pod, signals and statuses: as where root types."""
    (home / "lab.yaml").write_text(kit.spec(lab_name))
    (home / "lab.yaml").chmod(0o644)
    done = plain(f"{sys.executable} {shlex.quote(str(TERMINAL))} {lab_name}")
    assert done.returncode == 0, done.stdout + done.stderr
