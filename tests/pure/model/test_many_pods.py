"""Names of the Pods that workloads make, where there are very many."""

from __future__ import annotations

from netlab.model.workloads.controllers import Controllers
from netlab.spec import load_text


def test_five_thousand_replicas_have_five_thousand_names() -> None:
    """The symptom: `Pod default/web-4cb9j is there twice`, of one Deployment with 5,000 replicas."""
    text = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 5000\n"
        "  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n"
        "    spec: {containers: [{name: a, image: x}]}\n"
    )
    (document,) = load_text(text).objects
    names = [template.name for template in Controllers("lab", [document]).templates()]
    assert len(set(names)) == len(names) == 5000
