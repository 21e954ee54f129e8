"""Ports of bridges: the part of a link's message that its bridge adds."""

from __future__ import annotations

from netlab.kernel.rtnetlink import deviation
from netlab.kernel.rtnetlink.codec import Handle, NamespaceDump, RawLink, Request
from netlab.kernel.rtnetlink.deviation import HAIRPIN, ISOLATED, LEARNING
from netlab.kernel.rtnetlink.link import set_link
from netlab.kernel.rtnetlink.socket import attr_u8
from netlab.kernel.rtnetlink.values import link_info
from netlab.objects import Op, Port, Verb


class PortCodec:
    """A port has no message of its own: it is read from its link's."""

    def request(self, op: Op, handle: Handle) -> list[Request]:
        """The requests that carry out an operation; raises NoSuchLink."""
        port = op.obj
        assert isinstance(port, Port)
        master = {Verb.CREATE: port.master, Verb.DELETE: ""}.get(op.verb)
        if master is None:
            return self.settings(op, handle)
        joined = set_link(handle.links[port.dev], master=handle.links[master] if master else 0)
        return [joined, *self.settings(op, handle)] if master else [joined]

    def settings(self, op: Op, handle: Handle) -> list[Request]:
        """The requests for a link that is a port of its bridge already."""
        port = op.obj
        assert isinstance(port, Port)
        index = handle.links[port.dev]
        requests = (
            [deviation.restore(index, attribute) for attribute in op.have.deviations]
            if isinstance(op.have, Port)
            else []
        )
        if op.verb is Verb.UPDATE or port.hairpin or port.isolated or not port.learning:
            flags = ((HAIRPIN, port.hairpin), (LEARNING, port.learning), (ISOLATED, port.isolated))
            data = b"".join(attr_u8(number, int(on)) for number, on in flags)
            requests.append(link_info(index, "bridge", data, port=True))
        return requests

    def decode(self, link: RawLink, dump: NamespaceDump) -> Port | None:
        """The port that a link is, if it is one."""
        bridge = dump.links.get(link.master)
        if bridge is None or not link.port:
            return None
        return Port(
            dump.netns,
            link.name,
            bridge.name,
            bool(link.port.get(HAIRPIN, 0)),
            bool(link.port.get(ISOLATED, 0)),
            bool(link.port.get(LEARNING, 1)),
            link.port_deviations + deviation.port_state(link, bridge),
        )
