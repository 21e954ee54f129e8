"""The programs of its author's that a Lab names: ``trust`` says whether it may."""

from __future__ import annotations

import os
from collections.abc import Iterator

from netlab.model import Cluster
from netlab.runtime.client.sandbox import PATH
from netlab.runtime.host.trust import Program
from netlab.spec import Document


def programs(lab: Document | None, cluster: Cluster) -> Iterator[Program]:
    """Each program, with its place: of an ``agent`` the program itself, and the files among its words."""
    if lab is None:
        return
    spec = lab.body.get("spec", {})
    commands: list[tuple[tuple[str | int, ...], str, list[str]]] = [
        (("spec", "agent"), "spec.agent", spec.get("agent", ()))
    ]
    for number, node in enumerate(spec.get("nodes", ())):
        commands.append((("spec", "nodes", number, "agent"), f"spec.nodes[{number}].agent", node.get("agent", ())))
    for place, path, words in commands:
        for number, word in enumerate(words):
            file = os.path.join(cluster.folder, word)
            if number == 0 and "/" not in word:
                import shutil

                file = shutil.which(word, path=PATH) or file
            if number == 0 or os.path.isfile(file):
                yield Program(file, path, lab.at(*place))
