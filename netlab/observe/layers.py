"""A frame layer by layer, field by field, as scapy reads it: the lines of ``capture -v`` and ``trace -v``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

_NAME = 9  # columns: the longest usual name is Ethernet
_DATA_MAX = 48  # bytes of a payload that nobody decodes
_BYTES, _DATA = "bytes", "data"  # its fields


class Layers:
    """``tunnels``: UDP ports that carry VXLAN in this lab, beside IANA's 4789.  Importing scapy takes 0.5 s."""

    def __init__(self, tunnels: Iterable[int] = (), *, width: int = 100) -> None:
        from scapy.contrib import geneve  # noqa: F401
        from scapy.layers import inet6, sctp  # noqa: F401  importing a module makes its layers known
        from scapy.layers.dns import DNS  # noqa: F401
        from scapy.layers.inet import IP, UDP
        from scapy.layers.l2 import Ether
        from scapy.layers.vxlan import VXLAN
        from scapy.packet import bind_layers

        for port in tunnels:
            bind_layers(UDP, VXLAN, dport=port)
        self._ethernet, self._ipv4, self._ipv6, self._width = Ether, IP, inet6.IPv6, width

    def fields(self, data: bytes, ethernet: bool = True) -> Iterator[tuple[str, dict[str, str]]]:
        """The name and the fields of each layer; ``ethernet``: whether the frame has an Ethernet header."""
        first = self._ethernet if ethernet else self._ipv6 if data[:1] and data[0] >> 4 == 6 else self._ipv4
        for layer in first(data).iterpayloads():
            if layer.name in ("Raw", "Padding"):
                load = bytes(layer)
                shown = f"{load[:_DATA_MAX].hex(' ', 2)}{'…' if len(load) > _DATA_MAX else ''}"
                yield layer.name, {_BYTES: str(len(load)), _DATA: shown}
            else:
                named = (field for field in layer.fields_desc if field.name in layer.fields)
                yield layer.name, {field.name: _text(layer, field) for field in named}

    def of(self, data: bytes, ethernet: bool = True) -> Iterator[str]:
        """A line for each layer, wrapped."""
        for name, fields in self.fields(data, ethernet):
            text = "  ".join(f"{field}={value}" for field, value in fields.items())
            if _DATA in fields:
                text = f"{fields[_BYTES]} bytes  {fields[_DATA]}"
            head = f"{name:<{_NAME}}  "
            lines = textwrap.wrap(text, max(40, self._width - len(head)), break_on_hyphens=False) or [""]
            yield (head + lines[0]).rstrip()
            yield from (" " * len(head) + line for line in lines[1:])


def _text(layer: object, field: object) -> str:
    value = getattr(layer, field.name)  # type: ignore[attr-defined]
    # Ports as numbers: their names differ from host to host.
    text = str(value if field.name in ("sport", "dport") else field.i2repr(layer, value))  # type: ignore[attr-defined]
    return "".join(c if c.isprintable() else "." for c in text)
