"""Devices without options of their own: bridges, and the other classes of ``PLAIN``."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.kernel.rtnetlink.codec import NamespaceDump, RawLink
from netlab.kernel.rtnetlink.link import LinkCodec
from netlab.objects.links import Device, End


class DeviceCodec(LinkCodec):
    """One kind.  A bridge keeps a MAC that is given (addr_assign_type 3), but a MTU that is given follows its ports."""

    MTU_LATER = True

    def __init__(self, device: type[Device]) -> None:
        self._device, self.kind = device, device.kind

    def decode(self, link: RawLink, ends: Sequence[End], dump: NamespaceDump) -> Device:
        return self._device(*ends[0].device())
