"""Type at an interactive bash on a terminal, and print what its screen has; the exit status says whether all was seen."""

from __future__ import annotations

import os
import pty
import select
import sys
import time

STEPS = (
    ("", "$ "),
    ("netlab up lab.yaml\r", "lab LAB is up"),
    # Ctrl-C: the verb that waits ends well, and the shell has the terminal again
    ("netlab capture --lab LAB; echo status-$?\r", "Ctrl-C ends it"),
    ("\x03", "status-"),
    # Ctrl-Z and fg
    ("netlab capture --lab LAB\r", "Ctrl-C ends it"),
    ("\x1a", "Stopped"),
    ("jobs; echo jobs-$?\r", "jobs-0"),
    ("fg\r", "netlab capture"),
    ("\x03", " packet"),
    # a shell in a Pod on this terminal: its own job control, and the caller's afterwards
    ("netlab shell --lab LAB client\r", "# "),
    ("sh -c 'echo in-$((40 + 2)); exec sleep 1000'\r", "in-42"),
    ("\x03", "# "),
    ("exit 7\r", "$ "),
    ("echo status-$?\r", "status-7"),
    # a signal for the process alone that the caller knows reaches the command, and the status is the command's
    ("netlab exec --lab LAB client -- sh -c 'touch /tmp/up; exec sleep 1000' & p=$!\r", "$ "),
    (
        "until netlab exec --lab LAB client -- test -e /tmp/up; do :; done; kill $p; wait $p; echo status-$?\r",
        "status-143",
    ),
    ("netlab down LAB; echo status-$?\r", "status-0"),
)
PATIENCE = 180.0  # seconds


def main(lab: str) -> int:
    """Go through the steps."""
    pid, master = pty.fork()
    if pid == 0:
        os.environ["PS1"] = "$ "
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])
    for typed, wanted in STEPS:
        seen = _after(master, typed.replace("LAB", lab), wanted.replace("LAB", lab))
        sys.stdout.write(seen)
        if not seen:
            return 1
    return 0


def _after(master: int, typed: str, wanted: str) -> str:
    """What the screen shows until the wanted words are there; empty where they do not come.

    A control character is typed again: until the shell has given the terminal to a job, it goes to the shell.
    """
    os.write(master, typed.encode())
    seen, deadline = "", time.monotonic() + PATIENCE
    while wanted not in seen.replace(typed.rstrip("\r"), "", 1):
        if select.select([master], [], [], 2.0)[0]:
            seen += os.read(master, 4096).decode(errors="replace")
        elif time.monotonic() > deadline:
            sys.stdout.write(f"\nafter {typed!r} there was no {wanted!r} but {seen!r}\n")
            return ""
        elif typed in ("\x03", "\x1a"):
            os.write(master, typed.encode())
    return seen


sys.exit(main(sys.argv[1]))
