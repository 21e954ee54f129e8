"""Shell completion: labs, kinds, Pods and nodes.

A TAB must be answered before it is noticed (a shell starts netlab anew for each), so nothing here resolves a cluster:
names come from folders and from what the run state keeps of running labs.  Nothing is raised and nothing is written;
a completion that knows nothing offers nothing.

Limits: Pods on their node's network have no assignments and are not offered.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem, get_completion_class


def _offer(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


def _running() -> list[str]:
    from netlab.runtime.state.rundir import running

    return [lab.lab for lab in running()]


def _lab(ctx: click.Context) -> str:
    """The lab of the command line; "" if it is ambiguous."""
    labs = _running()
    named = ctx.params.get("lab_option") or os.environ.get("NETLAB_LAB", "")
    return named if named in labs else labs[0] if len(labs) == 1 and not named else ""


def _memory(ctx: click.Context) -> tuple[list[str], list[tuple[str, str]], list[str]]:
    """The nodes, the Pods as (namespace, name) and the network namespaces of the command line's lab."""
    from netlab.runtime.state.rundir import RunDir

    lab = _lab(ctx)
    if not lab:
        return [], [], []
    try:
        assignments = RunDir(lab).assignments()
    except PermissionError:  # root's alone
        return [], [], []
    pods = [(where, name) for where, _, name in (full.partition("/") for full in assignments.memory.get("pods", {}))]
    return list(assignments.memory.get("nodes", {})), pods, list(assignments.netns)


# -- what a word can be -----------------------------------------------------------------------------------------------


def labs(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Labs that there are, or files where a path is begun."""
    from netlab.runtime.state.labs import available

    if "/" in incomplete or incomplete.startswith("."):
        return [CompletionItem(incomplete, type="file")]
    return _offer((lab.name for lab in available()), incomplete)


def running_labs(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Labs that run."""
    return _offer(_running(), incomplete)


def places(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Pods of the namespace that is given, those of others with theirs, nodes; later words are files."""
    if ctx.params.get("name"):
        return [CompletionItem(incomplete, type="file")]
    nodes, pods, _ = _memory(ctx)
    chosen = ctx.params.get("namespace")
    if chosen:
        return _offer((name for where, name in pods if where == chosen), incomplete)
    here = [name for where, name in pods if where == "default"]
    return _offer(
        [*here, *nodes, *("/".join(pod) for pod in pods if pod[0] != "default" or "/" in incomplete)], incomplete
    )


def captured(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Capture points: Pods, nodes, and the segment between the nodes."""
    return [*places(ctx, incomplete), *_offer(["underlay"] if _lab(ctx) else [], incomplete)]


def pods(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Pods alone: of the namespace that is given, else of default, those of others with theirs."""
    nodes, _, _ = _memory(ctx)
    return [item for item in places(ctx, incomplete) if item.value not in nodes]


def kinds(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Kinds; after ``KIND/`` its objects."""
    from netlab.cli.kinds import KERNEL, KINDS

    kind, slash, begun = incomplete.partition("/")
    if slash:
        return [CompletionItem(f"{kind}/{name}") for name in _objects(ctx, kind) if name.startswith(begun)]
    offered = [kind.plural for kind in KINDS]
    if ctx.info_name == "get":
        offered += [kind.plural for kind in KERNEL]
    return _offer(offered, incomplete)


def names(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Objects of the kind that was given: of Pods, nodes, namespaces; for the kernel's kinds Pods and nodes."""
    taken = set(ctx.params.get("names") or ())
    return _offer((name for name in _objects(ctx, ctx.params.get("kind") or "") if name not in taken), incomplete)


def kind_and_names(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """``delete``'s words: a kind, then its objects."""
    given = ctx.params.get("objects") or ctx.params.get("words") or ()
    if not given:
        return kinds(ctx, incomplete)
    return _offer((name for name in _objects(ctx, given[0]) if name not in given), incomplete)


def lab_and_fault(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """``break``'s words: a running lab, then a fault, which may come first where one lab runs."""
    from netlab.faults.catalogue import modules

    labs = _running()
    given = ctx.params.get("names") or ()
    return _offer([*([] if given else labs), *(modules() if given or len(labs) == 1 else ())], incomplete)


def files(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """Files and folders."""
    return [CompletionItem(incomplete, type="file")]


def shells(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """The shells that there is a script for."""
    return _offer(("bash", "zsh", "fish"), incomplete)


def namespaces(ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    """The Kubernetes namespaces that have Pods."""
    return _offer(dict.fromkeys(["default", *(where for where, _ in _memory(ctx)[1])]), incomplete)


def _objects(ctx: click.Context, kind: str) -> list[str]:
    from netlab.cli import kinds as known

    nodes, pods, netns = _memory(ctx)
    if known.of_kernel(kind):
        return [*(name for where, name in pods if where == "default"), *nodes, *netns]
    named = next((each for each in known.KINDS if kind.lower() in each.words), None)
    chosen = ctx.params.get("namespace") or "default"
    spaces = list(dict.fromkeys(["default", *(where for where, _ in pods)]))
    objects = {"Pod": [name for where, name in pods if where == chosen], "Node": nodes, "Namespace": spaces}
    return objects.get(named.name, []) if named else []


# -- which parameter of which verb is what ----------------------------------------------------------------------------

Offer = Callable[[click.Context, str], list[CompletionItem]]
_EVERYWHERE: dict[str, Offer] = {"lab_option": running_labs, "namespace": namespaces, "files": files}
_OF_VERB: dict[tuple[str, str], Offer] = {
    ("up", "lab"): labs,
    ("learn", "lab"): labs,
    ("page", "lab"): labs,
    ("plan", "lab"): labs,
    ("new", "origin"): labs,
    ("down", "labs"): running_labs,
    ("down", "lab_options"): running_labs,
    ("diff", "lab"): running_labs,
    ("graph", "lab"): running_labs,
    ("reach", "lab"): running_labs,
    ("check", "lab"): running_labs,
    ("link", "names"): places,
    ("break", "names"): lab_and_fault,
    ("break", "at"): places,
    ("heal", "names"): lab_and_fault,
    ("heal", "at"): places,
    ("exec", "name"): places,
    ("shell", "name"): places,
    ("logs", "name"): pods,
    ("capture", "places"): captured,
    ("capture", "file"): files,
    ("get", "kind"): kinds,
    ("get", "names"): names,
    ("describe", "kind"): kinds,
    ("describe", "names"): names,
    ("label", "words"): kind_and_names,
    ("delete", "objects"): kind_and_names,
    ("completion", "shell"): shells,
    ("trace", "client"): places,
    ("trace", "target"): places,
    ("trace", "pcap"): files,
    ("trace", "record"): files,
}


def teach(verb: str, command: click.Command) -> click.Command:
    """Tell a verb's parameters what they can be.  Here in one table, and only when a shell asks."""
    for param in command.params:
        offer = _OF_VERB.get((verb, param.name or "")) or _EVERYWHERE.get(param.name or "")
        if offer:
            setattr(param, "shell_complete", offer)  # noqa: B010 - a method of click's, for this process alone
    return command


#: The other ways to type netlab: its second name, and a checkout's script, also behind sudo, whose completion asks for
#: that of the command.  click's function splits its program at newlines alone.
_BASH = """
_netlab_bootstrap() {
    local script=$1
    if ((COMP_CWORD < 2)); then
        COMPREPLY=($(compgen -W "netlab invoke" -- "${COMP_WORDS[1]}"))
    elif [[ ${COMP_WORDS[1]} == netlab ]]; then
        COMP_WORDS=("${COMP_WORDS[@]:1}")
        ((COMP_CWORD -= 1))
        _netlab_completion "$script"$'\\n'netlab
    fi
}
complete -o nosort -F _netlab_completion kubenetlab
complete -o nosort -F _netlab_bootstrap bootstrap.sh
"""


def script(shell: str) -> str:
    """The script that completes netlab's command line in a shell: bash, zsh or fish."""
    made = get_completion_class(shell)
    assert made is not None
    # click's way for bash starts a bash to ask for its version, and complains into the script where it is old.
    template = made(click.Command("netlab"), {}, "netlab", "_NETLAB_COMPLETE")
    return template.source_template % template.source_vars() + (_BASH if shell == "bash" else "")
