"""``size`` and ``resolves`` of expect.yaml: what is read, and what is refused with its line."""

from __future__ import annotations

import pytest

from netlab.errors import BadInput
from netlab.oracle.expect import parse


def test_size_and_resolves_are_read() -> None:
    sized, named = parse(
        "flows:\n- {from: a, to: b, size: 1400, expect: allow}\n- {from: a, resolves: web.shop, expect: allow}\n"
    ).lines
    assert (sized.size, sized.resolves) == (1400, "")
    assert (named.size, named.resolves, named.targets) == (0, "web.shop", ())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{from: a, to: b, size: 0, expect: allow}", "no size"),
        ("{from: a, to: b, size: 65001, expect: allow}", "no size"),
        ("{from: a, to: b, size: many, expect: allow}", "no size"),
        ("{from: a, to: b, port: 80/SCTP, size: 100, expect: allow}", "of TCP and UDP alone"),
        ("{from: a, to: b, resolves: web, expect: allow}", "sends nothing but the query"),
        ("{from: a, resolves: web, port: 80, expect: allow}", "sends nothing but the query"),
        ("{from: a, resolves: We_b, expect: allow}", "no DNS name"),
        ("{resolves: web, expect: allow}", "lacks from"),
        ("{from: a, resolve: web, expect: allow}", 'did you mean "resolves"'),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_line(line: str, message: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse(f"flows:\n- {line}\n")
    assert message in str(refused.value) and ":2:" in str(refused.value.problems[0].mark)
