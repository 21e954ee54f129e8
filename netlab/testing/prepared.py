"""A set of manifests made ready for its test: the default lab, the stand-ins, the flows to ask, what is expected of them.

``prepare`` needs neither Linux nor privilege.  It builds twice: once without stand-ins, which lint reads, so that no
stand-in hides a misspelt label; and once with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Protocol

from netlab.errors import BadInput, Problem
from netlab.lint import lint, ordered
from netlab.memo import Session
from netlab.model import Cluster, Port, build
from netlab.model.cluster import policies, tiers
from netlab.model.cluster.policies import PortMatch
from netlab.oracle.expect import Expectations, parse
from netlab.oracle.flow import Flow
from netlab.oracle.lookups import Asked, asked
from netlab.oracle.resolve import Expectation, expected
from netlab.spec import Document, Documents, Text, Warning, load_texts
from netlab.testing import ground, ports, standins
from netlab.testing.questions import Questions
from netlab.tuples import NamedTuple
from netlab.values import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """What a user says of a test: the release's ``namespace``, whether there are ``stand_ins`` (None: unless the set has
    a Lab), whether Helm ``hooks`` count as other objects, and the lab's name.  ``dns``: the DNS server runs, since expectations look names up.
    """

    namespace: str = ""
    stand_ins: bool | None = None
    hooks: bool = False
    lab: str = "test"
    dns: bool = False


class Source(NamedTuple):
    """A set as it was read: its name, its texts, and the text of its expectations ("" where it has none) with its file."""

    name: str
    texts: tuple[Text, ...]
    expect: str = ""
    expect_file: str = ""


class Made(NamedTuple):
    """A cluster and what its author should know."""

    cluster: Cluster
    documents: Documents
    warnings: tuple[Warning, ...]


class Maker(Protocol):
    """Who makes clusters of texts: ``pure`` here; where a lab runs, whoever keeps what was made (``testrun``)."""

    def read(self, texts: tuple[Text, ...], *, hooks: bool) -> Documents:
        """The documents of texts."""

    def build(self, texts: tuple[Text, ...], extra: tuple[Text, ...], options: Options) -> Made:
        """The cluster of texts and of those that netlab adds; raises BadInput with every problem."""


@dataclass(frozen=True)
class Prepared:
    """All that a test needs to know.

    ``texts`` are the set's own, ``extra`` what netlab adds; ``without`` is the cluster without stand-ins.  ``unserved``
    are ports that nobody declares, by Pod; ``findings`` those of lint.  ``notes`` say what was decided for the user.
    """

    source: Source
    options: Options
    texts: tuple[Text, ...]
    extra: tuple[Text, ...]
    documents: Documents
    without: Cluster
    cluster: Cluster
    unserved: Mapping[str, list[Port]]
    findings: tuple[Warning, ...]
    flows: tuple[Flow, ...]
    questions: Questions
    expectations: Expectations | None = None
    wanted: Mapping[Flow, Expectation] = field(default_factory=dict)
    lookups: tuple[Asked, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def running(
        cls,
        cluster: Cluster,
        documents: Documents,
        wanted: Mapping[Flow, Expectation],
        flows: tuple[Flow, ...],
        unserved: Mapping[str, list[Port]],
    ) -> Prepared:
        """A lab that runs, as ``check`` has it: nothing is added to it."""
        source, options = Source(cluster.lab, ()), Options(stand_ins=False, lab=cluster.lab)
        questions = Questions(cluster, cluster)
        return cls(source, options, (), (), documents, cluster, cluster, unserved, (), flows, questions, None, wanted)

    @property
    def home(self) -> str:
        """The namespace of names without one, in expectations."""
        return self.options.namespace or ("default" if self._own_lab else _home(self.without))

    @property
    def _own_lab(self) -> str:
        """The name of the Lab that the set has; "" where netlab wrote one."""
        lab = self.documents.lab
        return lab.name if lab is not None and lab.mark.file != ground.FILE else ""

    @property
    def name(self) -> str:
        """What the set is called: as it was given, else after the namespace of its Pods, else after its first file."""
        home = _home(self.without)
        file = self.texts[0].file if self.texts else ""
        short = file.rpartition("/")[2].rpartition(".")[0]
        return self.source.name or self._own_lab or (home if home != "default" else short or file.strip("<>"))


class Pure:
    """Makes clusters from the texts alone."""

    def read(self, texts: tuple[Text, ...], *, hooks: bool) -> Documents:
        return load_texts(texts, hooks=hooks)

    def build(self, texts: tuple[Text, ...], extra: tuple[Text, ...], options: Options) -> Made:
        documents = load_texts((*texts, *extra), hooks=options.hooks)
        built = build(documents, name=options.lab, respond="manifests" if options.dns else "all")
        return Made(built.cluster, documents, built.warnings)


def prepare(source: Source, options: Options, maker: Maker | None = None) -> Prepared:
    """Make a set ready.  Raises BadInput with what is wrong with its manifests or its expectations."""
    make = maker or Pure()
    expectations = parse(source.expect, source.expect_file) if source.expect_file else None
    if expectations and not (expectations.lines or expectations.default or expectations.pods):
        raise BadInput([Problem(expectations.mark, "", "expects nothing: it has no flow and no default")])
    texts, documents, notes = _read(source.texts, options, make)
    if documents.problems:
        raise BadInput(documents.problems)
    extra: tuple[Text, ...] = ()
    own_lab = documents.lab is not None
    if not own_lab:
        all_policies: tuple[policies.Policy | tiers.TierPolicy, ...] = (
            *policies.resolve_all(_of(documents, "NetworkPolicy"), Session()),
            *tiers.resolve_all(_of(documents, *tiers.KINDS), Session()),
        )
        blocks = ports.of_blocks(all_policies) if options.stand_ins is not False else []
        extra = (ground.text(documents.objects, ports.of_internet(all_policies, expectations), blocks),)
    without = make.build(texts, extra, options)
    findings = tuple(ordered((*without.warnings, *lint(without.cluster, without.documents)), without.documents.sources))
    home = options.namespace or ("default" if own_lab else _home(without.cluster))
    if home != "default" and source.expect_file:
        expectations = parse(source.expect, source.expect_file, home)
    more = standins.text(
        without.cluster,
        _named(expectations, home),
        expectations.namespaces if expectations else None,
        automatic=not own_lab if options.stand_ins is None else options.stand_ins,
    )
    if own_lab and options.stand_ins is None and (without.cluster.network_policies or without.cluster.tiers):
        notes.append("no stand-ins: the set has a Lab, and its Pods are the lab's alone (--stand-ins adds them)")
    if more.text:
        extra = (*extra, more)
    if expectations and _looks_up(expectations, without.cluster):
        options = replace(options, dns=True)
    cluster = make.build(texts, extra, options).cluster if more.text or options.dns else without.cluster
    unserved = ports.undeclared(cluster, expectations)
    questions = Questions(ports.with_ports(cluster, unserved), cluster)
    wanted = expected(expectations, questions.cluster, questions.scope()) if expectations else {}
    flows = tuple(dict.fromkeys((*wanted, *questions.all())))
    return Prepared(
        source,
        options,
        texts,
        extra,
        without.documents,
        without.cluster,
        questions.cluster,
        unserved,
        findings,
        flows,
        questions,
        expectations,
        wanted,
        asked(expectations, questions.cluster) if expectations and options.dns else (),
        tuple(notes),
    )


def _looks_up(expectations: Expectations, cluster: Cluster) -> bool:
    """Whether a line looks a name up, or names its target by one."""
    try:
        return any(line.resolves for line in expectations.lines) or bool(asked(expectations, cluster))
    except BadInput:
        return False  # what is wrong is told with the stand-ins in place


def _of(documents: Documents, *kinds: str) -> tuple[Document, ...]:
    return tuple(document for document in documents.objects if document.kind in kinds)


def _read(texts: tuple[Text, ...], options: Options, make: Maker) -> tuple[tuple[Text, ...], Documents, list[str]]:
    """The texts with the namespace of their objects, and what they hold."""
    namespace = options.namespace or "default"
    texts = tuple(text._replace(namespace=namespace) for text in texts)
    documents = make.read(texts, hooks=options.hooks)
    if options.namespace or documents.lab is not None:
        return texts, documents, []
    named: dict[str, None] = {}
    without = 0
    for document in documents.objects:
        own = document.body["metadata"].get("namespace")
        if own:
            named[own] = None
        elif document.namespace:
            without += 1
    if len(named) != 1 or not without or "default" in named:
        return texts, documents, []
    only = next(iter(named))
    texts = tuple(text._replace(namespace=only) for text in texts)
    objects = "1 object" if without == 1 else f"{without} objects"
    message = (
        f"{objects} without a namespace taken into {only}, the one that the others name (-n NAMESPACE says another)"
    )
    return texts, make.read(texts, hooks=options.hooks), [message]


def _home(cluster: Cluster) -> str:
    """The namespace of the most Pods."""
    names = [pod.namespace for pod in cluster.own_pods]
    return max(names, key=names.count) if names else "default"


def _named(expectations: Expectations | None, home: str) -> tuple[standins.Wanted, ...]:
    """The stand-ins that the expectations name."""
    return tuple(
        standins.Wanted(
            pod.namespace or home,
            pod.name,
            pod.labels,
            standins.NAMED,
            tuple(PortMatch(port.protocol, port.number or None, port.number or None, port.name) for port in pod.ports),
        )
        for pod in (expectations.pods if expectations else ())
    )
