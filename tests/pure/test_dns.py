"""DNS messages and the files that a resolver reads."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.model.resolver import ResolvConf, in_hosts
from netlab.wire import dns

ALIAS = b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 30, 6) + b"\3web\xc0\x10"
ADDRESS = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 30, 4) + bytes((10, 96, 0, 80))
ADDRESS6 = b"\xc0\x0c" + struct.pack("!HHIH", 28, 1, 30, 16) + bytes(15) + b"\1"


def answered(*records: bytes, code: int = 0) -> bytes:
    asked = dns.query(7, "www.shop", dns.A)
    return struct.pack("!HHHH", 7, 0x8180 | code, 1, len(records)) + asked[8:] + b"".join(records)


def test_a_reply_has_its_addresses_and_aliases() -> None:
    assert dns.reply(answered(ALIAS, ADDRESS, ADDRESS6)) == (7, 0, ("10.96.0.80", "::1"), ("web.shop",))
    assert dns.reply(answered(code=3)) == (7, dns.NO_NAME, (), ())


@pytest.mark.parametrize("data", [b"", b"\0" * 12, answered(ADDRESS)[:-3], dns.query(7, "a.b", dns.A)])
def test_what_is_no_reply_is_none(data: bytes) -> None:
    assert dns.reply(data) is None


def test_a_server_replies_its_own_name() -> None:
    head = dns.IDENTITY[:2] + struct.pack("!HHHHH", 0x8500, 1, 1, 0, 0)
    record = b"\xc0\x0c" + struct.pack("!HHIHB", dns.TXT, 3, 0, 20, 19) + b"kube-system/coredns"
    assert dns.identity(head + dns.IDENTITY[12:] + record) == "kube-system/coredns"
    assert dns.identity(head + dns.IDENTITY[12:]) is None and dns.identity(b'{"pod": "web"}\n') is None


def test_a_name_that_leads_to_itself_is_no_reply() -> None:
    loop = b"\xc0" + bytes([12 + len("www.shop") + 2 + 4])
    assert dns.reply(answered(loop + ADDRESS[2:])) is None


@given(st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    dns.reply(struct.pack("!HHHH", 1, 0x8180, 1, 3) + data)


@pytest.mark.parametrize(
    ("name", "is_name"),
    [("web.shop", True), ("a" * 64, False), ("a..b", False), ("é.shop", False), ("x." * 127, False)],
)
def test_names_that_dns_can_be_asked_for(name: str, is_name: bool) -> None:
    assert dns.is_name(name) == is_name


def test_resolv_conf_is_read_as_the_c_library_reads_it() -> None:
    text = (
        "# a comment\nsearch old\nsearch a.b c\nnameserver 10.0.0.1\nnameserver\noptions ndots:2 rotate\n"
        "nameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.4\n"
    )
    conf = ResolvConf.parse(text)
    assert conf.servers == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert conf.resolver.searches == ["a.b", "c"]
    assert conf.resolver.candidates("x.y") == ["x.y.a.b", "x.y.c", "x.y"]
    assert conf.resolver.candidates("x.y.z") == ["x.y.z", "x.y.z.a.b", "x.y.z.c"]
    assert ResolvConf.parse("").servers == []


def test_a_hosts_file_names_a_host_by_any_of_its_names() -> None:
    text = "10.0.0.1\tweb.shop Web # db\n10.0.0.2 db\nfd00::1 web\n"
    assert in_hosts(text, "web") == ["10.0.0.1", "fd00::1"]
    assert in_hosts(text, "db") == ["10.0.0.2"]
