"""Commands of kubectl with what each must print and its exit status, in this order, from the lab ``overlay`` on.

The files are those of ``tests/clients/inputs``. ``invoke kubectl-test`` runs all; the suite runs those that only read.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A line for the shell after ``kubectl``; a text that must be in its output; its exit status."""

    line: str
    expected: str = ""
    status: int = 0


_START = [
    Row("version", "v1.37.0+netlab"),
    Row("cluster-info", "is running"),
    Row("api-resources", "networkpolicies"),
    Row("api-versions", "networking.k8s.io/v1"),
    Row("explain pod.spec.containers.image", "FIELD"),
    Row("explain netpol.spec --recursive", "podSelector"),
]
_GET = [
    Row("get pods", "client"),
    Row("get pods -o wide", "10.244"),
    Row("get pod server -o jsonpath={.status.podIP}", "10.244"),
    Row("get pods -o yaml", "kind: List"),
    Row("get pods -o name", "pod/client"),
    Row("get po,svc,no,ns", "node/node-1"),
    Row("get pods -l app=client", "client"),
    Row("get pods -l 'app in (client,x),!zz'", "client"),
    Row("get pods --field-selector status.phase=Running", "client"),
    Row("get pods -n kube-system -l k8s-app=calico-node", "No resources found in kube-system namespace."),
    Row("get nosuch", "doesn't have a resource type", 1),
    Row("get pod nosuch", "not found", 1),
    Row("get events", "Scheduled"),
    Row("events", "Scheduled"),
    Row("get --raw /healthz", "ok"),
    Row("get nodes -o custom-columns=N:.metadata.name,IP:.status.addresses[0].address", "172.18"),
    Row("get pods --sort-by=.metadata.name", "client"),
    Row("describe node node-1", "InternalIP"),
    Row("describe pods", "Node:"),
    Row("describe ns default", "Active"),
]
_CREATE = [
    Row("create namespace a", "created"),
    Row("create ns a", "AlreadyExists", 1),
    Row("create serviceaccount sa1 -n a", "created"),
    Row("create configmap cm1 --from-literal=a=b", "created"),
    Row("create secret generic s1 --from-literal=p=q", "created"),
    Row("get secret s1 -o jsonpath={.data.p}", "cQ=="),
    Row("create deployment dep --image=nginx --port=80 --replicas=2", "created"),
    Row("rollout status deploy/dep --timeout=10s", "successfully"),
    Row("expose deploy dep --port=80", "exposed"),
    Row("get endpoints dep", "10.244"),
    Row("create service clusterip cs --tcp=80:80", "created"),
    Row("create job j2 --image=busybox -- true", "created"),
    Row("create role r1 --verb=get --resource=pods", "created"),
    Row("create token default"),
]
_APPLY = [
    Row("apply -f web.yaml", "created"),
    Row("apply -f web.yaml", "unchanged"),
    Row("apply -f pol.yaml", "created"),
    Row("describe netpol only-client", "app=client"),
    Row("apply -f bad.yaml", "selectr", 1),
    Row("apply --server-side -f web.yaml", "serverside-applied"),
    Row("apply --server-side --force-conflicts -f pol.yaml", "serverside-applied"),
    Row("apply --dry-run=server -f gen.yaml", "generate name", 1),
    Row("create --dry-run=server -f gen.yaml", "dry run"),
    Row("create -f gen.yaml", "created"),
    Row("diff -f web.yaml"),
    Row("replace -f web.yaml", "replaced"),
    Row("apply -k kz", "created"),
    Row("kustomize kz", "k-only-client"),
    Row("apply -f ing.yaml", "Warning"),
    Row("apply -f crd.yaml", "created"),
    Row("get widgets", "", 1),
]
_CHANGE = [
    Row("scale deploy/web --replicas=3", "scaled"),
    Row("get deploy web -o jsonpath={.status.readyReplicas}", "3"),
    Row("rollout restart deploy/web", "restarted"),
    Row("rollout status deploy/web --timeout=10s", "successfully"),
    Row("rollout history deploy/web", "REVISION"),
    Row("set image deploy/web web=nginx:2", "image updated"),
    Row("get deploy web -o jsonpath={..image}", "nginx:2"),
    Row("set env deploy/web A=b", "env updated"),
    Row("autoscale deploy web --max=5", "autoscaled"),
    Row("annotate pod client a=b", "annotated"),
    Row("get pod client -o jsonpath={.metadata.annotations.a}", "b"),
    Row("annotate pod client a-", "annotated"),
    Row("label pod client tier=front", "labeled"),
    Row("label pod client tier-", "unlabeled"),
    Row("label ns default team=x", "labeled"),
    Row("label node node-1 disk=ssd", "labeled"),
    Row("get nodes -l disk=ssd -o name", "node-1"),
    Row("""patch deploy web -p '{"spec":{"replicas":1}}'""", "patched"),
    Row("""patch deploy web --type=json -p '[{"op":"replace","path":"/spec/replicas","value":2}]'""", "patched"),
    Row("""patch deploy web --type=merge -p '{"metadata":{"labels":{"x":"y"}}}'""", "patched"),
    Row("""patch svc dep -p '{"spec":{"ports":[{"port":80,"targetPort":8080}]}}'""", "patched"),
    Row("get svc dep -o jsonpath={.spec.ports}", "8080"),
]
_WAIT = [
    Row("wait pod/client --for=condition=Ready --timeout=5s", "condition met"),
    Row("wait deploy/web --for=condition=Available --timeout=5s", "condition met"),
    Row("wait pod/client --for=jsonpath={.status.phase}=Running --timeout=5s", "condition met"),
    Row("apply -f job.yaml", "created"),
    Row("wait job/j --for=condition=complete --timeout=10s", "condition met"),
    Row("logs job/j", "done"),
    Row("get jobs", "j"),
    Row("logs client"),
    Row("logs -l app=gen --tail=5", "started"),
    Row("logs nosuch", "not found", 1),
    Row("logs -l app=gen --timestamps --since=1h", "started"),
]
_EXEC = [
    Row("exec client -- echo hi", "hi"),
    Row("exec client -- sh -c 'echo err >&2; exit 7'", "err", 7),
    Row("exec client -c client -- hostname", "client"),
    Row("exec client -- nosuchprogram", "not found", 127),
    Row("exec deploy/web -- hostname", "web"),
    Row("exec nosuch -- true", "not found", 1),
    Row("cp /etc/passwd client:/tmp/pw"),
    Row("cp client:/tmp/pw pw"),
    Row("exec client -- md5sum /tmp/pw", "/tmp/pw"),
    Row("run r1 --image=busybox --command -- sh -c 'echo up; sleep 100'", "created"),
    Row("wait pod/r1 --for=condition=Ready --timeout=5s", "met"),
    Row("logs r1", "up"),
    Row("run once --image=busybox --restart=Never --rm -i --command -- sh -c 'echo only; sleep 1'", "only"),
    Row("debug client --image=busybox -- true", "netlab shell", 1),
    Row("attach r1", "up", 124),  # until the time is over that each command has
    Row("top pods", "Metrics API not available", 1),
]
_RIGHTS_AND_NODES = [
    Row("auth can-i '*' '*'", "yes"),
    Row("auth whoami", "root"),
    Row("auth can-i --list", "[*]"),
    Row("cordon node-1", "cordoned"),
    Row("uncordon node-1", "uncordoned"),
    Row("taint node node-1 a=b:NoSchedule", "tainted"),
    Row(
        "drain $(kubectl get pod r1 -o jsonpath={.spec.nodeName}) "
        "--ignore-daemonsets --force --delete-emptydir-data --timeout=10s",
        "drained",
    ),
    Row("uncordon node-1 node-2", "uncordoned"),
]
_DELETE = [
    Row("create -f gen.yaml", "created"),
    Row("delete pod -l app=gen --now", "deleted"),
    Row("run r1 --image=busybox --command -- sleep 100", "created"),
    Row("delete netpol --all", "deleted"),
    Row("delete deploy,svc -l app=dep", "deleted"),
    Row("delete pod r1 --grace-period=0 --force", "deleted"),
    Row("delete -f web.yaml", "deleted"),
    Row("delete -f web.yaml --ignore-not-found"),
    Row("delete ns a", "deleted"),
    Row("delete configmap cm1", "deleted"),
    Row("delete secret s1", "deleted"),
    Row("delete role r1", "deleted"),
    Row("delete job,hpa,netpol,ing,svc --all"),
    Row("delete all --all"),
]
ROWS = (*_START, *_GET, *_CREATE, *_APPLY, *_CHANGE, *_WAIT, *_EXEC, *_RIGHTS_AND_NODES, *_DELETE)
#: Those that change nothing and need no object of another row.
READS = (
    *_START,
    *_GET,
    *(row for row in (*_WAIT, *_EXEC) if row.line in ("logs client", "logs nosuch", "exec nosuch -- true", "top pods")),
    *(row for row in _EXEC if row.line.startswith("debug ")),
    *_RIGHTS_AND_NODES[:3],
)
