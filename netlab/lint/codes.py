"""The codes of all warnings: what each means, at which level, and what to do.  The page docs/lint.md has the same table."""

from __future__ import annotations

from netlab.tuples import NamedTuple


class Code(NamedTuple):
    """``levels``: those that a warning of this code can have, the usual one first."""

    levels: str
    meaning: str


#: Codes of the rules of this package, which look at a set as a whole.
RULES = {
    "selector-typo": Code(
        "error", "a selector matches nothing, and a value of the same key is at most two letters away"
    ),
    "port-of-service": Code("error", "a rule opens a Service's port, and the Pods behind it have another"),
    "port-name-unknown": Code("error note", "a rule opens a port by a name that no Pod in question has"),
    "policy-namespace": Code("error", "a policy is in another namespace than every Pod"),
    "policy-selects-nothing": Code("warning note", "a policy selects no Pod, or Pods of their node's network alone"),
    "peer-matches-nobody": Code("warning note", "a peer of a rule matches no Pod or no namespace"),
    "peer-host-network": Code("warning note", "a peer matches a Pod of its node's network, which no rule selects"),
    "peer-service-address": Code("warning", "an ipBlock has Service addresses alone, which rules never see"),
    "service-selects-nothing": Code("warning note", "a Service selects no Pod"),
    "service-target-port": Code("warning note", "no Pod of a Service declares its target port"),
    "closed-port": Code("warning", "a port that a Service serves is closed to everybody"),
    "egress-without-dns": Code("warning note", "Pods that need names are isolated for egress without a way to DNS"),
    "api-server-denied": Code("warning", "the API server may not reach a Service that it must call"),
    "tier-order": Code("warning", "two policies of a tier have one priority and judge the same Pods"),
    "domain-names": Code("warning", "a peer of a tier has domain names, which netlab does not model"),
    "backend-missing": Code("warning", "an Ingress or a route leads to a Service or a port that is not there"),
    "link-loses-all": Code("warning", "an end of a link loses all that it sends, which no prediction counts"),
    "program-missing": Code("warning", "this host has not the program that a container runs"),
    "ignore-unknown": Code("warning", "an annotation netlab/ignore has a word that is no code"),
    "rules-without-effect": Code("warning", "a policy has rules of a direction that its policyTypes leave out"),
    "denies-nothing": Code("note", "a policy admits everybody at every declared port"),
    "policies-not-enforced": Code("note", "the Lab has netlab make no rules of its policies"),
    "one-sided": Code("note", "the other side denies all that a rule opens"),
    "port-undeclared": Code("note", "a rule opens a port that no selected Pod declares"),
    "named-flow": Code("note", "env, args or a ConfigMap of a Pod name a server that the Pod may not reach"),
}

#: Codes that reading, the model and a running lab give.
OTHERS = {
    "duplicate": Code("warning", "an object is written twice; the last one counts"),
    "helm-hook": Code("note", "which Helm hooks an installation leaves"),
    "host-bits": Code("warning", "a CIDR has bits after its prefix"),
    "not-modelled": Code("warning", "an object matters to the network, and netlab does not do what it does"),
    "not-modelled-filter": Code("warning", "the same, and it filters traffic"),
    "not-modelled-pods": Code("warning", "the same, and its operator makes Pods"),
    "not-modelled-route": Code("warning", "the same, and it routes traffic"),
    "old-api-version": Code("note", "an apiVersion that Kubernetes has removed"),
    "agent": Code("warning", "the agent reported a problem"),
    "agent-crashes": Code("warning", "the agent that a Lab gives a node ends again and again"),
    "container-crashes": Code("warning", "a container's command ends again and again"),
    "container-not-listening": Code("warning", "a container runs and does not listen on its port yet"),
    "container-starting": Code("warning", "a container has not started yet"),
    "endpoint-outside-lab": Code("warning", "an endpoint has an address that nobody in the lab has"),
    "endpoints-left-out": Code("warning", "an Endpoints object of a Service with a selector"),
    "endpoints-truncated": Code("warning", "an Endpoints object has more addresses than are mirrored"),
    "endpoints-without-service": Code("warning", "an Endpoints object without its Service"),
    "endpointslice-without-service": Code("warning", "an EndpointSlice without its Service"),
    "pending": Code("warning", "a Pod fits no node"),
    "placed-anyway": Code("warning", "a Pod fits no node and was placed all the same"),
    "pod-not-ready": Code("warning", "a Pod is not ready yet"),
    "port-clash": Code("warning", "two containers of a Pod want one port"),
    "readiness-gate": Code("warning", "a readiness gate that nothing opens"),
}

ALL = {**RULES, **OTHERS}
