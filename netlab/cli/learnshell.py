"""The shell of ``netlab learn``: the lab's shell, with the step above the prompt and the commands of a learner.

The shell talks to the watcher, a process of its own, over two pipes.  It holds both ends of each, so that nothing ends
it when the watcher has gone.  After each command it writes a line; the watcher then looks at the checks and prints what
is done while the shell waits at its prompt.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable

from netlab.values import dataclass

END = "\x04"  # alone in a line: the reply is whole
POKE = "prompt"
FINISH = "finish"  # of a script: look once more, and reply with all that is to be said
WORDS = ("answer", "hint", "reset", "skip", "step")
_PATIENCE = 60  # seconds for a reply: ``reset`` and ``skip`` may build the lab anew
_RC = r"""
_netlab_ask() {
  local line said=
  printf '%%s\n' "${*//$'\n'/ }" >&%(requests)d
  while IFS= read -r -t %(patience)d -u %(replies)d line; do
    [ "$line" != $'\x04' ] || { said=1; break; }
    printf '%%s\n' "$line"
  done
  [ -n "$said" ] || echo 'netlab: the exercise has ended; type quit, and netlab learn to go on'
}
for _netlab_word in %(words)s; do eval "$_netlab_word() { _netlab_ask $_netlab_word \"\$@\"; }"; done
unset _netlab_word
page() { %(page)s; }
quit() { exit 0; }
"""
_SCRIPT = """
trap '_netlab_ask finish' EXIT
"""
_PROMPT = r"""
_netlab_prompt() {
  printf 'prompt\n' >&%(requests)d
  IFS= read -r _netlab_step </proc/$$/fd/%(title)d
}
PROMPT_COMMAND="_netlab_prompt${PROMPT_COMMAND:+; $PROMPT_COMMAND}"
PS1='$_netlab_step'$'\n'"$PS1"
"""


@dataclass(slots=True)
class Channel:
    """The pipes between the shell and its watcher, and the text above the prompt."""

    requests: tuple[int, int]
    replies: tuple[int, int]
    title: int

    @classmethod
    def open(cls) -> Channel:
        """Pipes whose ends the shell inherits."""
        channel = cls(os.pipe(), os.pipe(), os.memfd_create("netlab-step", 0))
        for fd in (*channel.requests, *channel.replies, channel.title):
            os.set_inheritable(fd, True)
        return channel

    def read(self) -> bytes:
        """What the shell wrote.  (It has the reading end too, so this never ends.)"""
        return os.read(self.requests[0], 4096)

    def reply(self, text: str) -> None:
        """Reply to a request: lines for the shell to print."""
        body = "".join(f"{line}\n" for line in text.splitlines()) + f"{END}\n"
        data = body.encode()
        while data:
            data = data[os.write(self.replies[1], data) :]

    def entitle(self, text: str) -> None:
        """Set the text above the prompt."""
        os.ftruncate(self.title, 0)
        os.pwrite(self.title, text.encode(), 0)

    def script(self, words: Iterable[str], page: str, *, prompt: bool, more: str = "") -> str:
        """What bash reads: ``words`` are the learner's commands, ``page`` is the folder of the lab's page."""
        values = {
            "requests": self.requests[1],
            "replies": self.replies[0],
            "title": self.title,
            "patience": _PATIENCE,
            "words": " ".join(words),
            "page": f"netlab page {shlex.quote(page)}" if page else "echo 'this lab has no page'",
        }
        return (_RC + (_PROMPT if prompt else _SCRIPT)) % values + more
