"""Makes netlab/api/data/merge.json: how lists of the Kubernetes API are merged by patches and server-side apply.

Run at development time only, with the PyPI package ``kubernetes-validate`` installed, after make_kubernetes_schema.py:

    python scripts/make_merge_keys.py            # writes the file
    python scripts/make_merge_keys.py --check    # exit 1 if the file is not what this would write

It takes the extensions x-kubernetes-patch-strategy, -patch-merge-key, -list-type and -list-map-keys of the newest
version, of the definitions that kubernetes.json has.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from make_kubernetes_schema import TARGET as KUBERNETES
from make_kubernetes_schema import _short, _versions

TARGET = Path(__file__).resolve().parent.parent / "netlab" / "api" / "data" / "merge.json"


def _field(schema: dict[str, Any]) -> dict[str, Any]:
    strategy = schema.get("x-kubernetes-patch-strategy", "").split(",")
    merge: dict[str, Any] = {}
    if "merge" in strategy:
        merge["merge"] = schema.get("x-kubernetes-patch-merge-key", "")
    if schema.get("x-kubernetes-list-type") == "map":
        merge["map"] = schema["x-kubernetes-list-map-keys"]
    if schema.get("x-kubernetes-list-type") == "set":
        merge["set"] = True
    return merge


def make() -> str:
    """The whole file, as text: one definition a line."""
    name, published = _versions()[0]
    wanted = json.loads(KUBERNETES.read_text())["$defs"]
    lines = []
    for full_name, schema in sorted(published.items(), key=lambda each: _short(each[0])):
        fields = {key: merged for key, each in schema.get("properties", {}).items() if (merged := _field(each))}
        if fields and _short(full_name) in wanted and full_name.startswith(("io.k8s.api.", "io.k8s.apimachinery.")):
            lines.append(
                f"{json.dumps(_short(full_name))}: {json.dumps(fields, separators=(',', ':'), sort_keys=True)}"
            )
    made = f"made by scripts/make_merge_keys.py from kubernetes-validate {version('kubernetes-validate')}: Kubernetes {name}"  # fmt: skip
    return (
        "{\n" + ",\n".join(['"$comment": ' + json.dumps(made), '"fields": {\n' + ",\n".join(lines) + "\n}"]) + "\n}\n"
    )


if __name__ == "__main__":
    text = make()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if TARGET.exists() and TARGET.read_text() == text else "merge.json is not up to date")
    TARGET.write_text(text)
    sys.stdout.write(f"{TARGET}: {len(text):,} bytes\n")
