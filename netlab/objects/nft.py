"""nftables objects.  NetworkPolicy and Services add chains, sets and maps; a table is what ``diff`` tells apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from netlab.objects.base import Floor, Obj


@dataclass(frozen=True, slots=True)
class NftTable(Obj):
    """An nftables table: ``family`` is ip, ip6, inet, arp, bridge or netdev."""

    kind: ClassVar[str] = "nft"
    floor: ClassVar[Floor] = Floor.NFT

    family: str
    table: str

    @property
    def name(self) -> str:
        return f"{self.family} {self.table}"

    def explain(self, *, exact: bool = False) -> str:
        return f"ip netns exec {self.netns} nft add table {self.name}"

    def undo(self) -> str:
        return f"ip netns exec {self.netns} nft delete table {self.name}"
