"""Attach and detach Pods: the operations of the CNI specification, for a lab that ``up`` or ``apply`` changes.

A chain's plugins run in their order at ADD, each with the result of the one before, and in the reverse order at DEL,
with the last result.  An ADD that fails is followed by DEL, and by DEL of what was attached with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_interface, ip_network
from typing import Any

from netlab.digest import sha256
from netlab.errors import BadInput
from netlab.kernel.host import netns as ns
from netlab.kernel.linux import LinuxKernel
from netlab.kernel.nftables.drift import Digests
from netlab.kernel.protocol import AgentPort
from netlab.model import Cluster, Memory, Node, Pod
from netlab.model.cluster import Attachments
from netlab.model.conflist import Attached, Conflist, addresses, attached, read
from netlab.model.workloads.ports import mapped
from netlab.objects import Addr, Floor, Key, Netns, Obj, Route, State, Veth
from netlab.plan import adopted
from netlab.runtime.cni import plugin, view
from netlab.runtime.cni.plugin import Call, PluginFailed, PluginHung
from netlab.runtime.converge import reach
from netlab.runtime.host import trust
from netlab.runtime.state.resolved import Lab, memory_now, memory_of, resolve, with_state
from netlab.runtime.state.rundir import Applied, RunDir
from netlab.runtime.state.session import SESSION

Say = Callable[[str], None]
_LATER = Floor.LINKSYSCTL


def attach(
    rundir: RunDir, agent: AgentPort, lab: Lab, applied: Applied, owned: State, *, programs: bool, say: Say
) -> tuple[Lab, State]:
    """Detach the Pods that are gone and attach the new ones; the lab with them, and the objects that it then owns.

    Raises BadInput where programs may not run now (``programs``: this command may run them), PluginFailed where one
    fails; then the Pods of this call are detached again.
    """
    attachments = lab.cluster.attachments
    assert attachments is not None
    before = attachments.pods
    wanted = {str(pod): pod for pod in lab.cluster.pods if not pod.host_network}
    gone = [name for name, each in before.items() if not name.startswith("/") and not _stays(wanted.get(name), each)]
    new = [pod for name, pod in wanted.items() if name not in before or name in gone]
    if not new and not gone:
        return lab, owned
    _permit(applied, attachments, programs=programs)
    runtime = Runtime(rundir, lab)
    kept = {name: each for name, each in before.items() if name not in gone}
    for name in gone:
        runtime.detach(before[name], f"Pod {name} on node {before[name].node}", say)
    if gone:
        lab = _with(lab, applied, kept)
    # All that a plugin finds on a node.  What comes after it: processes, files, and sysctls of links that it makes.
    base = State.of(
        {key: obj for key, obj in lab.want.items() if key in owned or key.floor not in (_LATER, Floor.FILE, Floor.PROC)}
    )
    reach(rundir, agent, base, owned, narrow=False)
    made = dict(runtime.attached(new, lab.want, kept, say))
    lab = _with(lab, applied, {**kept, **made})
    return lab, State.of({**dict(base.items()), **{obj.key: obj for obj in adopted.objects(lab.cluster)}})


def detach_all(rundir: RunDir, say: Say) -> None:
    """DEL for all Pods of a lab that goes down.  What fails is said, and is no reason to stop."""
    applied = rundir.applied() or rundir.pending()
    if applied is None or not applied.conflist:
        return
    lab = resolve(applied, memory_of(rundir), rundir.statuses())
    attachments = lab.cluster.attachments
    assert attachments is not None
    _permit(applied, attachments, programs=True)
    runtime = Runtime(rundir, lab)
    left = [name for name in attachments.pods if not name.startswith("/")]
    for number, name in enumerate(left, 1):
        each = attachments.pods[name]
        if runtime.detach(each, f"Pod {name} on node {each.node}", say) and number < len(left):
            say(f"netlab asks no plugin to remove the other {len(left) - number} Pods")
            return


def check(rundir: RunDir, lab: Lab, applied: Applied, names: Iterable[str], say: Say) -> None:
    """CHECK for Pods that were attached before, and GC on each node, where the plugins' version has them."""
    attachments = lab.cluster.attachments
    assert attachments is not None
    try:
        _permit(applied, attachments, programs=True)
    except BadInput as refused:  # the lab's folder has gone, say: the Pods are there, and stay
        say(f"no CNI plugin was asked: {refused.message}")
        return
    runtime = Runtime(rundir, lab)
    for name in names:
        if name in attachments.pods and not name.startswith("/"):
            runtime.check(name, attachments.pods[name], say)
    runtime.collect(attachments.pods, say)


def _stays(pod: Pod | None, there: Attached) -> bool:
    return pod is not None and (pod.node, pod.netns) == (there.node, there.netns)


def _permit(applied: Applied, attachments: Attachments, *, programs: bool) -> None:
    named = [trust.Program(os.path.dirname(attachments.file), "spec.dataplane.cni", attachments.mark)]
    if not programs:
        trust.refuse(named, "a change that is not by netlab up, apply, delete or label")
    trust.require(applied, named, applied.owner)


def _with(lab: Lab, applied: Applied, pods: Mapping[str, Attached]) -> Lab:
    """The lab with these attachments, its Pods having the addresses that the plugins gave them."""
    memory: Memory = replace(memory_now(lab.cluster), attached=pods)
    members = dict(memory.pods)
    for name, each in pods.items():
        if name in members and each.result:
            given = addresses(json.loads(each.result))
            members[name] = members[name]._replace(addresses=_ordered(given, lab.cluster))
    return with_state(resolve(applied, replace(memory, pods=members), lab.statuses), lab.can)


def _ordered(given: Sequence[str], cluster: Cluster) -> tuple[str, ...]:
    """The plain addresses, in the order of the lab's families."""
    plain = [ip_interface(each).ip for each in given]
    return tuple(str(each) for family in cluster.families for each in plain if f"IPv{each.version}" == family)


class Runtime:
    """The plugins of one lab."""

    def __init__(self, rundir: RunDir, lab: Lab) -> None:
        cluster = lab.cluster
        pods = (each for each in lab.documents.objects if each.kind == "Pod")
        self._with_address = {
            f"{each.namespace}/{each.name}" for each in pods if each.body.get("status", {}).keys() & {"podIP", "podIPs"}
        }
        attachments = cluster.attachments
        assert attachments is not None
        self._rundir, self._cluster, self._attachments = rundir, cluster, attachments
        self._folders = plugin.folders(attachments.file)
        self._lists: dict[str, Conflist] = {}
        self._nodes = {node.name: node for node in cluster.nodes}

    def attached(
        self, pods: Sequence[Pod], want: State, kept: Mapping[str, Attached], say: Say
    ) -> Iterator[tuple[str, Attached]]:
        """ADD for these Pods; each with its attachment, and each node with what its Pods share."""
        for kind in self._list(self._cluster.nodes[0].name).types:
            plugin.program(kind, self._folders, self._attachments.file)
        for node in dict.fromkeys(pod.node for pod in pods):
            self._status(node)
        before = self._observed(want)
        done: dict[str, Attached] = {}
        try:
            for pod in pods:
                if any(obj.netns == pod.netns and obj.floor is Floor.LINK for obj in _links(before)):
                    # Of an `up` that was killed: the plugins know the container, and netlab does not.
                    self.detach(self._blank(pod), f"Pod {pod} on node {pod.node}", say)
                done[str(pod)] = self._blank(pod)
                done[str(pod)] = self._add(pod)
            after = self._observed(want)
            for pod in pods:
                self._examine(pod, done[str(pod)], after)
                self._compare_routes(pod, done[str(pod)], after, say)
        except BaseException:
            for name, each in reversed(done.items()):
                self.detach(each, f"Pod {name} on node {each.node}", say)
            raise
        new = adopted.taken(before, after, want)
        mine = adopted.by_owner(new, {pod.netns: str(pod) for pod in self._cluster.pods if not pod.host_network})
        shared: dict[str, list[Obj]] = {}
        nodes = {node.netns: node.name for node in self._cluster.nodes}
        for obj in mine.pop("", []):
            shared.setdefault(nodes.get(obj.netns, ""), []).append(obj)
        for name, each in done.items():
            yield name, each._replace(objects=tuple(map(adopted.dumped, mine.get(name, ()))))
        for node, objects in shared.items():
            there = kept[f"/{node}"].objects if f"/{node}" in kept else ()
            texts = dict.fromkeys((*there, *map(adopted.dumped, objects)))
            yield f"/{node}", Attached("", node, "", "", "", tuple(texts))

    def detach(self, each: Attached, about: str, say: Say) -> bool:
        """DEL: in the reverse order, with the last result.  A plugin that fails is told of, and the next one runs.

        Returns whether a plugin hung.
        """
        hung = False
        node = self._nodes.get(each.node)
        if node is None:
            return hung
        there = each.netns if _exists(each.netns) else ""
        call = self._call("DEL", node, there, each.container, about)
        for config in reversed(self._configs(node, each, json.loads(each.result) if each.result else None)):
            try:
                plugin.run(str(config["type"]), config, call)
            except PluginFailed as failed:
                hung = hung or isinstance(failed, PluginHung)
                say(f"{failed.message}; netlab removes the Pod all the same")
        return hung

    def check(self, name: str, each: Attached, say: Say) -> None:
        """CHECK, where the list allows it and its version has it (0.4.0)."""
        node = self._nodes[each.node]
        conflist = self._list(node.name)
        if not conflist.check or not conflist.speaks("0.4.0") or not each.result:
            return
        call = self._call("CHECK", node, each.netns, each.container, f"Pod {name} on node {node.name}")
        for config in self._configs(node, each, json.loads(each.result)):
            try:
                plugin.run(str(config["type"]), config, call)
            except PluginFailed as failed:
                say(failed.message)
                return

    def collect(self, pods: Mapping[str, Attached], say: Say) -> None:
        """GC on each node with the attachments that are valid, where the version has it (1.1.0)."""
        for node in self._cluster.nodes:
            conflist = self._list(node.name)
            if not conflist.gc or not conflist.speaks("1.1.0"):
                return
            here = [each for name, each in pods.items() if each.node == node.name and not name.startswith("/")]
            valid = [{"containerID": each.container, "ifname": "eth0"} for each in here]
            call = self._call("GC", node, "", "", f"node {node.name}")
            for config in attached(conflist, "", {}, None):
                with_valid = {**config, "cni.dev/valid-attachments": valid, "cni.dev/attachments": valid}
                try:
                    plugin.run(str(config["type"]), with_valid, call)
                except PluginFailed as failed:
                    say(failed.message)

    # -- ADD ----------------------------------------------------------------------------------------------------------

    def _status(self, name: str) -> None:
        """STATUS, where the version has it (1.1.0): a plugin that is not ready gets no ADD."""
        conflist, node = self._list(name), self._nodes[name]
        if conflist.speaks("1.1.0"):
            for config in attached(conflist, "", {}, None):
                plugin.run(str(config["type"]), config, self._call("STATUS", node, "", "", f"node {name}"))

    def _add(self, pod: Pod) -> Attached:
        node = self._nodes[pod.node]
        each = self._blank(pod)
        call = self._call("ADD", node, pod.netns, each.container, f"Pod {pod} on node {pod.node}", pod)
        result: Any = None
        for config in self._configs(node, each, None, pod):
            if result is not None:
                config["prevResult"] = result
            result = plugin.run(str(config["type"]), config, call)
            self._valid(result, str(config["type"]), pod, node)
        interfaces = result.get("interfaces") or ()
        mac = next((str(one.get("mac", "")) for one in interfaces if one.get("sandbox")), "")
        return each._replace(mac=mac or pod.mac, result=json.dumps(result))

    def _valid(self, result: Mapping[str, Any], kind: str, pod: Pod, node: Node) -> None:
        """Raise PluginFailed for a result that is none of the specification's."""
        try:
            given = [ip_interface(each) for each in addresses(result)]
            for route in result.get("routes") or ():
                ip_network(route["dst"], strict=False)
            if result and not str(result["cniVersion"]):
                raise ValueError("cniVersion is empty")
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            text = json.dumps(result)
            raise PluginFailed(
                f"the CNI plugin {kind} returned no result of the specification at ADD for Pod {pod}: {error}: {text[:300]}"
            ) from error
        for address in given:
            if not any(address.ip in cidr for cidr in node.pod_cidrs if cidr.version == address.version):
                cidrs = ", ".join(map(str, node.pod_cidrs))
                raise PluginFailed(
                    f"the CNI plugin {kind} gave Pod {pod} the address {address.ip}, and node {node.name}'s Pods have {cidrs}",
                    hint='"{{podCIDR}}" in the list is a node\'s own, and so is the capability ipRanges',
                )

    def _examine(self, pod: Pod, each: Attached, after: Mapping[Key, Obj]) -> None:
        """Raise PluginFailed where the Pod has not what the result says."""
        given = addresses(json.loads(each.result))
        there = {obj.address for obj in after.values() if isinstance(obj, Addr) and obj.netns == pod.netns}
        plugins = adopted.named(self._attachments)
        families = {f"IPv{ip_interface(address).version}" for address in given}
        if missing := [family for family in self._cluster.families if family not in families]:
            raise PluginFailed(f"the CNI {plugins} gave Pod {pod} no {missing[0]} address")
        asked = {str(address.ip) for address in pod.addresses} if str(pod) in self._with_address else set()
        if asked and asked != {str(ip_interface(address).ip) for address in given}:
            raise PluginFailed(
                f"Pod {pod} is to have {', '.join(sorted(asked))} (status.podIP), and the CNI {plugins} gave it {', '.join(given)}",
                hint='"capabilities": {"ips": true} in the list asks the plugins for the address',
            )
        for address in given:
            if str(ip_interface(address)) not in there:
                has = ", ".join(sorted(there)) or "none"
                raise PluginFailed(
                    f"the CNI {plugins} returned {address} for Pod {pod}, and its eth0 has {has}: the result is wrong"
                )

    def _compare_routes(self, pod: Pod, each: Attached, after: Mapping[Key, Obj], say: Say) -> None:
        """Say which routes of the result the Pod has not; the lab is up all the same, to look into it."""
        result = json.loads(each.result)
        own = [obj for obj in after.values() if obj.netns == pod.netns]
        there = {ip_network(obj.dst) for obj in own if isinstance(obj, Route)}
        there |= {ip_interface(obj.address).network for obj in own if isinstance(obj, Addr)}  # the kernel's own routes
        for given in result.get("routes") or ():
            dst = str(given.get("dst", ""))
            if ip_network(dst, strict=False) not in there:
                plugins = adopted.named(self._attachments)
                say(
                    f"the CNI {plugins} returned the route {dst} for Pod {pod}, and the Pod has none: the result is wrong"
                )

    def _blank(self, pod: Pod) -> Attached:
        container = sha256(f"{self._cluster.lab} {self._cluster.uid(pod)} {pod.netns}").hex()
        return Attached(container, pod.node, pod.netns, pod.mac, "")

    # -- what a plugin gets -------------------------------------------------------------------------------------------

    def _list(self, node: str) -> Conflist:
        if node not in self._lists:
            words = self._attachments.words[node]
            self._lists[node] = read(self._attachments.file, self._attachments.text, words)
        return self._lists[node]

    def _configs(self, node: Node, each: Attached, prev: Any, pod: Pod | None = None) -> list[dict[str, Any]]:
        name = next((name for name, one in self._attachments.pods.items() if one == each), "")
        pod = pod or next((pod for pod in self._cluster.pods if str(pod) == name), None)
        arguments: dict[str, Any] = {"ipRanges": [[{"subnet": str(cidr)}] for cidr in node.pod_cidrs]}
        if pod is not None:
            arguments["mac"] = each.mac
            arguments["ips"] = [str(address) for address in pod.addresses]
            arguments["portMappings"] = [
                {"hostPort": port.host_port, "containerPort": port.port, "protocol": port.protocol.lower(),
                 **({"hostIP": port.address} if port.address else {})}
                for port in mapped(pod)
            ]  # fmt: skip
        return attached(self._list(node.name), each.container, arguments, prev)

    def _call(self, command: str, node: Node, netns: str, container: str, about: str, pod: Pod | None = None) -> Call:
        arguments = {"IgnoreUnknown": "1"}
        if pod is not None:
            arguments |= {"K8S_POD_NAMESPACE": pod.namespace, "K8S_POD_NAME": pod.name}
            arguments |= {"K8S_POD_INFRA_CONTAINER_ID": container, "K8S_POD_UID": self._cluster.uid(pod)}
        state = view.folder(self._rundir.path, node.name)
        return Call(command, node.netns, netns, container, arguments, self._folders, state, about)

    def _observed(self, want: State) -> Mapping[Key, Obj]:
        with LinuxKernel(None, SESSION.of(Digests)) as kernel:
            kernel.generations = self._rundir.assignments().generations
            return dict(kernel.observe(self._cluster.lab, want).state.items())


def _links(state: Mapping[Key, Obj]) -> Iterator[Any]:
    """The links, and each veth's other end as if it were one."""
    for obj in state.values():
        if obj.floor is Floor.LINK and not isinstance(obj, Netns):
            yield obj
            if isinstance(obj, Veth):
                yield replace(obj, netns=obj.peer.netns)


def _exists(netns: str) -> bool:
    return bool(netns) and netns in ns.names() and not ns.is_blank(netns)
