"""``netlab kubeconfig``: the lab as a Kubernetes API."""

from __future__ import annotations

import click

from netlab.cli import out
from netlab.cli.options import lab_argument, own_lab


@click.command()
@lab_argument
def command(lab: str, lab_option: str) -> None:
    """Start the lab's Kubernetes API, and print the path of its kubeconfig: export KUBECONFIG=$(netlab kubeconfig).

    The API listens on 127.0.0.1 and ends with the lab.  The kubeconfig has a client certificate: whoever can read the file is root of
    the lab.
    """
    from netlab.runtime.client import apiserver
    from netlab.runtime.rootless import door

    out.line(str(apiserver.ensure(own_lab(lab, lab_option), door.listener)))
