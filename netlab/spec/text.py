"""From bytes to text: what a file may hold before any YAML is looked for in it."""

from __future__ import annotations

import re

from netlab.errors import Mark, Problem

#: A file that is larger is no manifest; the largest of 187 rendered charts is 1.5 MB.
BYTES_MAX = 64 * 1024 * 1024

#: Everything that YAML 1.1 does not call printable.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


def decode(data: bytes, file: str) -> tuple[str, Problem | None]:
    """The text of a file and None, or an empty text and what is wrong with the bytes."""
    if len(data) > BYTES_MAX:
        return "", Problem(Mark(file, 1), "", f"is larger than {BYTES_MAX // 1024 // 1024} MiB: no manifest is")
    # Editors on Windows and PowerShell's ">" write UTF-16; its byte order mark tells it from all else.
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-16" if utf16 else "utf-8-sig", "replace")
        message = f"is not UTF-8: the byte 0x{data[error.start]:02x} cannot be here"
        return "", Problem(position(before, len(before), file), "", message)
    return text, unprintable(text, file)


def unprintable(text: str, file: str) -> Problem | None:
    """The first character that YAML does not allow, as a problem."""
    match = _UNPRINTABLE.search(text)
    if match is None:
        return None
    message = f"holds the control character U+{ord(match[0]):04X}, which YAML does not allow"
    return Problem(position(text, match.start(), file), "", message)


def position(text: str, offset: int, file: str) -> Mark:
    """The line and column of an offset; lines end where YAML 1.1 says they do."""
    breaks = [match.end() for match in _BREAK.finditer(text, 0, offset)]
    return Mark(file, len(breaks) + 1, offset - (breaks[-1] if breaks else 0) + 1)
