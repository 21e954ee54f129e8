"""``netlab shell`` without NAME: a shell in the world in which a lab's namespaces have names.

It is the user's own bash: his ~/.bashrc, his history, his working directory.  What is added: netlab on PATH with its
completion, the names of the lab's namespaces after ``ip -n`` and ``ip netns exec``, NETLAB_LAB, and the lab's name in the
prompt.  No file is written: bash reads what is added from a descriptor, which it closes.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import sys
from collections.abc import Sequence

from netlab.cli import out
from netlab.cli.complete import script
from netlab.runtime.client import apiserver
from netlab.runtime.client.sandbox import WRAPPERS

_SYSTEM = "/usr/local/sbin:/usr/sbin:/sbin"  # Debian keeps nft and tcpdump where a plain user's PATH does not look
#: A function for each bash below the shell: kubectl is that of the lab, and its server starts when it is first needed.
_KUBECTL = {"BASH_FUNC_kubectl%%": '() {  netlab kubectl "$@"\n}'}
_RC = r"""[ ! -r ~/.bashrc ] || . ~/.bashrc
case :$PATH: in *:%(first)s:*) ;; *) PATH=%(first)s:$PATH ;; esac
PS1="($NETLAB_LAB) ${PS1-\$ }"
%(completion)s
_netlab_netns() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[*]:0:COMP_CWORD} other=${_netlab_before[${1##*/}]-}
  case "$before" in
    *' -n' | *' -netns' | *' --netns' | *' netns exec' | *' netns pids' | *' netns set' | *' netns del' | *' netns delete')
      COMPREPLY=($(compgen -W "$(cd /run/netns && ls -d "$NETLAB_LAB"-*)" -- "$word")) ;;
    *' netns exec '*)
      [[ $before == *' netns exec '*' '* ]] || COMPREPLY=($(compgen -c -- "$word")) ;;
    *) [ -z "$other" ] || "$other" "$@" ;;
  esac 2>/dev/null
}
declare -A _netlab_before
for _netlab_word in ip bridge tc; do
  if declare -F _completion_loader >/dev/null; then _completion_loader $_netlab_word; fi
  _netlab_before[$_netlab_word]=$(complete -p $_netlab_word 2>/dev/null | sed -n 's/.* -F \([^ ]*\) .*/\1/p')
  complete -o default -F _netlab_netns $_netlab_word
done
unset _netlab_word
"""


def environment(lab: str) -> tuple[dict[str, str], str]:
    """The environment in which lines work as they are printed, and the folders that stand first on its PATH."""
    venv = os.path.join(sys.prefix, "bin")
    first = [WRAPPERS] if os.path.isdir(WRAPPERS) else []
    first += [venv] if os.path.exists(os.path.join(venv, "netlab")) else []
    path = [*first, os.environ.get("PATH") or os.defpath, _SYSTEM]
    own = {"NETLAB_LAB": lab, "NETLAB_TYPED": "netlab", "PATH": _once(":".join(path))}
    # Other clients must not take the user's own cluster for the lab.
    return {**os.environ, **own, **_KUBECTL, "KUBECONFIG": str(apiserver.kubeconfig(lab))}, ":".join(first)


def become(lab: str, netns: Sequence[str], argv: Sequence[str], more: str | None = None) -> int:
    """Become the command, or a shell where there is none; returns only where that fails: 126 or 127, as a shell has it.

    ``more``: what the shell reads besides, in the place of the lines that say how to use it.
    """
    env, first = environment(lab)
    words = ["netlab", *argv] if argv[:1] == ("kubectl",) else list(argv)
    if not words:
        words, env = _shell(lab, env, first, more or "")
        if sys.stdin.isatty() and more is None:
            example = next((name for name in netns if "node" in name), netns[0] if netns else lab)
            out.note(f"the shell of lab {lab}: type `ip -n {example} route` and netlab's commands as they are printed")
            out.note("ip netns lists the network namespaces; exit leaves this shell")
    sys.stdout.flush()
    sys.stderr.flush()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores, and a command would inherit that
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(words[0], words, env)
    except OSError as refusal:
        missing = isinstance(refusal, (FileNotFoundError, NotADirectoryError))
        reason = "command not found" if missing and "/" not in words[0] else refusal.strerror
        out.note(f"netlab: {words[0]}: {reason}")
        return 127 if missing else 126


def _shell(lab: str, env: dict[str, str], first: str, more: str) -> tuple[list[str], dict[str, str]]:
    """The command line of the shell, and its environment."""
    bash = shutil.which("bash", path=env["PATH"])
    if bash is None:
        return ["sh"], {**env, "PS1": f"({lab}) {'#' if os.geteuid() == 0 else '$'} "}
    if not sys.stdin.isatty():  # it reads its commands from there
        if not more:
            return [bash], env
        fd = _kept(f"unset BASH_ENV\n{more}")
        return [bash], {**env, "BASH_ENV": f"/proc/self/fd/{fd}"}
    added = {"first": shlex.quote(first or "/usr/bin"), "completion": script("bash")}
    fd = _kept(_RC % added + more)
    return [bash, "--rcfile", f"/proc/self/fd/{fd}"], env


def _kept(text: str) -> int:
    """A descriptor from which bash reads a text; the last line of the text closes it."""
    fd = os.memfd_create("netlab-shell", 0)
    os.write(fd, f"{text}exec {fd}<&-\n".encode())
    return fd


def _once(path: str) -> str:
    """A PATH without the folders that stand in it already."""
    return ":".join(dict.fromkeys(path.split(":")))
