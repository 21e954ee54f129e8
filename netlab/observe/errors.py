"""The meaning of the kernel's errors for a flow."""

from __future__ import annotations

import errno
import socket
import struct

from netlab.oracle.flow import Outcome

# linux/in.h, linux/in6.h; the socket module has them from Python 3.14 on
IP_RECVERR, IPV6_RECVERR = 11, 25
MSG_ERRQUEUE = socket.MSG_ERRQUEUE
_RECVERR = {(socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)}

#: Every errno that an ICMP error becomes (icmp_err_convert, icmpv6_err_convert), and those of the source's own routes:
#: none (ENETUNREACH), ``unreachable`` (EHOSTUNREACH), ``prohibit`` (EACCES), ``blackhole`` (EINVAL).
_UNREACHABLE = frozenset(
    (
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.ENETDOWN,
        errno.ENONET,
        errno.ENOPROTOOPT,
        errno.EOPNOTSUPP,
        errno.EPROTO,
        errno.EACCES,
        errno.EINVAL,
    )
)

#: A host without SCTP: ICMP's "protocol unreachable", ICMPv6's "unrecognised next header".
_NO_SUCH_PROTOCOL = (errno.ENOPROTOOPT, errno.EPROTO)

#: Too much at a time: ask again when other flows have ended.
CROWDED = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN))


def outcome_of(code: int, protocol: str) -> Outcome:
    """The outcome behind an errno."""
    if code == errno.ECONNREFUSED or (protocol == "SCTP" and code in _NO_SUCH_PROTOCOL):
        return Outcome.REFUSED
    if code in _UNREACHABLE:
        return Outcome.UNREACHABLE
    return Outcome.TIMEOUT if code == errno.ETIMEDOUT else Outcome.ERROR


def queued_error(sock: socket.SocketType) -> tuple[int, bytes]:
    """The next error in a socket's error queue and the start of the packet that it is about; (0, b"") if none.

    An ICMP error that arrives while ``connect`` still holds the socket (veth delivers in the sender's own call) is
    only noted as a soft error and would come out as silence; the queue of IP_RECVERR has it.
    """
    try:
        data, ancillary, _flags, _from = sock.recvmsg(128, 256, MSG_ERRQUEUE)
    except OSError:
        return 0, b""
    for level, kind, value in ancillary:
        if (level, kind) in _RECVERR:
            return struct.unpack_from("=I", value)[0], data
    return 0, data
