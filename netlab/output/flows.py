"""The documents of ``reach``, ``check`` and ``explain``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from netlab.output.changes import Notice
from netlab.output.lookups import Lookup
from netlab.output.places import Place
from netlab.plain import document, optional

Outcome = Literal["open", "refused", "timeout", "denied", "unreachable", "error", "mixed"]
EndKind = Literal["pod", "service", "node", "external", "name"]


@document
class Because:
    """A reason of an outcome; of a policy with its name and rule."""

    says: str
    file: str | None
    line: int | None
    policy: str | None = optional(None)
    rule: str | None = optional(None)


@document
class Backend:
    """The outcome at one of the Pods behind a Service.  ``asked`` is false where no packet was sent to that Pod."""

    to: str
    address: str
    port: int
    outcome: Outcome
    asked: bool = optional(True)
    because: tuple[Because, ...] | None = optional(None)


@document
class Ends:
    """A flow's client and target; the kind external is also that of an address of nobody in the lab.

    ``size``: the bytes that had to arrive, of a flow for which an expectation gives them.
    """

    from_: str
    from_kind: EndKind
    to: str
    to_kind: EndKind
    address: str
    port: int
    protocol: Literal["TCP", "UDP", "SCTP"]
    size: int = optional(0)


@document
class Flow(Ends):
    """A flow and its outcome: ``server`` replied, ``client`` is the address that the server saw."""

    outcome: Outcome
    server: str | None
    client: str | None
    backends: tuple[Backend, ...] = optional(())
    because: tuple[Because, ...] = optional(())


@document
class Reach:
    """``reach``; ``places`` are all namespaces of the lab."""

    lab: str
    places: Mapping[str, Place]
    flows: tuple[Flow, ...]
    seconds: float
    warnings: tuple[Notice, ...]


@document
class AllowedBy:
    """The rule that allows a flow."""

    policy: str
    rule: str
    file: str | None
    line: int | None


@document
class Missed:
    """A policy's rule that does not match a flow, and the reason; no rule: the policy has none in that direction."""

    policy: str
    rule: str | None
    says: str
    file: str | None
    line: int | None


@document
class TierRule:
    """A rule of the Admin or Baseline tier that matches a flow; without a priority: a BaselineAdminNetworkPolicy's."""

    policy: str
    tier: str
    priority: int | None
    rule: str
    name: str | None
    action: str
    file: str | None
    line: int | None


@document
class Side:
    """The judgement of the policies in one direction.

    ``tier`` is the rule of a tier that decided, ``passed_by`` the one that left it to the NetworkPolicies.
    """

    allowed: bool
    exempt: str | None
    policies: tuple[str, ...]
    allowed_by: AllowedBy | None
    tier: TierRule | None = optional(None)
    passed_by: TierRule | None = optional(None)
    missed: tuple[Missed, ...]


@document
class JudgedPath:
    """A path of a flow, of a Service to one of its backends, with the judgement of both directions."""

    to: str
    address: str
    port: int
    source: str
    allowed: bool
    egress: Side
    ingress: Side


@document
class CheckedFlow(Ends):
    """A flow as expected, predicted and observed; the outcome is null where no packet was sent.

    ``lookup``: of a line with ``resolves``, or of a target that is a DNS name; then ``to`` is the name (``to_kind``
    name), and ``address`` that of the name server.
    """

    outcome: Outcome | None
    server: str | None
    client: str | None
    backends: tuple[Backend, ...] = optional(())
    because: tuple[Because, ...] = optional(())
    expected: str | None
    predicted: Outcome | None
    ok: bool
    says: str
    line: str | None
    ways: tuple[JudgedPath, ...] = optional(())
    lookup: Lookup | None = optional(None)


@document
class RuleCoverage:
    """A rule of a NetworkPolicy, and whether an expectation would notice its removal or inversion.

    ``rule`` is its index, null for the policy's isolation: its removal is a policy that allows everything.
    """

    policy: str
    direction: Literal["ingress", "egress"]
    rule: int | None
    removal: bool
    inversion: bool | None
    file: str | None
    line: int | None


@document
class Coverage:
    """How many rules are held by expectations, and each rule."""

    held: int
    rules: tuple[RuleCoverage, ...]


@document
class Check:
    """``check``; ``places`` are all namespaces of the lab."""

    lab: str | None = optional(None)
    places: Mapping[str, Place] | None = optional(None)
    passed: int
    failed: int
    flows: tuple[CheckedFlow, ...]
    warnings: tuple[Notice, ...]
    coverage: Coverage | None = optional(None)


@document
class TestedFlow(CheckedFlow):
    """A checked flow of ``test``: the workloads that its ends are Pods of, and whether an end is a stand-in.

    ``set`` is there where several sets are tested.
    """

    set: str | None = optional(None)
    from_workload: str
    to_workload: str
    stand_in: bool = optional(False)


@document
class ChangedFlow:
    """A flow between workloads that opens or closes between two states of the manifests."""

    from_: str
    to: str
    port: int
    protocol: str
    change: Literal["opens", "closes"]
    because: str | None


@document
class TestedSet:
    """A set of manifests in ``test``: its result and exit status."""

    name: str
    status: int
    passed: int
    failed: int
    seconds: float
    predicted_only: bool
    problems: tuple[str, ...] = optional(())
    changes: tuple[ChangedFlow, ...] | None = optional(None)
    coverage: Coverage | None = optional(None)


@document
class Test:
    """``test``; ``sets`` is there where several were given, ``changes`` with ``--against``, ``coverage`` with that."""

    passed: int
    failed: int
    flows: tuple[TestedFlow, ...]
    warnings: tuple[Notice, ...]
    predicted_only: bool
    seconds: float
    sets: tuple[TestedSet, ...] = optional(())
    changes: tuple[ChangedFlow, ...] | None = optional(None)
    coverage: Coverage | None = optional(None)


@document
class Hop:
    """An interface on the path of a packet."""

    netns: str
    interface: str
    direction: str
    encapsulated: bool


@document
class Leg:
    """The path of a request or of a reply: its interfaces, and where it ends."""

    hops: tuple[Hop, ...]
    arrives: bool
    ends_in: str
    says: str | None


@document
class Path:
    """The path of a flow's request and reply; ``target`` is the address after translation."""

    question: Leg
    answer: Leg | None
    translated_in: tuple[str, ...]
    target: str | None
    target_port: int | None
    source: str | None
    seen_as: str | None
    denied_by: str | None


@document
class ExplainedPath(JudgedPath):
    """A judged path with its interfaces."""

    path: Path | None


@document
class ExplainedFlow(Flow):
    """A flow with the reasons; ``egress``, ``ingress`` and ``path`` stand here too where there is one path alone."""

    predicted: Outcome
    allowed: bool
    egress: Side | None = optional(None)
    ingress: Side | None = optional(None)
    path: Path | None
    ways: tuple[ExplainedPath, ...]


@document
class Explanation:
    """``explain``; ``places`` are all namespaces of the lab; ``enforced``: netlab's rules enforce the policies."""

    lab: str
    places: Mapping[str, Place]
    flows: tuple[ExplainedFlow, ...]
    enforced: bool = optional(True)
