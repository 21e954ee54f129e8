"""The value of a scalar: YAML 1.2's core schema, with what the Kubernetes tools read besides.

``yes``, ``no``, ``on`` and ``off`` stay texts here, and the checker takes them for booleans where a boolean is wanted:
so ``hostNetwork: yes`` and ``dns: on`` both mean what they say.  A leading zero makes an octal number, as
``defaultMode: 0644`` needs.  Dates stay texts, as they are in JSON.
"""

from __future__ import annotations

import math
import re
from typing import Any

from yaml.nodes import Node, ScalarNode

#: The tag of a scalar without quotes: YAML's own name for "not known yet".
PLAIN = "?"

_NULLS = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEANS = {each: word == "true" for word in ("true", "false") for each in (word, word.title(), word.upper())}
_WORDS = {each: word in ("yes", "on") for word in ("yes", "no", "on", "off")
          for each in (word, word.title(), word.upper())}  # fmt: skip
_NUMBER_STARTS = frozenset("0123456789+-.")
_INTEGER = re.compile(r"[-+]?(?:0b[01]+|0x[0-9a-fA-F]+|0o[0-7]+|[0-9][0-9_]*)\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_DIGITS_MAX = 40  # more is no number that anything here could mean, and int() of thousands of digits is slow

_INT_TAG, _FLOAT_TAG, _BOOL_TAG, _NULL_TAG = (f"tag:yaml.org,2002:{each}" for each in ("int", "float", "bool", "null"))
_STR_TAGS = frozenset(f"tag:yaml.org,2002:{each}" for each in ("str", "timestamp", "binary")) | {"!"}


def is_null(node: Node) -> bool:
    """Whether a node is null, in any of the ways to write it."""
    if not isinstance(node, ScalarNode):
        return False
    return (node.tag == PLAIN and node.value in _NULLS) or node.tag == _NULL_TAG


def plain(text: str) -> Any:
    """What an unquoted scalar means: None, a bool, an int, a float or the text itself."""
    if text[:1] not in _NUMBER_STARTS:
        if text in _NULLS:
            return None
        return _BOOLEANS.get(text, text)
    if len(text) > _DIGITS_MAX:
        return text
    if _INTEGER.match(text):
        return _integer(text)
    if _FLOAT.match(text):
        value = float(text)
        return value if math.isfinite(value) else text
    return text


def _integer(text: str) -> int:
    digits = text.lstrip("+-").replace("_", "")
    if digits[:2] in ("0x", "0o", "0b"):
        value = int(digits, 0)
    elif len(digits) > 1 and digits[0] == "0" and not set(digits) & {"8", "9"}:
        value = int(digits, 8)
    else:
        value = int(digits)
    return -value if text[0] == "-" else value


def value(node: ScalarNode) -> Any:
    """The value of a scalar node.  Raises ValueError, with a sentence, where its tag and its text do not agree."""
    if node.tag == PLAIN:
        return plain(node.value)
    if node.tag in _STR_TAGS:
        return node.value
    meant = plain(node.value)
    if node.tag == _NULL_TAG:
        return None
    if node.tag == _INT_TAG and isinstance(meant, int) and not isinstance(meant, bool):
        return meant
    if node.tag == _FLOAT_TAG and isinstance(meant, int | float) and not isinstance(meant, bool):
        return float(meant)
    if node.tag == _BOOL_TAG:
        if isinstance(meant, bool):
            return meant
        if node.value in _WORDS:
            return _WORDS[node.value]
    short = node.tag.replace("tag:yaml.org,2002:", "!!")
    if short.startswith("!!") and short[2:] in ("int", "float", "bool"):
        raise ValueError(f"{node.value!r} is not what its tag {short} says")
    raise ValueError(f"the tag {short if short.isprintable() else repr(short)} means nothing here")


def as_boolean(text: str) -> bool | None:
    """The boolean that YAML 1.1 and the Kubernetes tools read in yes, no, on, off; None for another text."""
    return _WORDS.get(text)
