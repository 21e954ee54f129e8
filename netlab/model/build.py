"""Documents and memory in, a Cluster out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from netlab import names
from netlab.errors import BadInput, Mark, Problem
from netlab.memo import Session
from netlab.model import bounds, recordedplane
from netlab.model.cluster import Cluster, External, Idle, Interface, Network, Node, Pod, Underlay, policies, tiers
from netlab.model.cluster.services import Service
from netlab.model.idle import Idling
from netlab.model.services import system
from netlab.model.services.resolve import SYSTEM, resolve
from netlab.model.services.slices import LabAddresses, Target
from netlab.model.topology import links
from netlab.model.topology.attachments import of_plugins, with_pods
from netlab.model.topology.ipam import Pool
from netlab.model.topology.memory import Memory, PodMemory
from netlab.model.topology.nodes import (
    SERVICE_CIDRS,
    build_nodes,
    cidrs,
    dotted,
    foreign_families,
    overlaps,
    roomy,
    shared_addresses,
    shared_names,
    uncarried,
    within,
)
from netlab.model.topology.placement import Scheduler, Stay
from netlab.model.topology.underlays import externals, underlay
from netlab.model.workloads.catalogue import Catalogue
from netlab.model.workloads.changes import Changes
from netlab.model.workloads.controllers import Controllers
from netlab.model.workloads.pods import Given, Maker
from netlab.model.workloads.processes import Programs
from netlab.model.workloads.templates import Template
from netlab.near import near
from netlab.planes import OF_MANIFESTS, ROWS
from netlab.spec import Documents, Warning
from netlab.tuples import NamedTuple

#: The namespaces that every cluster has from the start.
NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")

#: Annotation of a Lab whose nodes are netlab's own choice: a Pod that none of them fits is placed all the same.
CHOSEN_NODES = "netlab/chosen-nodes"


class Built(NamedTuple):
    """A cluster, and warnings for its author."""

    cluster: Cluster
    warnings: tuple[Warning, ...]


def build(
    documents: Documents,
    *,
    name: str = "",
    memory: Memory | None = None,
    check: Callable[[Cluster], Iterable[Problem]] = lambda _: (),
    has_program: Programs | None = None,
    changes: Changes | None = None,
    session: Session | None = None,
    respond: str = "",
    conflist: tuple[str, ...] = (),
    folder: str = "",
    own_plane: tuple[str, ...] = (),
) -> Built:
    """The cluster that the documents describe.

    ``name`` overrides the lab's; ``memory`` is what a running lab keeps; ``check`` finds what is wrong with the cluster
    from above (its data plane's limits); ``has_program`` tells which commands this host can run: without it none runs,
    and the responder serves every port.  ``changes`` is what was changed beside the documents.  Raises BadInput with
    every problem, those of the reading included.  ``session`` keeps what is unchanged from build to build.
    ``respond``: whose containers run no command, whatever the Lab says: ``manifests``, or ``all``, netlab's DNS server included.
    ``conflist``: the file of the user's CNI plugins and its text; ``folder``: that of the lab's file.
    ``own_plane``: the record of a data plane of the user's (``model.recordedplane``).
    """
    kept = memory or Memory(), has_program, changes or Changes(), session or Session()
    builder = _Builder(documents, name, *kept, (conflist, folder, own_plane), respond)
    cluster = builder.build()
    problems = (*documents.problems, *builder.problems)
    if documents.lab is not None or not documents.problems:
        problems = (*problems, *(builder.placed(problem) for problem in check(cluster)))
    if problems:
        raise BadInput(problems)
    return Built(cluster, (*documents.warnings, *builder.warnings))


class _Builder:
    def __init__(
        self,
        documents: Documents,
        name: str,
        memory: Memory,
        has_program: Programs | None,
        changes: Changes,
        session: Session,
        beside: tuple[tuple[str, ...], str, tuple[str, ...]],
        respond: str,
    ) -> None:
        self._session, (self._conflist, self._folder, plane) = session, beside
        self._recorded = recordedplane.read(plane)
        self._changes, self._documents, self._memory = changes, documents, memory
        self._lab = documents.lab
        self._spec = documents.lab.body.get("spec", {}) if documents.lab else {}
        self._name = name or (documents.lab.name if documents.lab else "")
        # For what netlab itself adds, whatever the Lab says of its containers.
        self._programs = None if respond == "all" else has_program
        self._catalogue = Catalogue(documents.objects, session=session)
        self._containers = "respond" if respond else self._spec.get("containers", "run")
        self._has_program = has_program if self._containers == "run" else None
        annotations = self._lab.body["metadata"].get("annotations", {}) if self._lab else {}
        self._chosen_nodes = CHOSEN_NODES in annotations
        self._displaced: set[str] = set()  # Pods whose remembered address another Pod's document states now
        self.problems: list[Problem] = []
        self.warnings: list[Warning] = []

    def placed(self, problem: Problem) -> Problem:
        """A problem with the place of its path in the lab's document, where it has no place of its own."""
        return problem if problem.mark else problem._replace(mark=self._at(*problem.path.split(".")))

    def _complain(self, mark: Mark | None, path: str, message: str) -> None:
        self.problems.append(self.placed(Problem(mark, path, message)))

    def _at(self, *path: str | int) -> Mark | None:
        return self._lab.at(*path) if self._lab else None

    def _stop_at(self, problems: list[Problem]) -> None:
        """Raise BadInput with these, if any, and all before: what is too large is not looked at any further."""
        if problems:
            raise BadInput((*self._documents.problems, *self.problems, *problems))

    def build(self) -> Cluster:
        unread = self._lab is None and bool(self._documents.problems)  # its name is among what is wrong already
        if not unread and not names.is_dns_label(self._name, names.LAB_NAME_MAX):
            message = f"a lab's name is a DNS label of at most {names.LAB_NAME_MAX} characters, not {self._name!r}"
            self._complain(self._at("metadata", "name"), "metadata.name", message)
        self._stop_at(list(bounds.nodes(self._lab, self._catalogue.of("Node"))))
        families = tuple(self._spec.get("ipFamilies", ["IPv4"]))
        self._check_families(families)
        mtu = self._spec.get("mtu", 1500)
        under = underlay(self._name, self._spec, families, mtu, self._at("spec", "underlay"), self._complain)
        own = self._recorded.traits if self._recorded else None
        named = own.name if own else self._spec.get("dataplane", "vxlan" if self._lab else OF_MANIFESTS)
        attachments, wrong = of_plugins(named, self._conflist, self._memory, self._at("spec", "dataplane", "cni"))
        self._stop_at(wrong)
        plane = attachments.plane if attachments else own or ROWS[named]
        self._stop_at([self.placed(problem) for problem in uncarried(plane, families)])
        pod_networks = cidrs(self._spec, "podCIDR", "podCIDRs", families, plane.pool)
        service_networks = cidrs(self._spec, "serviceCIDR", "serviceCIDRs", families, SERVICE_CIDRS)
        nodes = build_nodes(
            self._name,
            self._lab,
            self._catalogue.of("Node"),
            under,
            pod_networks,
            families,
            self._memory,
            self._complain,
            self._changes,
        )
        self._check_networks(nodes, under, service_networks, pod_networks)
        parts = [cidr for node in nodes for cidr in node.pod_cidrs]
        used = [network for network in pod_networks if any(within(part, network) for part in parts)]
        inside = (*under.cidrs, *service_networks, *parts, *used)
        outside = externals(self._name, self._lab, families, inside, self._complain)
        taken = {under.netns, *(rack.netns for rack in under.racks), *(host.netns for host in outside)}
        self.problems += map(self.placed, shared_names(nodes, under, outside, self._at("spec", "nodes")))
        dns = self._add_system(nodes, service_networks)
        controllers = self._controllers(nodes)
        wanted = self._templates(controllers)
        templates = [template for template in wanted if not self._changes.removed(template)]
        namespaces = self._namespaces(templates)
        pods, idle = self._pods(templates, nodes, namespaces, taken, pod_networks if plane.flat else ())
        attachments, pods = with_pods(attachments, pods, nodes, pod_networks, mtu)
        return Cluster(
            self._name,
            plane.name,
            nodes,
            pods,
            namespaces,
            under,
            families,
            pod_networks,
            service_networks,
            mtu,
            self._spec.get("offload", "off") == "on",
            self._services(nodes, pods, outside, families, service_networks),
            self._catalogue.of("NetworkPolicy"),
            self._at(),
            self._containers,
            outside,
            policies.resolve_all(self._catalogue.of("NetworkPolicy"), self._session),
            self._spec.get("policy", {}).get("deny", "drop"),
            self._spec.get("policy", {}).get("established", "keep"),
            dns,
            idle,
            tuple(controllers.made),
            self._memory.now({template.slot for template in wanted}),
            tiers.resolve_all(tuple(item for kind in tiers.KINDS for item in self._catalogue.of(kind)), self._session),
            links.resolve(self._lab, nodes, pods, idle, outside, under, self._changes, self._complain),
            controllers.paused,
            self._memory.known(controllers.jobs.union(template.full for template in wanted)),
            self._spec.get("policy", {}).get("enforce", "netlab") == "netlab",
            attachments,
            self._folder if any(node.agent for node in nodes) else "",
            self._recorded,
        )

    # -- Services -----------------------------------------------------------------------------------------------------

    def _add_system(self, nodes: Sequence[Node], networks: Sequence[Network]) -> bool:
        """Add the objects that a lab with Services has besides; whether it has a DNS server."""
        dns = system.wants_dns(self._spec, self._catalogue)
        mark = self._at() or Mark("(netlab)", 1)
        server = f"{system.NAMESPACE}/{system.POD}"
        given = self._memory.pods[server].addresses if server in self._memory.attached else ()
        added = system.documents(self._catalogue, nodes, networks, mark, dns=dns, given=given)
        self._catalogue = self._catalogue.with_added(added)
        return dns

    def _services(
        self,
        nodes: Sequence[Node],
        pods: Sequence[Pod],
        outside: Sequence[External],
        families: Sequence[str],
        networks: Sequence[Network],
    ) -> tuple[Service, ...]:
        documents = self._catalogue.of("Service")
        slices, endpoints = self._catalogue.of("EndpointSlice"), self._catalogue.of("Endpoints")
        if not documents and not slices and not endpoints:
            return ()
        hosts: list[Node | External] = [*nodes, *outside]
        lab_addresses = LabAddresses(
            map(Target.of, pods),
            [address.ip for host in hosts for address in host.addresses],
            {node.name: node.labels for node in nodes},
        )
        return resolve(
            documents,
            slices,
            endpoints,
            lab_addresses,
            families,
            networks,
            self._memory.services,
            self._complain,
            self.warnings,
            self._session,
        )

    # -- networks -----------------------------------------------------------------------------------------------------

    def _check_families(self, families: Sequence[str]) -> None:
        own, under = ", ".join(families), self._spec.get("underlay", {})
        parts: list[tuple[tuple[str | int, ...], dict[str, Any]]] = [((), self._spec), (("underlay",), under)]
        parts += [(("nodes", number), entry) for number, entry in enumerate(self._spec.get("nodes", []))]
        keys = ("podCIDR", "podCIDRs", "serviceCIDR", "serviceCIDRs", "cidr", "cidrs", "address", "addresses")
        for path, entry in parts:
            for key, text in foreign_families(entry, keys, families):
                message = f"{text} is IPv{ip_interface(text).version}, and the lab's ipFamilies are {own}"
                self._complain(self._at("spec", *path, key), dotted("spec", *path, key), message)
            for key in keys[:6]:
                for text in [entry[key]] if isinstance(entry.get(key), str) else entry.get(key, []):
                    network = ip_network(text, strict=False)
                    if network != roomy(network):
                        message = f"{text} has no room: at least a /{network.max_prefixlen - 2} is needed"
                        self._complain(self._at("spec", *path, key), dotted("spec", *path, key), message)

    def _check_networks(
        self, nodes: Sequence[Node], under: Underlay, services: Iterable[Network], pods: Sequence[Network]
    ) -> None:
        if any(problem.path in ("spec.podCIDR", "spec.underlay.cidr") for problem in self.problems):
            return  # what would be told here follows from those
        parts = [(node, cidr) for node in nodes for cidr in node.pod_cidrs]
        of_nodes = [(f"node {node.name}'s Pod CIDR", cidr, node.mark or self._at("spec")) for node, cidr in parts]
        named = [("the underlay", cidr, self._at("spec", "underlay", "cidr")) for cidr in under.cidrs]
        named += [("the Service CIDR", cidr, self._at("spec", "serviceCIDR")) for cidr in services]
        used = [network for network in pods if any(within(cidr, network) for _, cidr in parts)]
        named += [("the Pod CIDR", cidr, self._at("spec", "podCIDR")) for cidr in used]
        # The parts of the lab's Pod CIDR are told by it, those that a node was given by themselves.
        own = [part for part in of_nodes if not any(within(part[1], whole) for whole in used)]
        shared = map(self.placed, shared_addresses(nodes))
        self.problems += (*dict.fromkeys((*overlaps([*named, *own]), *overlaps(of_nodes))), *shared)

    # -- Pods ---------------------------------------------------------------------------------------------------------

    def _controllers(self, nodes: Sequence[Node]) -> Controllers:
        on = frozenset((pod.slot, pod.node) for pod in self._memory.pods.values())
        documents, memory = self._catalogue.running, self._memory
        return Controllers(self._name, documents, nodes, memory.incarnations, on, memory.paused, memory.outcomes)

    def _templates(self, controllers: Controllers) -> list[Template]:
        wanted: dict[str, Template] = {}
        templates, too_many = bounds.pods(iter(controllers.templates()))
        self._stop_at(too_many)
        for template in templates:
            first = wanted.setdefault(template.full, template)
            if first is not template:
                message = f"Pod {template.full} is there twice: also at {first.mark}"
                self._complain(template.mark, "metadata.name", message)
        return list(wanted.values())

    def _namespaces(self, templates: Sequence[Template]) -> dict[str, dict[str, str]]:
        namespaces = {
            document.name: {**document.body["metadata"].get("labels", {}), "kubernetes.io/metadata.name": document.name}
            for document in self._catalogue.of("Namespace")
        }
        for name in (*NAMESPACES, *(template.namespace for template in templates)):
            namespaces.setdefault(name, {"kubernetes.io/metadata.name": name})
        return {name: self._changes.labelled("Namespace", name, own) for name, own in namespaces.items()}

    def _pods(
        self,
        templates: Sequence[Template],
        nodes: tuple[Node, ...],
        namespaces: Mapping[str, Mapping[str, str]],
        reserved: set[str],
        prefixes: Sequence[Network],
    ) -> tuple[tuple[Pod, ...], tuple[Idle, ...]]:
        idling = Idling(self._changes, self.warnings)
        running = [template for template in templates if not idling.ended(template)]
        reserved = reserved | {node.netns for node in nodes}
        pool = Pool(nodes, prefixes)
        pool.defer(address for memory in self._memory.gone for address in memory.addresses)
        placed: list[tuple[Template, Node, PodMemory | None]] = []
        for template, node in self._schedule(running, nodes, namespaces, idling):
            memory = self._memory.pods.get(template.full)
            own = memory and (template.spec.get("hostNetwork") or pool.holds(node, memory.addresses))
            if memory and (
                memory.node != node.name or not own or not (memory.serial or template.spec.get("hostNetwork"))
            ):
                memory = None
            if memory and memory.netns in reserved:  # a new node has that name now
                memory = memory._replace(netns="")
            placed.append((template, node, memory))
        # What a document states comes before what was given to others by chance.
        for template, node, memory in sorted(placed, key=lambda entry: not entry[0].given_addresses):
            self._reserve(pool, template, node, memory)
        serials = {memory.serial for _, _, memory in placed if memory}
        free_serials = (number for number in range(1, len(placed) + len(serials) + 1) if number not in serials)
        taken = reserved | {memory.netns for _, _, memory in placed if memory}
        pods = []
        for template, node, memory in placed:
            pod = self._pod(template, node, memory, pool, taken, free_serials)
            taken.add(pod.etc)
            pods.append(pod)
        return tuple(pods), tuple(idling.idle)

    def _schedule(
        self,
        templates: Sequence[Template],
        nodes: tuple[Node, ...],
        namespaces: Mapping[str, Mapping[str, str]],
        idling: Idling,
    ) -> Iterator[tuple[Template, Node]]:
        """The Pods that have a node; the others go to ``idling``."""
        chosen = (not self._spec.get("nodes") or self._chosen_nodes) and not self._catalogue.of("Node")
        stays = {name: Stay(memory.node, memory.demands) for name, memory in self._memory.pods.items()}
        placements = Scheduler(nodes, namespaces, lenient=chosen, ended=self._memory.outcomes).place(templates, stays)
        for template, placed in zip(templates, placements, strict=True):
            if placed is None:
                there = [node.name for node in nodes]
                guess = near(template.node, there) or f" (there are: {', '.join(there[:8])})"
                self._complain(template.at("nodeName"), "spec.nodeName", f'no node is called "{template.node}"{guess}')
                continue
            if placed.reason == "NodePorts":  # its document names the node, so that file cannot mean anything
                path = "containerPort" if template.spec.get("hostNetwork") else "hostPort"
                self._complain(placed.mark or template.mark, path, placed.message)
            elif placed.message:
                idling.refused(template, placed)
            if placed.node is not None:
                yield template, placed.node
        idling.tell()

    def _reserve(self, pool: Pool, template: Template, node: Node, memory: PodMemory | None) -> None:
        """Take given and remembered addresses out of the pool, before free addresses are assigned."""
        if template.spec.get("hostNetwork"):
            return
        given = template.given_addresses
        mark = template.document.at("status", "podIP") if given else None
        for text in given:
            address = ip_address(text)
            cidr = next((network for network in node.pod_cidrs if address in network), None)
            if cidr is None:
                message = f"{text} is outside node {node.name}'s Pod CIDR {', '.join(map(str, node.pod_cidrs))}"
                self._complain(mark, "status.podIP", message)
            elif address in (cidr.network_address, cidr[1]) or (
                cidr.version == 4 and address == cidr.broadcast_address
            ):
                self._complain(
                    mark, "status.podIP", f"{text} is the network's own, its gateway's or its broadcast address"
                )
            else:
                other = pool.take(address, f"{template.namespace}/{template.name}")
                if other:
                    self._complain(mark, "status.podIP", f"{text} is taken: Pod {other} has it")
        if memory and not given:
            full = f"{template.namespace}/{template.name}"
            others = [pool.take(ip_address(text), full) for text in memory.addresses]
            if any(others):
                self._displaced.add(full)

    def _pod(
        self,
        template: Template,
        node: Node,
        memory: PodMemory | None,
        pool: Pool,
        taken: set[str],
        free_serials: Iterable[int],
    ) -> Pod:
        host = bool(template.spec.get("hostNetwork"))
        full = f"{template.namespace}/{template.name}"
        addresses: tuple[Interface, ...] = node.addresses
        if not host:
            kept = memory.addresses if memory and full not in self._displaced else ()
            given = template.given_addresses or kept
            addresses = pool.addresses(node, full, tuple(map(ip_address, given)))
            if not addresses:
                message = f"node {node.name}'s Pod CIDR {', '.join(map(str, node.pod_cidrs))} is full: no address for Pod {full}"
                self._complain(template.mark, "metadata.name", message)
                addresses = node.gateways
        serial = 0 if host else memory.serial if memory else next(iter(free_serials))
        netns = (
            memory.netns
            if memory and memory.netns and not host
            else names.pod_netns(self._name, template.namespace, template.name, taken)
        )
        labels = self._changes.labelled("Pod", full, template.labels)
        at = Given(node.netns if host else netns, netns, addresses, serial, labels)
        programs = self._programs if SYSTEM in template.metadata.get("annotations", {}) else self._has_program
        return self._maker.pod(template, node, at, programs, self._has_program)

    @cached_property
    def _maker(self) -> Maker:
        return Maker(self._catalogue.services, self._catalogue.policies, self.warnings, self._session)
