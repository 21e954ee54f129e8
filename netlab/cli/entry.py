"""The entry point of the console command: into the user's own world where there is no root, then to a command server.

Only the standard library is imported here, so that a command to a server costs no more than Python's start.
"""

# Nothing that has to be looked for stands before this, not even __future__: Ctrl-C may come meanwhile.
import _signal  # type: ignore[import-not-found]  # Python has it already; signal itself imports enum

# Ctrl-C ends a command that is still importing, as it ends any program: without a traceback.
if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

# Verbs that read or change what a lab is, and end by themselves.  Not those that need the terminal to themselves.
_VERBS = frozenset(("up", "plan", "diff", "get", "describe", "label", "apply", "delete", "explain", "check", "trace"))
_STAYS = ("--watch", "-w")
_NEEDED = 1 << 12 | 1 << 21  # CAP_NET_ADMIN, CAP_SYS_ADMIN


def main(argv: "Sequence[str] | None" = None) -> "NoReturn":
    """Run the command line and leave with its exit status."""
    gc.disable()  # a tenth of the time that imports take; ``run`` turns it on
    from netlab.runtime import commandserver

    words = list(sys.argv[1:] if argv is None else argv)
    _fill_descriptors()
    if sys.platform == "linux" and not _is_privileged():
        from netlab.cli.rootless import enter

        enter(words)
    if words and words[0] in _VERBS and not set(_STAYS) & set(words):
        status = commandserver.ask(words)
        if status is not None:
            os._exit(status)
    from netlab.cli.main import main as run

    run(words)


def _is_privileged() -> bool:
    """Whether this process may make namespaces and links where it is: CAP_NET_ADMIN and CAP_SYS_ADMIN are in force."""
    try:
        with open("/proc/self/status", "rb") as status:
            held = int(status.read().partition(b"\nCapEff:")[2].split(None, 1)[0], 16)
    except (OSError, ValueError, IndexError):
        return os.geteuid() == 0
    return held & _NEEDED == _NEEDED


def _fill_descriptors() -> None:
    """Where somebody closed standard input, output or error (``>&-``), /dev/null is there: else the next file or socket
    that is opened would have its number, and be written to.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))
