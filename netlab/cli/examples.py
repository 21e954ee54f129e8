"""Examples of each verb: the last part of ``netlab VERB --help``, of the man pages and of the site's pages."""

from __future__ import annotations

#: The words after ``netlab VERB``, or a whole line, and what it does.
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "up": (
        ("overlay", "Build a lab that netlab ships"),
        ("labs/mine", "Build or update the lab of a folder"),
        ("overlay -f web.yaml", "With more manifests"),
        ("overlay --reset", "As its files say again"),
    ),
    "down": (("overlay", "Remove a lab"), ("--all", "Remove all your labs")),
    "ls": (("-o json", "The running labs as a document"),),
    "labs": (("", "The labs in ./labs and those that netlab ships"),),
    "exec": (
        ("client -- ping -c 3 10.244.2.2", "In a Pod"),
        ("node-1 -- ip route", "On a node"),
        ("-it deploy/web -- sh", "On a terminal"),
    ),
    "shell": (("", "In which each printed line works as typed"), ("client", "In a Pod")),
    "page": (("overlay", "Read a lab's page"), ("overlay --html overlay.html", "To print it")),
    "new": (("mine --from policy", "Copy lab policy to labs/mine"),),
    "plan": (("overlay", "The changes that up would make"), ("overlay --commands", "As ip, bridge and nft commands")),
    "apply": (("-f policy.yaml", "Create or change objects"), ("-f -", "From another program")),
    "delete": (("pod client", "Delete a Pod"), ("-f policy.yaml", "Delete the objects of a file")),
    "label": (("pod client app=web", "Set a label"), ("pod client app-", "Remove it")),
    "link": (("node-1 --delay 20ms --loss 1%", "Impair a node's link"), ("node-1 --clear", "End that")),
    "doctor": (("", "What runs on this host"), ("--load", "Also try what needs a kernel module")),
    "completion": (("bash", "The script for bash"),),
    "schema": (("", "Of lab files"), ("trace", "Of what trace -o json prints")),
    "get": (
        ("pods -o wide", "With addresses and nodes"),
        ("routes", "The routes of all namespaces"),
        ("pod client -o yaml", "One object"),
    ),
    "diff": (("overlay", "What differs from the lab"), ("--reveal", "With secret faults")),
    "graph": (("overlay -o svg > overlay.svg", "A picture"), ("-o json", "A document")),
    "serve": (("overlay", "The live page of a lab"), ("--stop", "End all pages of the lab")),
    "kubectl": (("get pods -A -o wide", "As in a cluster"), ("exec -it client -- sh", "A shell in a Pod")),
    "kubeconfig": (("overlay", "Print the path of the lab's kubeconfig"),),
    "describe": (("pod client", "A Pod"), ("node node-1", "A node")),
    "logs": (("-f web", "Follow a container's output"), ("web --previous", "Of its run before")),
    "reach": (
        ("", "All Pods to all declared ports"),
        ("--from client --to svc/web --port 8080", "Chosen flows"),
        ("-o svg > reach.svg", "A picture"),
    ),
    "trace": (
        ("client server", "To the first port that the target serves"),
        ("client svc/web:80", "Through a Service"),
        ("client web.shop -v", "By its DNS name, with all headers"),
        ("client server --icmp --size 1500 --df", "Find the MTU's limit"),
    ),
    "capture": (
        ("--at client --at node-1:cni0 --filter 'icmp or host svc/web'", "Chosen interfaces and packets"),
        ("-w all.pcapng --duration 10", "All interfaces, for Wireshark"),
        ("-w - | wireshark -k -i -", "Live"),
    ),
    "explain": (("client server:80", "The policies' rules for a flow"), ("10.0.0.1 svc/web", "From an address")),
    "check": (("overlay", "The flows of expect.yaml"), ("--junit report.xml", "With a report for CI")),
    "test": (
        ("helm template . | netlab test -f -", "A chart"),
        ("-f rendered/ --expect flows.yaml", "Manifests and expectations"),
        ("-f new.yaml --against old.yaml", "The flows that a change opens and closes"),
        ("labs/*", "Many sets"),
    ),
    "worker": (
        ("--scheduler tcp://127.0.0.1:8786", "Offer this machine to a scheduler of Dask"),
        ("--scheduler tls://scheduler:8786 --world", "In a world of its own"),
    ),
    "learn": (("", "Go on where you were"), ("overlay", "An exercise"), ("--list", "The course")),
    "class": (
        ("new monday overlay --students 20", "Labs for 20 students"),
        ("status monday", "How they stand"),
        ("grade *.json", "Grade hand-ins"),
    ),
    "break": (
        ("--list", "The faults"),
        ("overlay route-to-peer-missing", "Make a fault"),
        ("overlay --random --secret", "An exercise"),
    ),
    "heal": (("overlay", "Mend all faults"), ("overlay route-to-peer-missing", "Mend one fault")),
    "diagnose": (("overlay", "The causes, the likeliest first"),),
}


def lines(verb: str) -> list[tuple[str, str]]:
    """The examples of a verb as (line to type, what it does)."""
    own = f"netlab {verb}"
    return [(words if own in words else f"{own} {words}".rstrip(), text) for words, text in EXAMPLES[verb]]
