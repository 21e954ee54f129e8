"""What a real cluster shows at a fault: events, lines of logs, and the picture of ``kubectl get pods``.

By the kind of the cause; a kind that is not in the table has the lines of its first word, else those of "".
"""

from __future__ import annotations

from netlab.diagnose.labwide.cause import Cause

_RUNNING = "kubectl get pods: all Pods Running and Ready, as the kubelet probes them from their own node"
_TIMEOUT = "clients log timeouts ('i/o timeout', 'context deadline exceeded') to Pods of other nodes alone"
_SETUP = "kubectl describe pod: 'FailedCreatePodSandBox ... failed to set up sandbox container network'"

REAL: dict[str, tuple[str, ...]] = {
    "": (_RUNNING, "no event names it: compare both ends by hand, interface by interface"),
    "link-down": (_RUNNING, _TIMEOUT, "node: ip link shows the interface DOWN; the CNI agent logs 'network is down'"),
    "link-missing": (
        "the CNI agent logs 'Link not found' and its Pod restarts until the interface is there again",
        _SETUP,
        _TIMEOUT,
    ),
    "link-changed": (_RUNNING, "node: ip -d link shows a setting that the CNI agent did not make"),
    "mac-address": (
        _RUNNING,
        "flannel: the annotation flannel.alpha.coreos.com/backend-data has another VtepMAC than ip link shows",
        "systemd-udevd: MACAddressPolicy=persistent gives a tunnel device another address",
    ),
    "mtu": (_RUNNING, "small requests work, big answers and TLS handshakes hang; ping -M do -s 1472 is lost"),
    "path-mtu": (_RUNNING, "ip route get in the Pod shows 'mtu' and 'expires': a router asked for smaller packets"),
    "tunnel": (
        _RUNNING, _TIMEOUT,
        "node: nstat UdpNoPorts rises, or packets reach eth0 and not the tunnel; the CNI's agents have two settings",
    ),
    "port-hairpin": (_RUNNING, "a Pod cannot reach itself by its own Service; the kubelet logs the hairpin mode"),
    "port": (_RUNNING, "liveness and readiness probes fail: 'Readiness probe failed: ... no route to host'", _SETUP),
    "address-missing": ("kubectl get nodes: NotReady if it is the node's own", _SETUP, "CNI logs: 'failed to find gateway'"),
    "address-extra": (_RUNNING, "answers come from the wrong Pod now and then; arping shows two MAC addresses"),
    "address": (_RUNNING, "ip addr shows 'tentative' or 'dadfailed', or another prefix than the CNI's"),
    "route": (
        _RUNNING, _TIMEOUT,
        "CNI logs: flannel 'Error adding route', calico-node 'BIRD: ... unreachable', kindnet 'Failed to add route'",
        "kubectl get nodes -o wide and ip route disagree on the way to a Pod CIDR",
    ),
    "ip-rule": (_RUNNING, "ip rule lists a rule of a VPN client, of a cloud agent or of an old CNI"),
    "neighbour": (_RUNNING, "'No route to host' after three seconds; ip neigh shows FAILED or another MAC"),
    "fdb": (_RUNNING, _TIMEOUT, "flannel's annotation public-ip of the peer and bridge fdb show different addresses"),
    "wireguard-peer": (_RUNNING, "wg show: no 'latest handshake' of that peer; the node's key annotation differs"),
    "ipsec-policy": (_RUNNING, "ip xfrm policy blocks it; nothing is logged"),
    "sysctl-forwarding": (
        _RUNNING,
        "kubeadm's preflight: '/proc/sys/net/ipv4/ip_forward contents are not set to 1'; nstat IpInAddrErrors rises",
    ),
    "sysctl-rp-filter": (_RUNNING, "nstat TcpExtIPReversePathFilter rises; dmesg: 'martian source' with log_martians"),
    "sysctl-bridge-nf-call-iptables": (
        "Pods reach a Service, but not while a backend is on their own node",
        "kubeadm's preflight: 'bridge-nf-call-iptables does not exist' or is not 1",
    ),
    "sysctl-proxy-arp": (_RUNNING, "Pod: ip neigh shows 169.254.1.1 FAILED; calico-node (Felix) sets it again"),
    "sysctl": (_RUNNING, "a hardening profile or sysctl.d file that was loaded after the CNI"),
    "qdisc": (_RUNNING, "slow and lossy answers; tc -s qdisc shows drops or a delay (bandwidth annotation, chaos tool)"),
    "service-rules": (
        _RUNNING,
        "clients of the Service time out or are refused, Pod addresses work; kube-proxy logs 'Failed to sync rules'",
        "kube-proxy: the metric kubeproxy_sync_proxy_rules_last_timestamp_seconds stands still",
    ),
    "rules": (_RUNNING, "the policy agent (calico-node, kube-router) logs errors, or writes its tables again soon"),
    "foreign-rules": (
        _RUNNING,
        "firewalld, ufw or Docker reloaded; nft list ruleset shows a table that neither kube-proxy nor the CNI wrote",
    ),
    "foreign-rule": (_RUNNING, "nft monitor trace passes a chain that neither kube-proxy nor the CNI wrote"),
    "foreign-link": (_RUNNING, "an interface of a VPN, of Docker or of a former CNI"),
    "process-missing": (
        "kubectl get pods: CrashLoopBackOff or Error, or RESTARTS grows",
        "kubectl describe pod: 'Back-off restarting failed container'",
    ),
    "process-stopped": (
        "kubectl get pods: Running, and not Ready once probes time out",
        "kubectl describe pod: 'Liveness probe failed: ... context deadline exceeded'",
    ),
    "no-listener": (
        "kubectl get pods: Running; with a probe 0/1 Ready",
        "kubectl describe pod: 'Readiness probe failed: dial tcp ...: connect: connection refused'",
    ),
    "file": ("kubectl exec -- cat /etc/resolv.conf shows other servers than kube-dns", "dnsPolicy or a rewritten file"),
    "namespace-missing": ("kubectl get pods: ContainerCreating", "'SandboxChanged: Pod sandbox changed, it will be killed'"),
    "conntrack": (_RUNNING, "old connections go to a Pod that is gone; conntrack -L still names it"),
    "duplicate-address": (_RUNNING, "answers come from the wrong Pod now and then; arping shows two MAC addresses"),
    "nameserver": ("clients log 'Temporary failure in name resolution' or 'lookup ... i/o timeout'", _RUNNING),
    "pod-not-ready": (
        "kubectl get pods: 0/1 Running; kubectl get endpointslices: ready false",
        "kubectl describe pod: 'Unhealthy: Readiness probe failed'",
    ),
    "container-crashes": ("kubectl get pods: CrashLoopBackOff", "'Back-off restarting failed container'"),
    "service": ("kubectl describe service: 'Endpoints: <none>' or of another port", _RUNNING),
    "egress-without-dns": (
        "names fail after 5 to 20 seconds ('Temporary failure in name resolution'), addresses work", _RUNNING,
    ),
    "policy": ("no event: a policy that selects nothing is valid", _RUNNING),
    "peer": ("no event: a peer that matches nobody is valid; the policy's log counts drops", _RUNNING),
    "pending": ("kubectl get pods: Pending; 'FailedScheduling: 0/N nodes are available'",),
    "unsteady": (_RUNNING, "some requests fail: error rates without a pattern; ping shows loss"),
}  # fmt: skip


def real(cause: Cause) -> tuple[str, ...]:
    """The lines for a cause."""
    return REAL.get(cause.kind) or REAL.get(cause.kind.partition("-")[0]) or REAL[""]
