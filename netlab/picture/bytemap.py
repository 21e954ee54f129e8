"""A captured frame of a tunnel byte by byte: sixteen in a row, coloured and fenced by header, each field named once."""

from __future__ import annotations

from netlab.picture.metrics import width
from netlab.picture.scene import Line, Rect, Scene, Text
from netlab.tuples import NamedTuple


class _Field(NamedTuple):
    """A field of a header: its length in bytes, and how its value is shown: mac, ip, number, hex or not at all."""

    name: str
    length: int
    shown: str = ""


class _Layer(NamedTuple):
    name: str
    style: str
    fields: tuple[_Field, ...]


# Ethernet: IEEE 802.3; IPv4: RFC 791; UDP: RFC 768; VXLAN: RFC 7348.
_ETHERNET = (_Field("to MAC", 6, "mac"), _Field("from MAC", 6, "mac"), _Field("type IPv4", 2))
_VXLAN = (
    _Field("flags: VNI valid", 1, "hex"),
    _Field("reserved", 3),
    _Field("VNI", 3, "number"),
    _Field("reserved", 1),
)


def _ip(protocol: str, source: str, target: str) -> tuple[_Field, ...]:
    return (
        _Field("version, length", 1),
        _Field("DSCP", 1),
        _Field("total length", 2, "number"),
        _Field("id", 2),
        _Field("flags", 2),
        _Field("TTL", 1, "number"),
        _Field(protocol, 1),
        _Field("checksum", 2),
        _Field(source, 4, "ip"),
        _Field(target, 4, "ip"),
    )


_UDP = (
    _Field("from port", 2, "number"),
    _Field("to port", 2, "number"),
    _Field("length", 2, "number"),
    _Field("checksum", 2),
)
_LAYERS = (
    _Layer("outer Ethernet", "eth", _ETHERNET),
    _Layer("outer IP", "ip", _ip("protocol UDP", "from node", "to node")),
    _Layer("outer UDP", "udp", _UDP),
    _Layer("VXLAN", "over", _VXLAN),
    _Layer("inner Ethernet", "eth2", _ETHERNET),
    _Layer("inner IP", "ip2", _ip("protocol", "from Pod", "to Pod")),
)
_OUTER = 4  # layers that the tunnel adds
#: The bytes that VXLAN adds to a frame.
OVERHEAD = sum(field.length for layer in _LAYERS[:_OUTER] for field in layer.fields)

_CELL, _ROW, _LEFT, _TOP = 34, 30, 62, 104


def bytemap(frame: bytes, title: str) -> Scene:
    """The map of a frame: IPv4 in VXLAN over IPv4, both without options."""
    scene = Scene(title)
    group = scene.root
    group.add(Text(28, 40, title, "h1"))
    words = (
        f"{len(frame)} bytes on the wire = {OVERHEAD} of the tunnel + {len(frame) - OVERHEAD} of the Pods' own frame"
    )
    group.add(Text(28, 59, f"{words}; offsets at the left", "h2"))
    for column in range(16):
        group.add(Text(_LEFT + column * _CELL + _CELL / 2, _TOP - 8, f"{column:x}", "m10 mute", "middle"))
    rows = -(-len(frame) // 16)
    for row in range(rows):
        group.add(Text(_LEFT - 10, _TOP + row * _ROW + 17, str(row * 16), "m10 mute", "end"))
    heads = sum(field.length for layer in _LAYERS for field in layer.fields)
    payload = _Layer("payload", "pay", (_Field("TCP, UDP or ICMP, and data", len(frame) - heads),))
    x, y, offset = _LEFT + 16 * _CELL + 46, 84.0, 0
    for letter, layer in zip("ABCDEFG", (*_LAYERS, payload), strict=True):
        _cells(scene, frame, layer, letter, offset)
        y = _key(scene, frame, layer, letter, offset, x, y)
        offset += sum(field.length for field in layer.fields)
    scene.width, scene.height = x + 440, max(y + 10, _TOP + rows * _ROW + 24)
    return scene


def _place(offset: int) -> tuple[float, float]:
    return _LEFT + offset % 16 * _CELL, _TOP + offset // 16 * _ROW


def _cells(scene: Scene, frame: bytes, layer: _Layer, letter: str, offset: int) -> None:
    """The bytes of a layer, a fence before each field, and the layer's letter at the first."""
    x, y = _place(offset)
    scene.front.add(Text(x + 4, y + 9, letter, "m9 b"))
    for field in layer.fields:
        x, y = _place(offset)
        scene.front.add(Line(((x, y - 1), (x, y + _ROW - 3)), "fence"))
        for index in range(offset, offset + field.length):
            left, top = _place(index)
            scene.root.add(Rect(left, top, _CELL, _ROW - 4, f"by {layer.style}"))
            scene.root.add(Text(left + _CELL / 2, top + 17, f"{frame[index]:02x}", "byte", "middle"))
        offset += field.length


def _key(scene: Scene, frame: bytes, layer: _Layer, letter: str, offset: int, x: float, y: float) -> float:
    """The entry of a layer in the key at the right; its lower end."""
    group, size = scene.root, sum(field.length for field in layer.fields)
    group.add(Text(x - 12, y + 1, letter, "t11 b"), Rect(x, y - 10, 14, 14, f"by {layer.style}"))
    group.add(Text(x + 22, y + 1, layer.name, "t11 b"))
    group.add(Text(x + 30 + width(layer.name, "t11 b"), y + 1, f"{size} bytes from {offset}", "t10 mute"))
    scene.twin.append(f"{letter} {layer.name}: {size} bytes from {offset}")
    values = []
    for field in layer.fields:
        if text := _value(field, frame[offset : offset + field.length]):
            values.append((field.name, text))
        offset += field.length
    y += 15
    for index, (name, text) in enumerate(values):
        left = x + 22 + 215 * (index % 2)
        group.add(Text(left, y, name, "t10 mute"), Text(left + 6 + width(name, "t10"), y, text, "m10"))
        scene.twin.append(f"  {name} {text}")
        if index % 2 or index == len(values) - 1:
            y += 14
    return y + 6


def _value(field: _Field, data: bytes) -> str:
    match field.shown:
        case "mac":
            return data.hex(":")
        case "ip":
            return ".".join(map(str, data))
        case "number":
            return str(int.from_bytes(data, "big"))
        case "hex":
            return f"0x{data.hex()}"
    return ""
