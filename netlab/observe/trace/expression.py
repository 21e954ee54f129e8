"""A packet from an expression in scapy's notation: ``IP(dst="10.244.2.2")/TCP(dport=80,flags="S")``.

The expression is parsed, never evaluated: names of scapy's layers, called with literal arguments, joined by ``/``.
Everything else is bad input.  scapy would resolve a name, a missing source or a missing MAC by packets of its own, so
addresses must be numbers, and ``crafted`` fills in what the kernel knows.
"""

from __future__ import annotations

import ast
from ipaddress import ip_address
from typing import Any

from netlab.errors import BadInput
from netlab.near import near

_MODULES = ("l2", "inet", "inet6", "sctp", "dns", "vxlan")  # of scapy.layers
_EXAMPLE = 'IP(dst="10.244.2.2")/TCP(dport=80,flags="S")'


def parse(text: str) -> Any:
    """The scapy packet that an expression means.  Raises BadInput, with the column where it is wrong."""
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        column = f", column {error.offset}" if isinstance(error, SyntaxError) and error.offset else ""
        raise BadInput(f"--packet{column}: this is no expression of layers", hint=f"an example: {_EXAMPLE}") from None
    packet = _packet(tree, _layers())
    _check(packet)
    return packet


def _layers() -> dict[str, type]:
    from importlib import import_module

    from scapy.packet import Packet, Raw

    modules = (vars(import_module(f"scapy.layers.{name}")) for name in _MODULES)
    named = ((word, value) for module in modules for word, value in module.items())
    layers = {word: value for word, value in named if isinstance(value, type) and issubclass(value, Packet)}
    return {**layers, "Raw": Raw}


def _wrong(node: ast.expr, reason: str) -> BadInput:
    return BadInput(f"--packet, column {node.col_offset + 1}: {reason}", hint=f"an example: {_EXAMPLE}")


def _packet(node: ast.expr, layers: dict[str, type]) -> Any:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        below, above = _packet(node.left, layers), _packet(node.right, layers)
        return below / above
    if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
        return layers["Raw"](node.value.encode() if isinstance(node.value, str) else node.value)
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise _wrong(node, "only layers with literal arguments, joined by /, are allowed here")
    name = node.func.id
    if name not in layers:
        raise _wrong(node, f"scapy has no layer {name}{near(name, layers)}")
    if node.args:
        raise _wrong(node.args[0], f"the arguments of {name} need their names: {name}(field=value)")
    fields = {field.name: field for field in layers[name].fields_desc}  # type: ignore[attr-defined]
    values: dict[str, Any] = {}
    for keyword in node.keywords:
        if keyword.arg is None or keyword.arg not in fields:
            raise _wrong(keyword.value, f"{name} has no field {keyword.arg}{near(keyword.arg or '', fields)}")
        values[keyword.arg] = _value(keyword.value, layers)
        if _is_address(fields[keyword.arg]) and isinstance(values[keyword.arg], str):
            _check_address(keyword.value, keyword.arg, values[keyword.arg])
    try:
        return layers[name](**values)
    except Exception as error:  # noqa: BLE001  scapy raises all sorts for a value that a field cannot have
        raise _wrong(node, f"{name} cannot have these values ({error})") from None


def _is_address(field: Any) -> bool:
    """Whether scapy would resolve a name that this field has, by packets of its own."""
    from scapy.fields import IPField, MultipleTypeField
    from scapy.layers.inet6 import IP6Field

    field = getattr(field, "fld", field)  # a field that is emphasised, or sent under a condition
    if isinstance(field, MultipleTypeField):
        return any(_is_address(choice) for choice, _ in field.flds)
    return isinstance(field, IPField | IP6Field)


def _check_address(node: ast.expr, name: str, text: str) -> None:
    try:
        ip_address(text)
    except ValueError:
        raise _wrong(node, f'{name}="{text}" is no single address') from None


def _value(node: ast.expr, layers: dict[str, type]) -> Any:
    if isinstance(node, ast.Call):
        return _packet(node, layers)
    if isinstance(node, ast.List):
        return [_value(item, layers) for item in node.elts]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        raise _wrong(node, "an argument must be a number, a string, bytes, a list or a tuple of these") from None


def _check(packet: Any) -> None:
    """Refuse a packet that scapy or the kernel cannot send as it is."""
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6

    outer = packet.getlayer(IP) or packet.getlayer(IPv6)
    if outer is None or outer.fields.get("dst") is None:
        raise BadInput("--packet needs an IP or IPv6 layer with dst", hint=f"an example: {_EXAMPLE}")
    if not isinstance(packet, IP | IPv6) and packet.fields.get("dst") is None:
        raise BadInput(
            f"--packet: {packet.name} needs dst, the MAC of the next hop",
            hint="without an Ethernet layer the kernel looks up route and MAC",
        )
