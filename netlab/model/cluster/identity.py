"""Names and uids that a cluster would make at random: here functions of what they belong to, the same everywhere.

Letters are hashes of the owner, the ordinal, the template and the incarnation.  The incarnation is 0 in a new lab and
grows each time that the Pod ends for good on a running one, so a Pod that is made again has another name and uid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from netlab.digest import sha256

# The letters and digits of Kubernetes' own random suffixes (apimachinery util/rand): no vowels, so no words.
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_BASE_MAX = 58  # of a generated name's 63 characters; the rest is the suffix (apiserver storage/names)
_UIDS = 8192  # kept: the API's server asks for all at each change of a lab
_HASH_BITS = 32  # of a template, as in ComputeHash of kubernetes/pkg/controller


def _number(text: str, bits: int) -> int:
    return int.from_bytes(sha256(text)[: bits // 8], "big")


def suffix(*parts: str) -> str:
    """Five characters that depend on the parts alone."""
    number, letters = _number("/".join(parts), 64), []
    for _ in range(5):
        number, digit = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[digit])
    return "".join(letters)


def suffixes(owner: Sequence[str], members: Sequence[str]) -> list[str]:
    """A suffix for each member, no two the same: of 5,000 Pods two would share one of 14 million by chance."""
    words: dict[str, None] = {}
    for member in members:
        word, again = suffix(*owner, member), 0
        while word in words:
            again += 1
            word = suffix(*owner, member, str(again))
        words[word] = None
    return list(words)


def template_hash(template: Mapping[str, Any]) -> str:
    """The ``pod-template-hash`` of a template: a number of 32 bits, each digit as rand.SafeEncodeString writes it."""
    number = _number(json.dumps(template, sort_keys=True, default=str), _HASH_BITS)
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in str(number).encode())


def job_number(*parts: str) -> int:
    """Eight digits for a Job of a CronJob; in a cluster they are the minutes from 1970 to its start."""
    return 28_000_000 + _number("/".join(parts), 64) % 1_000_000


def generated(base: str, word: str) -> str:
    """The name from ``generateName: BASE-``: the base cut to 58 characters, and the suffix."""
    return f"{base}-"[:_BASE_MAX] + word


def generated_indexed(job: str, index: int, word: str) -> str:
    """The name of a Pod of an Indexed Job: the Job's name is cut, the index is not."""
    middle = f"-{index}-"
    return f"{job[: _BASE_MAX - len(middle)]}{middle}{word}"


@lru_cache(_UIDS)
def uid(lab: str, kind: str, namespace: str, name: str, incarnation: int = 0) -> str:
    """The uid of an object: a UUIDv5."""
    from uuid import NAMESPACE_URL, uuid5  # 4 ms that verbs which show no object need not pay

    return str(uuid5(NAMESPACE_URL, f"netlab:{lab}/{kind}/{namespace}/{name}/{incarnation}"))
