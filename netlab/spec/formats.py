"""The formats of texts: names, labels, addresses, ports, quantities.

A format is a function from the text to the text to keep; it raises ValueError with a sentence that says what such a
text may hold.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from netlab import names, units
from netlab.near import meant

_NAME_PART = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?"
_LABEL_NAME = re.compile(_NAME_PART + r"\Z")
_PORT_NAME = re.compile(r"(?!.*--)(?=.*[a-z])[a-z0-9](?:[-a-z0-9]*[a-z0-9])?\Z")
_QUANTITY = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[KMGTPE]i|[numkMGTPE]|[eE][-+]?[0-9]+)?\Z")
_ENV_NAME = re.compile(r"[ -<>-~]+\Z")
_HEADER_NAME = re.compile(r"[-A-Za-z0-9]+\Z")
_SEARCH = re.compile(r"[a-z0-9_]([-a-z0-9_]*[a-z0-9_])?\Z")
_PORT_PROTOCOL = re.compile(r"([0-9]{1,5})(?:/(?:TCP|UDP|SCTP))?\Z")


def shown(text: str, limit: int = 60) -> str:
    """A text as it is put into a sentence: quoted, on one line, cut where it is long."""
    cut = text if len(text) <= limit else text[: limit - 3] + "..."
    body = "".join(each if each.isprintable() and each not in '"\\' else each.encode("unicode_escape").decode()
                   if each not in '"\\' else "\\" + each for each in cut)  # fmt: skip
    return f'"{body}"'


def _better(text: str, good: Callable[[str], bool]) -> str:
    """The name that was probably meant, where changing case or a few characters makes a good one."""
    guess = re.sub(r"[^a-z0-9.-]+", "-", text.lower()).strip("-.")
    near = guess and text.isprintable() and len(text) <= 253 and "/" not in text and good(guess)
    return meant(guess) if near else ""


def _dns_name(text: str, good: Callable[[str], bool], most: int, form: str) -> str:
    if good(text):
        return text
    if len(text) > most:
        raise ValueError(f"{shown(text)} is too long: {len(text)} characters, at most {most} are allowed")
    raise ValueError(f"{shown(text)} is not a name: it may hold lower-case letters, {form}{_better(text, good)}")


def dns_label(text: str) -> str:
    """RFC 1123 label: Namespaces, Services, containers, port names of Services."""
    form = 'digits and "-", and must begin and end with a letter or digit'
    return _dns_name(text, names.is_dns_label, 63, form)


def dns_subdomain(text: str) -> str:
    """RFC 1123 subdomain: the names of most objects."""
    form = 'digits, "-" and ".", each part between dots of at most 63 characters, beginning and ending with a letter or digit'
    return _dns_name(text, names.is_dns_subdomain, 253, form)


def label_key(text: str) -> str:
    """A label's or annotation's key: ``[prefix/]name``."""
    prefix, slash, name = text.rpartition("/")
    if slash and not names.is_dns_subdomain(prefix.lower()):
        raise ValueError(f'{shown(text)} is not a label key: what is before the "/" must be a DNS name')
    if len(name) > 63:
        raise ValueError(
            f"{shown(text)} is not a label key: its name has {len(name)} characters, at most 63 are allowed"
        )
    if not _LABEL_NAME.match(name):
        raise ValueError(
            f'{shown(text)} is not a label key: a name may hold letters, digits, "-", "_" and ".", and must begin and '
            "end with a letter or digit"
        )
    return text


def label_value(text: str) -> str:
    """A label's value; it may be empty."""
    if len(text) > 63:
        raise ValueError(f"{shown(text)} is not a label value: {len(text)} characters, at most 63 are allowed")
    if text and not _LABEL_NAME.match(text):
        raise ValueError(
            f'{shown(text)} is not a label value: it may hold letters, digits, "-", "_" and ".", and must begin and '
            "end with a letter or digit"
        )
    return text


def port_name(text: str) -> str:
    """An IANA service name, as container ports have them."""
    if len(text) <= 15 and _PORT_NAME.match(text):
        return text
    if len(text) > 15:
        raise ValueError(f"{shown(text)} is too long for a port's name: {len(text)} characters, at most 15 are allowed")
    raise ValueError(
        f'{shown(text)} is not a port\'s name: it may hold lower-case letters, digits and single "-", and needs a letter'
    )


def port(text: str) -> str:
    """A port that is given by name."""
    if text.isdigit():
        raise ValueError(
            f"{shown(text)} in quotes would be a name without a letter (write {shown(text)[1:-1]} without quotes)"
        )
    return port_name(text)


def port_protocol(text: str) -> str:
    """``53/UDP``; TCP where no protocol is given."""
    match = _PORT_PROTOCOL.match(text)
    if not match or not 1 <= int(match[1]) <= 65535:
        raise ValueError(f"{shown(text)} is not a port: write 443 or 53/UDP, from 1 to 65535, TCP, UDP or SCTP")
    return text


def ip(text: str) -> str:
    """An IPv4 or IPv6 address, without a zone."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        pass
    else:
        if "%" not in text:
            return text
    if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4}){3}", text) and re.search(r"(^|\.)0[0-9]", text):
        raise ValueError(f"{shown(text)} is not an IP address: its numbers must not begin with a zero")
    if "/" in text:
        raise ValueError(f'{shown(text)} is not an IP address: leave the "/" and what follows it out')
    raise ValueError(f"{shown(text)} is not an IP address")


def _network(text: str) -> tuple[str, str]:
    """The CIDR as it is written, and the network that it is in."""
    address, slash, prefix = text.partition("/")
    if not slash:
        raise ValueError(f'{shown(text)} is not a CIDR: it lacks the "/" and the length of the prefix')
    try:
        ip(address)
    except ValueError as error:
        raise ValueError(f"{shown(text)} is not a CIDR: {error}") from None
    width = ipaddress.ip_address(address).max_prefixlen
    if not re.fullmatch(r"0|[1-9][0-9]{0,2}", prefix) or int(prefix) > width:
        raise ValueError(f"{shown(text)} is not a CIDR: the prefix must be from 0 to {width}")
    return text, str(ipaddress.ip_network(text, strict=False))


def cidr(text: str) -> str:
    """A network in CIDR form without host bits."""
    written, network = _network(text)
    if ipaddress.ip_interface(written).network.network_address != ipaddress.ip_interface(written).ip:
        raise ValueError(f"{shown(text)} has bits set after its prefix; the network is {network}")
    return written


def cidr_masked(text: str) -> str:
    """A network in CIDR form; host bits are masked, as the API server takes them (and warns)."""
    written, network = _network(text)
    has_host_bits = ipaddress.ip_interface(written).network.network_address != ipaddress.ip_interface(written).ip
    return network if has_host_bits else written


def cidr_padded(text: str) -> str:
    """As ``cidr_masked``; blanks around it are nothing, as the API server takes loadBalancerSourceRanges."""
    return cidr_masked(text.strip())


def cluster_ip(text: str) -> str:
    """A Service's address, or None for a headless one."""
    if text == "None":
        return text
    try:
        return ip(text)
    except ValueError as error:
        raise ValueError(f'{error}; write an address, or "None" for a headless Service') from None


#: Networks of which no host of a lab can have an address, and what they are.
_NOBODYS = tuple(
    (ipaddress.ip_network(text), word)
    for text, word in (
        ("127.0.0.0/8", "loopback"), ("::1/128", "loopback"), ("224.0.0.0/4", "multicast"), ("ff00::/8", "multicast"),
        ("0.0.0.0/8", "unspecified"), ("::/128", "unspecified"), ("240.0.0.0/4", "reserved"), ("fe80::/10", "link-local"), ("::ffff:0:0/96", "IPv4 mapped into IPv6"),
    )
)  # fmt: skip


def _nobodys(text: str) -> str:
    """What a good network or address is where no host can have (part of) it; empty where hosts can."""
    network = ipaddress.ip_network(text)
    return next((word for other, word in _NOBODYS if network.version == other.version and network.overlaps(other)), "")


def host_ip(text: str) -> str:
    """The address of a host: a node, a Pod, a host outside."""
    word = _nobodys(ip(text))
    if word:
        raise ValueError(f"{text} is {word}: no host can have it")
    return text


def service_ip(text: str) -> str:
    """An address at which a Service is reached, or of an endpoint: as the API server takes it, not link-local."""
    if ipaddress.ip_address(host_ip(text)).is_link_local:
        raise ValueError(f"{text} is link-local: nothing behind a router can be reached at it")
    return text


def host_cidr(text: str) -> str:
    """A network in CIDR form whose addresses hosts can have."""
    word = _nobodys(cidr(text))
    if word:
        raise ValueError(f"{text} is {word}, or has a part that is: no host can have an address of it")
    return text


def external_name(text: str) -> str:
    """The name that an ExternalName Service leads to; a dot at its end is allowed."""
    dns_subdomain(text.removesuffix("."))
    return text


def search_domain(text: str) -> str:
    """A domain of resolv.conf's search list: a DNS name, in which "_" is allowed, or the root."""
    name = text.removesuffix(".")
    if text == "." or (len(name) <= 253 and all(map(_SEARCH.match, name.split(".")))):
        return text
    return dns_subdomain(name)


_DOMAIN = re.compile(r"(\*\.)?([a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?")


def domain_pattern(text: str) -> str:
    """A domain name of a policy's peer; "*." before it means all names below it."""
    if not _DOMAIN.fullmatch(text):
        raise ValueError(f'{shown(text)} is no domain name of two labels or more, with "*." before it at most')
    return text


def env_name(text: str) -> str:
    """The name of an environment variable: printable ASCII without "="."""
    if _ENV_NAME.match(text):
        return text
    raise ValueError(
        f'{shown(text)} is not the name of a variable: it must be of printable ASCII characters without "="'
    )


def header_name(text: str) -> str:
    """The name of an HTTP header."""
    if _HEADER_NAME.match(text):
        return text
    raise ValueError(f'{shown(text)} is not the name of an HTTP header: it may hold letters, digits and "-"')


def line(text: str) -> str:
    """A text that becomes part of a line: of a request, of a file."""
    if text.isprintable():
        return text
    raise ValueError(f"{shown(text)} must be one line, without control characters")


def word(text: str) -> str:
    """A text that becomes a word of a line."""
    if text.isprintable() and not any(map(str.isspace, text)):
        return text
    raise ValueError(f"{shown(text)} must be one word, without spaces and control characters")


def quantity(text: str) -> str:
    """A quantity of a resource: 500m, 1Gi, 1e3."""
    if _QUANTITY.match(text):
        return text
    raise ValueError(
        f"{shown(text)} is not a quantity: write a number with m, k, M, G, Ki, Mi, Gi or the like after it"
    )


def _of(unit: Callable[[str], object]) -> Callable[[str], str]:
    """The format of a number with a unit."""

    def check(text: str) -> str:
        unit(text)
        return text

    return check


#: Formats of numbers with a unit; a bare number is an error about the unit.
UNITS = {"time": _of(units.nanoseconds), "percent": _of(units.percent), "rate": _of(units.bits_per_second)}


def manifest_file(text: str) -> str:
    """A file of manifests in a folder below: ``steps/web.yaml``."""
    folder, _, file = text.partition("/")
    name, dot, suffix = file.rpartition(".")
    if (
        not dot
        or suffix not in ("yaml", "yml", "json")
        or not (names.is_dns_label(folder) and names.is_dns_subdomain(name))
    ):
        raise ValueError(f"{shown(text)} is no file of manifests in a folder below, such as steps/web.yaml")
    return text


FORMATS: dict[str, Callable[[str], str]] = {
    "dns-label": dns_label,
    "dns-subdomain": dns_subdomain,
    "label-key": label_key,
    "label-value": label_value,
    "port-name": port_name,
    "port": port,
    "port-protocol": port_protocol,
    "ip": ip,
    "cidr": cidr,
    "cidr-masked": cidr_masked,
    "cidr-padded": cidr_padded,
    "cluster-ip": cluster_ip,
    "quantity": quantity,
    "host-ip": host_ip,
    "host-cidr": host_cidr,
    "service-ip": service_ip,
    "external-name": external_name,
    "search-domain": search_domain,
    "domain-pattern": domain_pattern,
    "env-name": env_name,
    "header-name": header_name,
    "line": line,
    "manifest-file": manifest_file,
    "word": word,
    **UNITS,
}

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = "[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?"
#: The same for editors, as near as a regular expression comes; an empty text means absent, so it passes.
PATTERNS = {
    "dns-label": f"^({_LABEL})?$",
    "dns-subdomain": rf"^({_LABEL}(\.{_LABEL})*)?$",
    "label-key": f"^([^/]+/)?{_QUALIFIED}$",
    "label-value": f"^({_QUALIFIED})?$",
    "port-name": f"^({_LABEL})?$",
    "port": f"^({_LABEL})?$",
    "port-protocol": "^[0-9]{1,5}(/(TCP|UDP|SCTP))?$",
    "ip": "^[0-9a-fA-F:.]*$",
    "cidr": "^([0-9a-fA-F:.]+/[0-9]{1,3})?$",
    "cidr-masked": "^([0-9a-fA-F:.]+/[0-9]{1,3})?$",
    "cidr-padded": r"^\s*([0-9a-fA-F:.]+/[0-9]{1,3})?\s*$",
    "cluster-ip": "^(None|[0-9a-fA-F:.]*)$",
    "host-ip": "^[0-9a-fA-F:.]*$",
    "host-cidr": "^([0-9a-fA-F:.]+/[0-9]{1,3})?$",
    "service-ip": "^[0-9a-fA-F:.]*$",
    "external-name": rf"^({_LABEL}(\.{_LABEL})*\.?)?$",
    "domain-pattern": f"^{_DOMAIN.pattern}$",
    "env-name": "^[ -<>-~]+$",
    "header-name": "^[-A-Za-z0-9]+$",
    "word": r"^\S*$",
    "time": "^([0-9]+\\.?[0-9]*|\\.[0-9]+) ?([mun]?s|[mun]?secs?)$",
    "percent": "^([0-9]+\\.?[0-9]*|\\.[0-9]+) ?%$",
    "rate": "^([0-9]+\\.?[0-9]*|\\.[0-9]+) ?([kmgtKMGT]i?)?(bit|bps)$",
}
