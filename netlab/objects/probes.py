"""What a kubelet asks a container, with every default filled in and every name resolved."""

from __future__ import annotations

from netlab.values import dataclass

READINESS, STARTUP = "readiness", "startup"


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of a container.

    ``action`` is httpGet, tcpSocket, grpc or exec.  The first three are asked from ``netns``, the node's, of
    ``host``:``port`` (the name of a port that the container does not have stays a name, and fails when it is asked).
    ``delay``, ``period`` and ``timeout`` are seconds.  ``successes`` and ``failures`` are the thresholds.  ``grace`` the
    probe's own terminationGracePeriodSeconds, -1 for the Pod's.
    """

    kind: str
    action: str
    netns: str = ""
    host: str = ""
    port: str = ""
    scheme: str = ""
    path: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    service: str = ""
    argv: tuple[str, ...] = ()
    delay: int = 0
    period: int = 10
    timeout: int = 1
    successes: int = 1
    failures: int = 3
    grace: int = -1
