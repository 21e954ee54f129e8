"""``describe endpoints``, line by line, as kubectl has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def description(item: Mapping[str, Any]) -> list[str]:
    """Who gets a Service's traffic, and who is not ready for it."""
    metadata = item["metadata"]
    labels = ",".join(f"{key}={value}" for key, value in metadata["labels"].items()) or "<none>"
    lines = [f"Name:         {metadata['name']}", f"Namespace:    {metadata['namespace']}", f"Labels:       {labels}"]
    lines += ["Annotations:  <none>", "Subsets:"]
    for subset in item["subsets"]:
        lines.append(f"  Addresses:          {_addresses(subset.get('addresses', ()))}")
        lines.append(f"  NotReadyAddresses:  {_addresses(subset.get('notReadyAddresses', ()))}")
        if subset.get("ports"):
            rows = [("Name", "Port", "Protocol"), ("----", "----", "--------")]
            rows += [
                (one.get("name", "<unset>"), str(one["port"]), one.get("protocol", "TCP")) for one in subset["ports"]
            ]
            first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
            lines.append("  Ports:")
            lines += [f"    {name:<{first}}  {port:<{second}}  {protocol}" for name, port, protocol in rows]
        lines.append("")
    return [*lines, "Events:  <none>"]


def _addresses(addresses: Sequence[Mapping[str, Any]]) -> str:
    return ",".join(one["ip"] for one in addresses) or "<none>"
