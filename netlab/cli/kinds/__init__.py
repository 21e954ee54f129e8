"""The kinds that ``get``, ``describe``, ``label`` and ``delete`` take, each declared in a file of its family.

Theory of operation.  A ``Kind`` declares its names, where its objects come from, its columns and its description.  The
verbs take any kind: ``printer`` prints tables and documents, ``watch`` prints what changes.  A new column is a line in
the file of its kind; a new kind is a file, and its name in the tables here.
"""

from __future__ import annotations

from netlab.cli.kinds import endpoints, event, kernel, node, pod, policy, service, tier, workload
from netlab.cli.kinds.kind import Kind
from netlab.errors import BadInput
from netlab.near import near

KINDS = (
    *(pod.POD, node.NODE, node.NAMESPACE, service.SERVICE, endpoints.ENDPOINTS, endpoints.ENDPOINT_SLICE),
    *(
        policy.POLICY,
        tier.ADMIN,
        tier.BASELINE,
        tier.CLUSTER,
        workload.DEPLOYMENT,
        workload.STATEFUL_SET,
        workload.DAEMON_SET,
        workload.REPLICA_SET,
    ),
    *(workload.REPLICATION_CONTROLLER, workload.JOB, workload.CRON_JOB, event.EVENT),
)
KERNEL = (kernel.LINKS, kernel.ADDRESSES, kernel.ROUTES, kernel.NEIGHBOURS, kernel.FDB, kernel.SYSCTLS, kernel.NFT)
# What kubectl means by "all".
ALL = (
    *(pod.POD, workload.REPLICATION_CONTROLLER, service.SERVICE, workload.DAEMON_SET, workload.DEPLOYMENT),
    *(workload.REPLICA_SET, workload.STATEFUL_SET, workload.CRON_JOB, workload.JOB),
)


def of_kernel(word: str) -> Kind | None:
    """The kind of the kernel that a word means."""
    return next((kind for kind in KERNEL if word.lower() in kind.words), None)


def several(text: str) -> list[Kind]:
    """The kinds that ``get`` is to list: ``pods,svc``, ``all``, or one of the kernel; raises BadInput with a guess."""
    words = text.split(",")
    for word in words:
        if kind := of_kernel(word):
            if words == [word]:
                return [kind]
            raise BadInput(f"{kind.plural} are kernel objects, which get lists alone: get {kind.plural}")
    return list(dict.fromkeys(kind for word in words for kind in (ALL if word == "all" else (find(word),))))


def named(word: str) -> Kind | None:
    """The kind of the API that a word means."""
    wanted = word.lower().partition(".")[0]
    return next((kind for kind in KINDS if wanted in kind.words), None)


def find(word: str) -> Kind:
    """The kind of the API that a word means; raises BadInput with a guess."""
    if kind := named(word):
        return kind
    guess = near(word.lower().partition(".")[0], words())
    raise BadInput(f'there is no kind "{word}"{guess}; there are {", ".join(plurals())}')


def plurals() -> list[str]:
    """The plural of every kind."""
    return [kind.plural for kind in (*KINDS, *KERNEL)]


def words() -> list[str]:
    """The plural and the short names of every kind."""
    return [word for kind in (*KINDS, *KERNEL) for word in (kind.plural, *kind.short)]
