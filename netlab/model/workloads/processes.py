"""The containers that run: those with a ``command``, unless the lab has ``containers: respond``.

``args`` alone go to an image's entrypoint, and netlab has no images; so such a container is served by the responder,
unless it has ``stdin``: then they are the command, and without any it is a shell; options are those of the program
that the image is named after.
A command whose program this host lacks is not run either: its container shows CreateContainerError.  ``/agnhost``, the
program of Kubernetes' e2e tests, serves what its container's ports say, as the responder does.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from netlab.model.cluster import Container, Port

# What a container's PATH is unless its env says otherwise; the order of Debian's, with sbin for every user.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_AGNHOST = "/agnhost"  # registry.k8s.io/e2e-test-images/agnhost

#: Whether the host has a program: asked with the command's first word and the container's PATH.
Programs = Callable[[str, str], bool]


def decided(container: Container, spec: Mapping[str, Any], has_program: Programs | None) -> Container:
    """The container, with what becomes of its command; without ``has_program`` nothing runs."""
    if spec.get("stdin") and not container.command and has_program is not None:
        # kubectl run -it NAME --image=IMAGE -- sh: no image for a shell has an entrypoint.
        words = container.args or ("sh",)
        if words[0].startswith("-"):  # one for a program has it, and often its name: curlimages/curl
            program = container.image.rpartition("/")[2].partition("@")[0].partition(":")[0]
            words = (program, *words) if has_program(program, PATH) else ()
        container = replace(container, command=words[:1], args=words[1:])
    if not container.command or has_program is None or container.command[0] == _AGNHOST:
        return container
    name = container.command[0]
    if "/" in name:
        name = posixpath.join("/", spec.get("workingDir", "/"), name)
    path = next(
        (
            str(variable["value"])
            for variable in spec.get("env", [])
            if variable["name"] == "PATH" and "value" in variable
        ),
        PATH,
    )
    # A name that is put together from variables is only known when it runs.
    runs = "$(" in name or has_program(name, path)
    return replace(container, runs=runs, missing=not runs)


def owned(ports: Sequence[Port], containers: Sequence[Container]) -> tuple[Port, ...]:
    """The ports, each with who serves it: a container that really runs serves its own, or leaves them closed."""
    run = {container.name for container in containers if container.runs}
    return tuple(replace(port, served_by="process") if port.container in run else port for port in ports)
