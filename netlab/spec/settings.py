"""ConfigMaps, as far as lint looks at them: the texts of ``data``, read when a rule asks for them and never kept.

Nothing else of a ConfigMap is looked at, and a Secret is not looked at at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

from netlab.errors import Mark
from netlab.spec.compose import MappingNode, Node, ScalarNode, mark_of, pairs
from netlab.spec.scalars import is_null
from netlab.values import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """A ConfigMap; ``origin`` is its composed YAML, which no copy or text of this has."""

    namespace: str
    name: str
    file: str
    origin: Node = field(repr=False, compare=False)

    def entries(self) -> Iterator[tuple[str, str, Mark]]:
        """Key, text and place of each entry of ``data``."""
        for key, value in self._data():
            if isinstance(key, ScalarNode) and isinstance(value, ScalarNode) and not is_null(value):
                yield key.value, value.value, mark_of(key, self.file)

    def _data(self) -> list[tuple[Node, Node]]:
        fields = pairs(self.origin) if isinstance(self.origin, MappingNode) else []
        data = next((value for key, value in fields if isinstance(key, ScalarNode) and key.value == "data"), None)
        return pairs(data) if isinstance(data, MappingNode) else []

    def __reduce__(self) -> tuple[type[Settings], tuple[str, str, str, Node]]:
        return Settings, (self.namespace, self.name, self.file, ScalarNode("?", ""))
