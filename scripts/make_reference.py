"""Makes docs/lab.md, docs/expect.md and docs/exercise.md from the schemas of the file formats, and the text that stands before them.

    python scripts/make_reference.py            # writes the pages
    python scripts/make_reference.py --check    # exit 1 if a page is not what this would write

A page is the head in docs/reference/ and one table for each definition that the head's definition leads to.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from netlab.planes import ROWS  # noqa: E402  # netlab is beside this script, not installed

SCHEMAS = ROOT / "netlab" / "spec" / "schemas"
PAGES = {"lab": "Lab", "expect": "Expectations", "exercise": "Exercise"}
FORMATS = {
    "dns-label": "DNS label",
    "dns-subdomain": "DNS subdomain",
    "host-cidr": "CIDR",
    "host-ip": "IP address",
    "label-key": "label key",
    "label-value": "label value",
    "ip": "IP address",
    "manifest-file": "file of manifests",
    "port-protocol": "port, or port/protocol",
}


def page(name: str) -> str:
    """The whole page of a file format."""
    definitions: dict[str, Any] = json.loads((SCHEMAS / f"{name}.json").read_text())["$defs"]
    if name == "lab":
        definitions["LabSpec"]["properties"]["dataplane"]["enum"] = list(ROWS)
    head = (ROOT / "docs" / "reference" / f"{name}.md").read_text()
    sections = "".join(_section(each, definitions[each]) for each in _order(PAGES[name], definitions))
    return head + sections + (_planes() if name == "lab" else "")


def _planes() -> str:
    """The table of data planes, from their rows."""
    rows = [
        f"| `{plane.name}` | {plane.summary} | {', '.join(map(str, plane.overhead.values()))} "
        f"| {', '.join(plane.families)} | {', '.join(plane.needs)} |"
        for plane in ROWS.values()
    ]
    head = (
        "\n## Data planes\n\n"
        "`overhead` is in bytes, for nodes with IPv4 and with IPv6 addresses; Pods have the underlay's MTU less it.\n"
        "Where the kernel lacks a kind of device, `up` ends with exit status 3 and names the module, and `plan` says so.\n\n"
        "| data plane | what it builds | overhead | families | devices |\n|---|---|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def _order(name: str, definitions: dict[str, Any]) -> list[str]:
    """The definitions in the order in which a reader meets them."""
    names = [name]
    for each in names:
        names += [to for to in _targets(definitions[each]) if to not in names and "properties" in definitions[to]]
    return names


def _targets(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"].rpartition("/")[2]
        for each in value.values():
            yield from _targets(each)
    elif isinstance(value, list):
        for each in value:
            yield from _targets(each)


def _section(name: str, definition: dict[str, Any]) -> str:
    text = f"\n## {name}\n\n"
    if "description" in definition:
        text += definition["description"] + "\n\n"
    text += "| field | type | meaning |\n|---|---|---|\n"
    required = definition.get("required", ())
    for field, schema in definition["properties"].items():
        must = "**Required.** " if field in required else ""
        meaning = schema.get("description", "")
        text += f"| `{field}` | {_type(schema)} | {must}{meaning}".rstrip().replace("\n", " ") + " |\n"
    return text


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return "text, or list of texts" if name == "Selectors" else f"[{name}](#{name.lower()})"
    if "oneOf" in schema:
        return ", or ".join(_type(each) for each in schema["oneOf"])
    if "mapping" in schema:
        word = {key: value for key, value in schema.items() if key != "mapping"}
        return f"{_type(word)}, or {_type(schema['mapping'])}"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    words = _list(schema.get("type", "string"))
    if words == ["array"]:
        most = f", at most {schema['maxItems']}" if "maxItems" in schema else ""
        return f"list of {_type(schema['items'])}{most}"
    if words == ["object"]:
        return f"map of {_type(schema['additionalProperties'])}"
    text = FORMATS.get(schema.get("format", ""), " or ".join(words))
    if "minimum" in schema and words == ["integer"]:
        text += f", {schema['minimum']} to {schema['maximum']}"
    return text


def _list(words: str | list[str]) -> list[str]:
    return [words] if isinstance(words, str) else words


def main() -> int:
    """Write the pages, or say which one is not what would be written."""
    status = 0
    for name in PAGES:
        target, text = ROOT / "docs" / f"{name}.md", re.sub(r"[ \t]+$", "", page(name), flags=re.M)
        if "--check" not in sys.argv[1:]:
            target.write_text(text)
        elif not target.exists() or target.read_text() != text:
            print(f"docs/{name}.md is not what its schema says; write it with: python scripts/make_reference.py")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
