"""A rule's words as expressions.

A match is a field of the packet (``ip saddr``, or two fields with a dot between), loaded into registers, and a
comparison: with a value, a range or a set. A field may need a header to be present (of an IP family, of a protocol).
That is checked first, and once, as nft does it.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from ipaddress import ip_network

from netlab.kernel.nftables.compile import expressions as to
from netlab.kernel.nftables.compile import fields, sets
from netlab.kernel.nftables.compile.words import FAMILIES, NFPROTO, PROTOCOLS, NotKnown, address, comment, number, split
from netlab.tuples import NamedTuple

_MATCHES = frozenset(("ip", "ip6", "tcp", "udp", "sctp", "th", "icmpv6", "meta", "ct", "fib"))
_WIDTHS = {"ipv6_addr": 16}  # in registers, which are of four bytes

_CT_STATES = {"invalid": 1, "established": 2, "related": 4, "new": 8}


class Compiled(NamedTuple):
    """A rule: its expressions, cut where the numbers of its own sets go; those sets; its comment."""

    parts: tuple[bytes, ...]
    sets: tuple[sets.Anonymous, ...]
    note: bytes


@lru_cache(1 << 18)
def compiled(family: str, text: str) -> Compiled:
    """The rule of a table's family.  Raises NotKnown."""
    if family not in FAMILIES:
        raise NotKnown(family)
    return _Rule(family, split(text)).compiled()


class _Rule:
    def __init__(self, family: str, words: list[str]) -> None:
        self._family, self._words, self._at = family, words, 0
        self._layers: set[str] = {family} if family != "inet" else set()
        self._protocol = ""
        self._parts: list[bytes] = []
        self._done: list[bytes] = []
        self._sets: list[sets.Anonymous] = []
        self._note = b""

    def compiled(self) -> Compiled:
        while self._at < len(self._words):
            self._statement()
        self._done.append(b"".join(self._parts))
        return Compiled(tuple(self._done), tuple(self._sets), self._note)

    # -- words --------------------------------------------------------------------------------------------------------

    def _next(self) -> str:
        if self._at == len(self._words):
            raise NotKnown("the end")
        self._at += 1
        return self._words[self._at - 1]

    def _peek(self, ahead: int = 0) -> str:
        index = self._at + ahead
        return self._words[index] if index < len(self._words) else ""

    def _expect(self, *words: str) -> None:
        for word in words:
            if self._next() != word:
                raise NotKnown(" ".join(words))

    def _list(self) -> list[list[str]]:
        """``{ a, b c }`` as the words of each."""
        self._expect("{")
        statements: list[list[str]] = [[]]
        while (word := self._next()) != "}":
            if word == ",":
                statements.append([])
            else:
                statements[-1].append(word)
        return statements

    # -- statements ---------------------------------------------------------------------------------------------------

    def _statement(self) -> None:
        word = self._peek()
        if word == "meta" and self._peek(2) == "set":
            self._set_mark()
            return
        if word in _MATCHES:
            self._match()
            return
        self._at += 1
        if word == "counter":
            self._parts.append(to.COUNTER)
        elif word in ("accept", "drop", "return"):
            self._parts.append(to.decide(word))
        elif word in ("jump", "goto"):
            self._parts.append(to.decide(word, self._next()))
        elif word == "reject":
            self._reject()
        elif word == "masquerade":
            self._masquerade()
        elif word == "numgen":
            self._choose()
        elif word == "dnat":
            self._dnat()
        elif word == "update":
            self._remember()
        elif word == "comment" and self._at == len(self._words) - 1:
            self._note = comment(self._next())
        else:
            raise NotKnown(word)

    def _reject(self) -> None:
        if self._peek() != "with":
            if self._family not in to.PORT_UNREACHABLE:
                raise NotKnown("reject")
            self._parts.append(to.reject(to.REJECT_ICMP, to.PORT_UNREACHABLE[self._family]))
            return
        self._at += 1
        if self._peek() == "tcp" and self._protocol == "tcp":
            self._expect("tcp", "reset")
            self._parts.append(to.reject(to.REJECT_TCP_RESET, 0))
            return
        self._expect("icmpx")
        code = to.REJECT_ICMPX_CODES.get(self._next())
        if code is None or self._family != "inet":
            raise NotKnown("reject with icmpx")
        self._parts.append(to.reject(to.REJECT_ICMPX, code))

    def _masquerade(self) -> None:
        randomly = self._peek() == "fully-random"
        self._at += randomly
        self._parts.append(to.masquerade(to.FULLY_RANDOM if randomly else 0))

    def _set_mark(self) -> None:
        """``meta mark set meta mark | BITS`` and ``^ BITS``."""
        self._expect("meta", "mark", "set", "meta", "mark")
        operator, bits = self._next(), fields.host_number(self._next())
        ones = b"\xff" * len(bits)
        if operator not in ("|", "^"):
            raise NotKnown(operator)
        keep = bytes(byte & ~bit for byte, bit in zip(ones, bits, strict=True)) if operator == "|" else ones
        self._parts += (to.meta(to.META_MARK), to.mask(keep, bits), to.set_mark())

    def _choose(self) -> None:
        self._expect("random", "mod")
        among = self._next()
        self._expect("vmap")
        entries = []
        for entry in self._list():
            if len(entry) != 4 or entry[1] != ":" or entry[2] not in ("jump", "goto"):
                raise NotKnown(" ".join(entry))
            entries.append((entry[0], entry[2], entry[3]))
        self._parts.append(to.choose(int.from_bytes(number(among, 4), "big")))
        self._look_into(sets.choices(entries), verdicts=True)

    def _dnat(self) -> None:
        self._expect("to")
        host, _, port = self._next().rpartition(":")
        if self._family not in NFPROTO or not self._protocol:
            raise NotKnown("dnat")
        where = address(host.strip("[]"), 4 if self._family == "ip" else 6)
        self._parts.append(to.dnat(NFPROTO[self._family], where, number(port, 2)))

    def _remember(self) -> None:
        name = self._next()
        self._expect("{")
        self._load([self._field()])
        self._expect("}")
        self._parts.append(to.remember(name.removeprefix("@")))

    # -- matches ------------------------------------------------------------------------------------------------------

    def _match(self) -> None:
        if self._words[self._at : self._at + 2] == ["meta", "l4proto"] and self._peek(2) in PROTOCOLS:
            self._at += 2
            if self._protocol:
                raise NotKnown("meta l4proto twice")
            self._needs_protocol(self._next())
            return
        parts = [self._field()]
        while self._peek() == ".":
            self._at += 1
            parts.append(self._field())
        self._load(parts)
        if self._peek() == "vmap":
            self._at += 1
            self._parts.append(to.lookup(self._set_name(), verdicts=True))
            return
        if parts[0].kind == "ct_state":
            self._state()
            return
        if parts[0].kind == "mark" and self._peek() == "&":
            self._masked()
            return
        if inverted := self._peek() == "!=":
            self._at += 1
        if self._peek().startswith("@"):
            self._parts.append(to.lookup(self._set_name(), inverted=inverted))
        elif len(parts) > 1:
            raise NotKnown("a value of several parts")
        elif self._peek() == "{":
            keys = tuple(" ".join(element) for element in self._list())
            if not parts[0].note:
                raise NotKnown(f"a set of {parts[0].kind}")
            self._look_into(sets.anonymous(parts[0].kind, keys, parts[0].note), inverted=inverted)
        else:
            self._value(parts[0], self._next(), inverted=inverted)

    def _set_name(self) -> str:
        word = self._next()
        if not word.startswith("@"):
            raise NotKnown(word)
        return word[1:]

    def _field(self) -> fields.Field:
        field = fields.field(self._next)
        if field.ip:
            self._needs_ip(field.ip)
        if field.protocol:
            self._needs_protocol(field.protocol)
        return field

    def _load(self, parts: list[fields.Field]) -> None:
        offset = 0
        for field in parts:
            self._parts.append(field.load(to.register(offset)))
            offset += _WIDTHS.get(field.kind, 4)

    def _needs_ip(self, layer: str) -> None:
        if layer in self._layers:
            return
        if self._layers:
            raise NotKnown(f"{layer} in {self._family}")
        self._layers.add(layer)
        self._parts += (to.meta(to.META_NFPROTO), to.compare(to.EQ, bytes((NFPROTO[layer],))))

    def _needs_protocol(self, protocol: str) -> None:
        if self._protocol not in ("", protocol):
            raise NotKnown(protocol)
        if not self._protocol:
            self._parts += (to.meta(to.META_L4PROTO), to.compare(to.EQ, bytes((PROTOCOLS[protocol],))))
        self._protocol = protocol

    def _state(self) -> None:
        """``ct state established,related``: the words split it at its commas."""
        bits = 0
        while True:
            word = self._next()
            if word not in _CT_STATES:
                raise NotKnown(f"ct state {word}")
            bits |= _CT_STATES[word]
            if self._peek() != ",":
                break
            self._at += 1
        self._parts += (to.mask(struct.pack("=I", bits)), to.compare(to.NE, bytes(4)))

    def _masked(self) -> None:
        """``meta mark & 0x4000 == 0``."""
        self._at += 1
        bits = fields.host_number(self._next())
        self._expect("==")
        self._parts += (to.mask(bits), to.compare(to.EQ, fields.host_number(self._next())))

    def _value(self, field: fields.Field, text: str, *, inverted: bool) -> None:
        operator = to.NE if inverted else to.EQ
        low, _, high = text.partition("-")
        if high:
            if inverted:
                raise NotKnown("a range that must not be")
            ends = fields.value(field.kind, low), fields.value(field.kind, high)
            self._parts += (to.compare(to.GE, ends[0]), to.compare(to.LE, ends[1]))
        elif "/" in text:
            self._prefix(field, text, operator)
        else:
            self._parts.append(to.compare(operator, fields.value(field.kind, text)))

    def _prefix(self, field: fields.Field, text: str, operator: int) -> None:
        """Of whole bytes only those are loaded, or compared; other prefixes are cut out by their mask, that of no bit too."""
        try:
            network = ip_network(text)
        except ValueError:
            raise NotKnown(text) from None
        if not field.kind.endswith("_addr"):
            raise NotKnown(text)
        start = network.network_address.packed
        if network.prefixlen % 8 or not network.prefixlen:
            self._parts.append(to.mask(network.netmask.packed))
        else:
            start = start[: network.prefixlen // 8]
            if field.header is not None:
                self._parts[-1] = to.payload(*field.header, len(start))
        self._parts.append(to.compare(operator, start))

    def _look_into(self, new: sets.Anonymous, *, inverted: bool = False, verdicts: bool = False) -> None:
        """Look into a set of the rule's own, whose number is the transaction's to give."""
        name = f"__{new.word}%d"
        whole = to.lookup(name, number=to.PLACEHOLDER, inverted=inverted, verdicts=verdicts)
        before, after = whole.split(to.PLACEHOLDER)
        self._done.append(b"".join((*self._parts, before)))
        self._parts = [after]
        self._sets.append(new)
