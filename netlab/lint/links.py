"""Links of the lab that no packet passes."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.lint.subject import Subject
from netlab.spec import Warning

_ALL = 100  # percent


def lose_all(subject: Subject) -> Iterator[Warning]:
    """An end that loses all that it sends: a prediction is of policies and routes, and knows nothing of it."""
    for impairment in subject.cluster.impairments:
        if impairment.values.loss >= _ALL and impairment.mark is not None:
            link = impairment.link
            message = (
                f"{link.sender(impairment.direction)} loses all packets that it sends over the link between {link.title}; "
                "predictions are of policies and routes alone, and do not count this loss"
            )
            yield Warning("link-loses-all", message, impairment.mark, f"Lab {subject.cluster.lab}", "warning")
