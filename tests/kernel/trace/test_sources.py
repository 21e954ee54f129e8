"""The sources one by one: what they lose is counted, and old kernels' ways work too."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.evidence import records
from netlab.kernel.capture import afpacket
from netlab.kernel.capture import filter as cbpf
from netlab.kernel.capture.filter import Filter
from netlab.kernel.ebpf import drops
from netlab.kernel.ebpf import program as bpf
from netlab.kernel.host import netns as ns
from netlab.kernel.host.threads import close_all
from netlab.kernel.nftables import libnft
from netlab.kernel.nftables.trace import RulesSocket, TraceSocket
from netlab.observe.trace import sources
from netlab.observe.trace.mark import Mark
from tests.kernel.trace.conftest import Lab, Tables, only_from, pod

pytestmark = pytest.mark.kernel
MARK = Mark("TCP", 0x41424344, v6=False)


@pytest.fixture
def nowhere() -> Iterator[ns.Worker]:
    """A worker; what it runs may go into namespaces of its own."""
    worker = ns.Worker()
    yield worker
    worker.close()


def lo_up() -> None:
    from netlab.kernel.rtnetlink.socket import NetlinkSocket
    from netlab.kernel.rtnetlink.values import NEWLINK

    sock = NetlinkSocket()
    up = (0).to_bytes(2, "little") + bytes(2) + (1).to_bytes(4, "little") + (1).to_bytes(4, "little") * 2
    assert sock.batch([(NEWLINK, 0, up)]) == []
    sock.close()


def datagrams(count: int, size: int = 100) -> None:
    """To a port of ours where somebody listens, and reads nothing."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(server.getsockname())
    for _ in range(count):
        client.send(bytes(size))
    client.close()
    server.close()


def everything() -> bytes:
    code = Filter()
    code.op(cbpf.LOAD_BYTE, 0)
    code.jump(cbpf.BITS, 0, cbpf.NO, cbpf.YES)
    return code.done()


def test_frames_that_do_not_fit_are_counted(nowhere: ns.Worker) -> None:
    def lose() -> tuple[int, int]:
        ns.unshare_net()
        lo_up()
        sock = afpacket.PacketSocket(everything(), buffer=20_000)
        datagrams(300)
        seen = len(list(sock.read()))
        lost = sock.lost()
        sock.close()
        return seen, lost

    seen, lost = nowhere.run(lose)
    assert seen > 0 and lost > 0
    assert seen + lost == 600, "each passes lo twice: out and in"


def test_trace_events_that_do_not_fit_are_counted(nowhere: ns.Worker) -> None:
    def lose() -> tuple[int, int]:
        ns.unshare_net()
        lo_up()
        libnft.run("table inet t { chain c { type filter hook output priority 0; meta nftrace set 1; counter; }; }")
        sock = TraceSocket(buffer=20_000)
        datagrams(300)
        seen = len(list(sock.read()))
        lost = sock.lost
        sock.close()
        return seen, lost

    seen, lost = nowhere.run(lose)
    assert seen > 0 and lost > 0


def test_drops_that_do_not_fit_are_counted(nowhere: ns.Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drops, "_RING", 1 << 12)

    def lose() -> tuple[list[records.Drop], int]:
        ns.unshare_net()
        lo_up()
        source = drops.DropSource({os.stat("/proc/thread-self/ns/net").st_ino: "here"})
        try:
            client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            for _ in range(50):  # nobody listens there
                client.sendto(b"?", ("127.0.0.1", 9))
            client.close()
            return list(source.read()), source.lost()
        finally:
            source.close()

    try:
        seen, lost = nowhere.run(lose)
    except drops.Unavailable as error:
        pytest.skip(f"no drop events here: {error}")
    asked = [one for one in seen if one.network[9:10] == b"\x11"]
    assert asked and lost > 0
    assert len(asked) + lost >= 50
    assert {(one.netns, one.interface, one.reason, one.function) for one in asked} == {
        ("here", "lo", "NO_SOCKET", "__udp4_lib_rcv")
    }


def refused_datagram() -> list[records.Drop]:
    """In a namespace of its own: a datagram that nobody takes, and what the kernel says of it."""
    # a word of this call's own: the sieve reads past a packet's end, where an earlier one's bytes may still lie
    word = os.urandom(4)
    ns.unshare_net()
    lo_up()
    sought = drops.Sought((int.from_bytes(word, "big"),))
    source = drops.DropSource({os.stat("/proc/thread-self/ns/net").st_ino: "here"}, sought)
    try:
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for data in (b"somebody else's", word + b" is ours"):
            client.sendto(data, ("127.0.0.1", 9))
        client.close()
        return [one for one in source.read() if one.network[9:10] == b"\x11"]
    finally:
        source.close()


def test_drops_on_other_kernels(nowhere: ns.Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without bpf_snprintf (before 5.13) the place is a number; without reasons (before 5.17) there is only the place."""
    try:
        told = nowhere.run(refused_datagram)
    except drops.Unavailable as error:
        pytest.skip(f"no drop events here: {error}")
    assert [(one.reason, one.function) for one in told] == [("NO_SOCKET", "__udp4_lib_rcv")], "only ours, of two"
    assert told[0].network[32:] == b" is ours"

    real = drops.layout()
    monkeypatch.setattr(drops, "layout", lambda _: real._replace(reason=None, reasons={}))
    assert [(one.reason, one.function) for one in nowhere.run(refused_datagram)] == [("", "__udp4_lib_rcv")]

    # text that may change is no format to the verifier: it refuses the program as it would one with an unknown helper
    def loose(self: drops.DropSource) -> int:
        return self._keep(bpf.new_map(bpf.ARRAY, 4, 4, 1))

    monkeypatch.setattr(drops.DropSource, "_constant", loose)
    assert [one.function[:2] for one in nowhere.run(refused_datagram)] == ["0x"]

    monkeypatch.undo()
    monkeypatch.setattr(drops, "VMLINUX", "/nowhere")
    with pytest.raises(drops.Unavailable, match="no BTF"):
        nowhere.run(refused_datagram)


@pytest.fixture
def ruled(lab: Lab) -> Lab:
    lab.up(pod("client", "node-1"), pod("web-1", "node-2", app="web"), only_from("client", "web"), dataplane="vxlan")
    return lab


def test_where_tables_have_no_owners_they_are_removed_and_stale_ones_too(
    ruled: Lab, trace_tables: Tables, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kernel before 5.12 does: it refuses the flag."""
    real = sources.rules

    def without(mark: Mark, table: str, *, owner: bool) -> str:
        return "this is no nft" if owner else real(mark, table, owner=False)

    monkeypatch.setattr(sources, "rules", without)
    found = ruled.trace("client", "web-1")
    assert found.probe.outcome == "open"
    assert found.rules_seen and found.sources[1].on
    assert trace_tables(ruled) == {}

    # one of a process that is gone, and one whose process is there
    gone = max(int(one) for one in os.listdir("/proc") if one.isdigit()) + 100_000
    text = "".join(f"table inet nltrace-{pid} {{ chain prerouting {{ }}; }}\n" for pid in (gone, 1))
    node = f"{ruled.name}-node-2"
    ns.each([node], lambda _: libnft.run(text))
    ruled.trace("client", "web-1")
    assert trace_tables(ruled) == {node: ["nltrace-1"]}
    ns.each([node], lambda _: libnft.run("delete table inet nltrace-1"))


def test_a_table_goes_with_its_owner(ruled: Lab, trace_tables: Tables) -> None:
    armed = sources.Rules(ruled.netns, MARK)

    def owned(_: str) -> list[bool]:
        sock = RulesSocket()
        try:
            return [one.owned for one in sock.tables() if one.name.startswith("nltrace-")]
        finally:
            sock.close()

    held = ns.each(armed.sockets, owned)
    assert set(held) == {f"{ruled.name}-node-2"}, "only node-2 has rules: the policy's"
    if not all(all(one) for one in held.values()):
        close_all(armed.closers())
        pytest.skip("this kernel has no tables with owners")
    assert list(held.values()) == [[True, True]]
    close_all(armed.closers())
    assert trace_tables(ruled) == {}


def test_the_next_diff_lists_no_rules(ruled: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trace changes the rules' generation; a large ruleset must not be listed for that."""
    from netlab.kernel.nftables import drift as nft
    from netlab.runtime import lab as labs

    ruled.trace("client", "web-1")
    monkeypatch.setattr(nft, "_listing", lambda *_: pytest.fail("the rules were listed"))
    assert not labs.diff(ruled.name)[1].operations


def test_the_kernels_layout_is_kept_and_one_of_another_kernel_or_a_damaged_one_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "btf.json"
    try:
        real = drops.layout(file)
    except drops.Unavailable as error:
        pytest.skip(f"no drop events here: {error}")
    assert file.stat().st_mode & 0o777 == 0o600 and list(tmp_path.iterdir()) == [file]
    read: list[int] = []
    monkeypatch.setattr(drops, "_read_layout", lambda: read.append(1) or real)
    assert drops.layout(file) == real and not read
    kept = file.read_text()
    for text in (kept.replace(os.uname().release, "1.2.3"), kept[:-9], "[]", "{}", ""):
        file.write_text(text)
        read.clear()
        assert drops.layout(file) == real and read, text[:40]
    assert drops.layout(tmp_path / "gone" / "btf.json") == real
