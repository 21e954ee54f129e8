"""Text that others wrote, made harmless where it is printed or written: on terminals and in zone files.

A manifest's annotation, a Pod's output or a link's name may hold control characters.  On a terminal they could hide or
rewrite lines, in a zone file they could end a record.
"""

from __future__ import annotations

import re

# C0 but tab and newline, DEL, C1, and the marks that change the direction of text (Unicode's Trojan source).
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_PLAIN = re.compile(rb"[A-Za-z0-9_.*-]")


def terminal(text: str) -> str:
    r"""Text for people: control characters are shown as ``\x1b`` or ``\u202e``; tabs and newlines stay."""
    return _CONTROL.sub(
        lambda match: f"\\x{ord(match[0]):02x}" if match[0] < "\u0100" else f"\\u{ord(match[0]):04x}", text
    )


def zone(name: str) -> str:
    r"""A domain name for a zone file: every other byte is written as ``\DDD`` (RFC 1035, section 5.1)."""
    return "".join(
        chr(byte) if _PLAIN.match(bytes((byte,))) else f"\\{byte:03d}"
        for byte in name.encode("utf-8", "surrogateescape")
    )
