"""Makes netlab/spec/schemas/kubernetes.json from the published schemas of the Kubernetes API.

Run at development time only, with the PyPI package ``kubernetes-validate`` installed:

    python scripts/make_kubernetes_schema.py            # writes the file
    python scripts/make_kubernetes_schema.py --check    # exit 1 if the file is not what this would write

It takes the newest version that the package has, and adds fields and kinds that older versions had and newer ones
lost, so that a manifest written for any of them is still known.  Descriptions are left out: they are the larger part
of the bytes, and the text of others.  What the published schemas do not say (ranges, enumerations, name formats) is
in constraints.json, written by hand and merged when the schemas are read.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "netlab" / "spec" / "schemas" / "kubernetes.json"

USED = {
    "": ("Endpoints", "Namespace", "Node", "Pod", "ReplicationController", "Service"),
    "apps": ("DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"),
    "batch": ("CronJob", "Job"),
    "discovery.k8s.io": ("EndpointSlice",),
    "networking.k8s.io": ("NetworkPolicy",),
}
#: Definitions whose short names others have.
RENAMED = {"io.k8s.api.core.v1.EndpointPort": "EndpointSubsetPort"}
#: Fields that went before the oldest version in the package; manifests that carry them are still about.
GONE_EARLIER = {
    "ObjectMeta": {"clusterName": {"type": "string"}},
    "ServiceSpec": {"topologyKeys": {"type": "array", "items": {"type": "string"}}},
}
#: Types that are written in more than one way; the package has them as oneOf, the checker wants a list of types.
SPECIAL: dict[str, dict[str, Any]] = {
    "IntOrString": {"type": ["integer", "string"]},
    "Quantity": {"type": ["number", "string"], "format": "quantity"},
    "FieldsV1": {"type": "object"},
    "RawExtension": {"type": "object"},
}
#: Kinds of the machinery, which nobody writes into a file; *List is understood in general.
MACHINERY = {"DeleteOptions", "WatchEvent", "Status", "APIGroup", "APIVersions", "APIResourceList", "Scale"}


def _versions() -> list[tuple[str, dict[str, Any]]]:
    """The published definitions, newest first; the strict variant, whose objects take no unknown field."""
    root = resources.files("kubernetes_validate") / "kubernetes-json-schema"
    found = []
    for folder in root.iterdir():
        match = re.fullmatch(r"v(\d+)\.(\d+)\.\d+-local-strict", folder.name)
        if match:
            content = json.loads((folder / "_definitions.json").read_text())
            found.append(((int(match[1]), int(match[2])), content.get("$defs") or content["definitions"]))
    return [(f"{major}.{minor}", defs) for (major, minor), defs in sorted(found, key=lambda f: f[0], reverse=True)]


def _short(reference: str) -> str:
    full_name = reference.rsplit("/", 1)[-1]
    return RENAMED.get(full_name, full_name.rsplit(".", 1)[-1])


def _compact(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        name = _short(schema["$ref"])
        return dict(SPECIAL[name]) if name in SPECIAL else {"$ref": f"#/$defs/{name}"}
    kind = schema.get("type")
    if isinstance(kind, list):  # ["string", "null"]: null means absent everywhere, so it is not said each time
        (kind,) = (each for each in kind if each != "null")
    out: dict[str, Any] = {"type": kind} if kind else {}
    if schema.get("format") in ("int32", "int64"):
        out["format"] = schema["format"]
    if "properties" in schema:
        out["properties"] = {name: _compact(each) for name, each in sorted(schema["properties"].items())}
        out["additionalProperties"] = False
    elif isinstance(schema.get("additionalProperties"), dict):
        out["additionalProperties"] = _compact(schema["additionalProperties"])
    if "items" in schema:
        out["items"] = _compact(schema["items"])
    if schema.get("required"):
        out["required"] = sorted(schema["required"])
    return out


def _references(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = {schema["$ref"]} if isinstance(schema.get("$ref"), str) else set()
        return own.union(*map(_references, schema.values()))
    return set().union(*map(_references, schema)) if isinstance(schema, list) else set()


def _simple(full: dict[str, Any]) -> bool:
    """A named string or the like (Time, MicroTime): put in place, not referred to."""
    return "properties" not in full and full.get("type") in (["string", "null"], "string")


def _definitions(published: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The definitions that the used kinds reach, by their short names."""
    wanted = [
        full_name
        for full_name, full in published.items()
        for each in full.get("x-kubernetes-group-version-kind", ())
        if each["version"] == "v1" and each["kind"] in USED.get(each["group"], ())
    ]
    taken: dict[str, str] = {}
    out: dict[str, dict[str, Any]] = {}
    while wanted:
        full_name = wanted.pop()
        short = _short(full_name)
        if taken.setdefault(short, full_name) != full_name:
            raise SystemExit(f"two definitions are called {short}: {taken[short]} and {full_name}")
        if short in out or short in SPECIAL:
            continue
        out[short] = _compact(published[full_name])
        wanted += [
            each.removeprefix("#/$defs/").removeprefix("#/definitions/")
            for each in sorted(_references(published[full_name]))
        ]
    simple = {_short(name) for name, full in published.items() if _simple(full)}

    def inline(schema: Any) -> Any:
        if isinstance(schema, dict):
            reference = schema.get("$ref")
            if isinstance(reference, str) and _short(reference) in simple:
                return {"type": "string"}
            return {key: inline(each) for key, each in schema.items()}
        return schema

    return {name: inline(each) for name, each in out.items() if name not in simple}


def _kinds(versions: list[tuple[str, dict[str, Any]]]) -> dict[str, dict[str, list[str]]]:
    """group -> kind -> its API versions, the newest Kubernetes' first."""
    kinds: dict[str, dict[str, list[str]]] = {}
    for _, published in versions:
        for full in published.values():
            for each in full.get("x-kubernetes-group-version-kind", ()):
                if each["kind"] in MACHINERY or each["kind"].endswith("List"):
                    continue
                known = kinds.setdefault(each["group"], {}).setdefault(each["kind"], [])
                if each["version"] not in known:
                    known.append(each["version"])
    return {group: dict(sorted(each.items())) for group, each in sorted(kinds.items())}


def make() -> str:
    """The whole file, as text: one definition a line, so that a new version gives a readable diff."""
    versions = _versions()
    defs: dict[str, dict[str, Any]] = {}
    for _, published in versions:
        for name, each in _definitions(published).items():
            if name not in defs:
                defs[name] = each
            elif "properties" in defs[name]:
                for field, schema in each.get("properties", {}).items():
                    defs[name]["properties"].setdefault(field, schema)
    for name, fields in GONE_EARLIER.items():
        for field, schema in fields.items():
            defs[name]["properties"].setdefault(field, schema)
    dangling = {each.removeprefix("#/$defs/") for each in _references(defs)} - set(defs)
    if dangling:
        raise SystemExit(f"definitions that are referred to and missing: {sorted(dangling)}")
    lines = [f"{json.dumps(name)}: {json.dumps(each, separators=(',', ':'))}" for name, each in sorted(defs.items())]
    groups = [
        f"{json.dumps(name)}: {json.dumps(each, separators=(',', ':'))}" for name, each in _kinds(versions).items()
    ]
    made = (
        f"made by scripts/make_kubernetes_schema.py from kubernetes-validate {version('kubernetes-validate')}: "
        f"Kubernetes {versions[0][0]}, with what versions down to {versions[-1][0]} had besides"
    )
    parts = ['"$comment": ' + json.dumps(made), '"kinds": {\n' + ",\n".join(groups) + "\n}"]
    parts.append('"$defs": {\n' + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    text = make()
    if "--check" in sys.argv[1:]:
        sys.exit(0 if TARGET.exists() and TARGET.read_text() == text else "kubernetes.json is not up to date")
    TARGET.write_text(text)
    sys.stdout.write(f"{TARGET}: {len(text):,} bytes\n")
