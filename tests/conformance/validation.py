"""The `validation` corpus: objects that the API server refuses, or takes.

netlab must say so too, each problem with its file and line; what is valid must also become rules that nftables takes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from netlab.model import build
from netlab.plan import desired
from netlab.spec import Text, load_texts

#: What the corpus has refused and netlab takes -> why.
DEVIATIONS = {
    "npguard-np_bad_path_test_1": (
        "two policies of one name: `kubectl create` refuses the second, `kubectl apply` and netlab take it, and netlab "
        "warns with both lines"
    ),
    **dict.fromkeys(
        ("npguard-anp_bad_path_test_3", "npguard-banp_bad_path_test_1"),
        "two policies of one name: an API server keeps the later one, and so does netlab, with a warning",
    ),
}
LAB = {
    "apiVersion": "netlab/v1",
    "kind": "Lab",
    "metadata": {"name": "validation"},
    "spec": {"nodes": [{"name": "node-1"}]},
}


def load(path: Path) -> dict[str, Any]:
    """A case."""
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert data["schema"] == "netpol-validation/1", path
    return dict(data)


def wrong(case: dict[str, Any]) -> str:
    """What netlab makes of a case that it should not; empty where all is well."""
    text = yaml.safe_dump_all([LAB, *case["policies"]], sort_keys=False)
    documents = load_texts([Text("policies.yaml", text)])
    accepted = case.get("apiServerAccepts", case["valid"])
    if accepted:
        if documents.problems:
            return f"refused: {documents.problems[0]}"
        desired(build(documents).cluster)
        return ""
    if not documents.problems:
        return f"accepted, although {case['reason']}"
    lost = [
        one for one in documents.problems if one.mark is None or one.mark.file != "policies.yaml" or one.mark.line < 1
    ]
    return f"without a place: {lost[0]}" if lost else ""
