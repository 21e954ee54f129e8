"""The verbs in their groups, and the pages that list them.

The summaries are here and not taken from the verbs, so that --help imports nothing.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

_WIDE = 79

GROUPS = {
    "Labs": {
        "up": "Build a lab, or update a running lab to its spec.",
        "down": "Remove labs in any state.",
        "ls": "List the running labs.",
        "labs": "List the available labs.",
        "exec": "Run a command in a Pod, on a node or external host.",
        "shell": "Open a shell in a lab's world, in a Pod or on a node.",
        "page": "Show the page of a lab, on the terminal or to print.",
        "new": "Copy a lab to a folder of your own, to change it.",
        "plan": "Show what up would do, as a table or as shell commands.",
        "apply": "Change a running lab with manifests, as kubectl does.",
        "delete": "Delete objects from a running lab.",
        "label": "Set and remove labels of Pods, namespaces and nodes.",
        "link": "Delay, lose or slow down what passes a link.",
        "doctor": "Show what runs on this host, and what to type otherwise.",
        "completion": "Print the completion script for a shell.",
        "schema": "Print the JSON Schema of a file or a document.",
    },
    "Look": {
        "get": "List Pods, nodes and other objects, as kubectl does.",
        "diff": "Show how the kernel differs from the applied lab.",
        "graph": "Draw the topology of a lab, or print it as a document.",
        "serve": "Show a lab as a live page in a browser.",
        "kubectl": "Run kubectl against a running lab.",
        "kubeconfig": "Start the Kubernetes API of a lab and print its kubeconfig.",
        "describe": "Show the details of a Pod, a node or another object.",
        "logs": "Print the output of a container.",
    },
    "Packets": {
        "reach": "Probe by packets which Pods connect to which ports.",
        "trace": "Follow one packet and its reply at every interface.",
        "capture": "Capture packets at any number of interfaces.",
    },
    "Policies": {
        "explain": "Explain why a flow is allowed or denied.",
        "check": "Compare expectations, predictions and real packets.",
        "test": "Test NetworkPolicies of manifests by real packets.",
        "worker": "Test on this machine what other machines send.",
    },
    "Break and learn": {
        "learn": "Learn in a lab, by steps that check themselves.",
        "class": "Labs for many learners, their progress and their grades.",
        "break": "Make a fault in a lab, as real clusters have it.",
        "heal": "Mend the faults that break made.",
        "diagnose": "Find out why a lab does not work, and what mends it.",
    },
}
VERBS = {verb: summary for verbs in GROUPS.values() for verb, summary in verbs.items()}
#: What `netlab --help` leaves to `netlab help --all`, so that it fits a terminal of 24 lines.
_RARE = frozenset(
    [
        "labs",
        "page",
        "new",
        "plan",
        "apply",
        "delete",
        "label",
        "link",
        "doctor",
        "completion",
        "schema",
        "graph",
        "kubeconfig",
        "describe",
        "logs",
        "heal",
        "class",
        "worker",
    ]
)
_WHICH = {
    "explain": "should the flow pass? Reads the policies; sends nothing.",
    "trace": "what became of this packet? Sends one and follows it.",
    "diff": "what in the kernel is not as wanted?",
    "diagnose": "where do I start? Finds the causes, and what mends them.",
}


def begin(command: str) -> Iterator[str]:
    """What `netlab` without a verb says; ``command`` is how the user types it."""
    yield "netlab builds a small Kubernetes network from nothing but the Linux kernel."
    yield ""
    rows = {
        "up overlay": "build a first lab: two nodes, two Pods, a VXLAN tunnel",
        "learn": "learn how Pods reach each other, in labs that check your steps",
        "test -f FILE": "test the NetworkPolicies of manifests by real packets",
        "--help": "list the verbs",
    }
    for words, summary in rows.items():
        yield f"  {command} {words:14}{summary}"


def usual() -> Iterator[str]:
    """`netlab --help`: the usual verbs, in 24 lines of 79 columns."""
    yield "Usage: netlab VERB [ARGUMENTS...]      netlab VERB --help explains a verb"
    yield ""
    for group, verbs in GROUPS.items():
        names = [verb for verb in verbs if verb not in _RARE]
        yield from (f"{group if verb == names[0] else '':16}{verb:9}{verbs[verb]}" for verb in names)
    yield ""
    yield "netlab help --all lists all verbs.  Start with: netlab up overlay"


def whole() -> Iterator[str]:
    """`netlab help --all`: every verb, which to take for a question, and the options of netlab itself."""
    yield "Usage: netlab VERB [ARGUMENTS...]"
    yield ""
    yield from textwrap.wrap(
        "netlab builds a small Kubernetes network from nothing but the Linux kernel. Without root it works in "
        "namespaces of your own, where no other user sees your labs.",
        _WIDE,
    )
    for group, verbs in GROUPS.items():
        yield f"\n{group}"
        yield from (f"  {verb:12}{text}" for verb, text in verbs.items())
    yield "\nWhich one?"
    yield from (f"  {verb:12}{text}" for verb, text in _WHICH.items())
    yield "\nOptions"
    yield "  --version   Show the version and exit."
    yield "  -h, --help  Show a page of help and exit."
