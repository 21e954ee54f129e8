"""The light hash functions are those of hashlib: names in running labs depend on them."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from netlab import digest


@given(st.text())
def test_digests_are_those_of_hashlib(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    text = data.decode("utf-8", "replace")
    data = text.encode()
    assert digest.sha256(text) == hashlib.sha256(data).digest()
    assert digest.sha1(text) == hashlib.sha1(data, usedforsecurity=False).digest()
    assert digest.blake2b(text, 8) == hashlib.blake2b(data, digest_size=8).digest()
