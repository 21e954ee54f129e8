"""A rule's words as expressions.

A match is what a packet has (``ip saddr``, two of them with a dot between), loaded into registers, and what that must be:
a value, a range, one of a set.  What a field needs to be there at all (an IP header of that family, that protocol) is
asked first, once, as nft does it.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_network
from typing import NamedTuple

from netlab.kernel.nftcode import expressions as to
from netlab.kernel.nftcode import sets
from netlab.kernel.nftcode.words import FAMILIES, PROTOCOLS, NotKnown, address, comment, number, split

_IP_FIELDS = {("ip", "saddr"): (12, 4), ("ip", "daddr"): (16, 4), ("ip6", "saddr"): (8, 16), ("ip6", "daddr"): (24, 16)}
_NFPROTO = {"ip": 2, "ip6": 10}
# nft's numbers of headers and their fields, for its note on what a set's key is.
_HEADERS = {"udp": 6, "tcp": 8, "sctp": 10, "ip": 12, "ip6": 13}
_FIELDS = {("ip", "saddr"): 11, ("ip", "daddr"): 12, ("ip6", "saddr"): 8, ("ip6", "daddr"): 9}
_DPORT = 2


class Compiled(NamedTuple):
    """A rule: its expressions, cut where the numbers of its own sets go; those sets; its comment."""

    parts: tuple[bytes, ...]
    sets: tuple[sets.Anonymous, ...]
    note: bytes


class _InHeader(NamedTuple):
    """Bytes of a packet's header; ``note`` is nft's on it as a set's key."""

    kind: str
    note: bytes
    base: int
    offset: int
    size: int

    def load(self, register: int) -> bytes:
        return to.payload(self.base, self.offset, self.size, register)


class _OfConnection(NamedTuple):
    """What is known of a packet's connection."""

    kind: str
    note: bytes
    key: int
    direction: int

    def load(self, register: int) -> bytes:
        return to.ct(self.key, self.direction, register)


_Field = _InHeader | _OfConnection


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
        place = self._at + ahead
        return self._words[place] if place < len(self._words) else ""

    def _expect(self, *words: str) -> None:
        for word in words:
            if self._next() != word:
                raise NotKnown(" ".join(words))

    def _list(self) -> list[list[str]]:
        """``{ a, b c }`` as the words of each."""
        self._expect("{")
        found: list[list[str]] = [[]]
        while (word := self._next()) != "}":
            if word == ",":
                found.append([])
            else:
                found[-1].append(word)
        return found

    # -- statements ---------------------------------------------------------------------------------------------------

    def _statement(self) -> None:
        word = self._peek()
        if word in ("ip", "ip6", "tcp", "udp", "sctp", "meta", "ct"):
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
        if self._family != "inet":
            raise NotKnown("reject")
        self._expect("with")
        if self._peek() == "tcp" and self._protocol == "tcp":
            self._expect("tcp", "reset")
            self._parts.append(to.reject(to.REJECT_TCP_RESET, 0))
        else:
            self._expect("icmpx", "admin-prohibited")
            self._parts.append(to.reject(to.REJECT_ICMPX, to.ADMIN_PROHIBITED))

    def _choose(self) -> None:
        self._expect("random", "mod")
        among = self._next()
        self._expect("vmap")
        ways = []
        for way in self._list():
            if len(way) != 4 or way[1] != ":" or way[2] not in ("jump", "goto"):
                raise NotKnown(" ".join(way))
            ways.append((way[0], way[2], way[3]))
        self._parts.append(to.choose(int.from_bytes(number(among, 4), "big")))
        self._look_into(sets.choices(ways), verdicts=True)

    def _dnat(self) -> None:
        self._expect("to")
        host, _, port = self._next().rpartition(":")
        if self._family not in _NFPROTO or not self._protocol:
            raise NotKnown("dnat")
        where = address(host.strip("[]"), 4 if self._family == "ip" else 6)
        self._parts.append(to.dnat(_NFPROTO[self._family], where, number(port, 2)))

    def _remember(self) -> None:
        name = self._next()
        self._expect("{")
        self._load([self._field()])
        self._expect("}")
        self._parts.append(to.remember(name.removeprefix("@")))

    # -- matches ------------------------------------------------------------------------------------------------------

    def _match(self) -> None:
        if self._words[self._at : self._at + 2] == ["meta", "l4proto"]:
            self._at += 2
            if self._protocol or (protocol := self._next()) not in PROTOCOLS:
                raise NotKnown("meta l4proto")
            self._needs_protocol(protocol)
            return
        fields = [self._field()]
        while self._peek() == ".":
            self._at += 1
            fields.append(self._field())
        self._load(fields)
        if self._peek() == "vmap":
            self._at += 1
            self._parts.append(to.lookup(self._set_name(), verdicts=True))
            return
        if inverted := self._peek() == "!=":
            self._at += 1
        if self._peek().startswith("@"):
            self._parts.append(to.lookup(self._set_name(), inverted=inverted))
        elif len(fields) > 1:
            raise NotKnown("a value of several parts")
        elif self._peek() == "{":
            keys = [" ".join(one) for one in self._list()]
            self._look_into(sets.anonymous(fields[0].kind, keys, fields[0].note), inverted=inverted)
        else:
            self._value(fields[0], self._next(), inverted=inverted)

    def _set_name(self) -> str:
        word = self._next()
        if not word.startswith("@"):
            raise NotKnown(word)
        return word[1:]

    def _field(self) -> _Field:
        word = self._next()
        if word == "ct":
            return self._of_connection()
        field = self._next()
        if (word, field) in _IP_FIELDS:
            self._needs_ip(word)
            offset, size = _IP_FIELDS[word, field]
            kind = "ipv4_addr" if word == "ip" else "ipv6_addr"
            note = sets.of_payload(_HEADERS[word], _FIELDS[word, field])
            return _InHeader(kind, note, to.NETWORK, offset, size)
        if word in PROTOCOLS and field == "dport":
            self._needs_protocol(word)
            return _InHeader("inet_service", sets.of_payload(_HEADERS[word], _DPORT), to.TRANSPORT, 2, 2)
        raise NotKnown(f"{word} {field}")

    def _of_connection(self) -> _Field:
        word = self._next()
        direction = {"original": to.ORIGINAL, "reply": to.REPLY}.get(word)
        if direction is None:
            raise NotKnown(f"ct {word}")
        if self._peek() == "proto-src":
            self._at += 1
            key, kind = to.CT_PROTO_SRC, "inet_service"
        else:
            layer = self._next()
            self._expect("saddr")
            if layer not in _NFPROTO:
                raise NotKnown(f"ct {layer}")
            key, kind = (to.CT_SRC_IP, "ipv4_addr") if layer == "ip" else (to.CT_SRC_IP6, "ipv6_addr")
        return _OfConnection(kind, sets.of_connection(key, direction), key, direction)

    def _load(self, fields: list[_Field]) -> None:
        place = 0
        for field in fields:
            self._parts.append(field.load(to.register(place)))
            place += (sets.TYPES[field.kind].size + 3) & ~3

    def _needs_ip(self, layer: str) -> None:
        if layer in self._layers:
            return
        if self._layers:
            raise NotKnown(f"{layer} in {self._family}")
        self._layers.add(layer)
        self._parts += (to.meta(to.META_NFPROTO), to.compare(to.EQ, bytes((_NFPROTO[layer],))))

    def _needs_protocol(self, protocol: str) -> None:
        if self._protocol not in ("", protocol):
            raise NotKnown(protocol)
        if not self._protocol:
            self._parts += (to.meta(to.META_L4PROTO), to.compare(to.EQ, bytes((PROTOCOLS[protocol],))))
        self._protocol = protocol

    def _value(self, field: _Field, text: str, *, inverted: bool) -> None:
        operator = to.NE if inverted else to.EQ
        types = (field.kind,)
        low, _, high = text.partition("-")
        if high:
            if inverted:
                raise NotKnown("a range that must not be")
            self._parts += (to.compare(to.GE, sets.key(low, types)), to.compare(to.LE, sets.key(high, types)))
        elif "/" in text:
            self._prefix(field, text, operator)
        else:
            self._parts.append(to.compare(operator, sets.key(text, types)))

    def _prefix(self, field: _Field, text: str, operator: int) -> None:
        """Of whole bytes only those are loaded; other prefixes are cut out by their mask."""
        try:
            network = ip_network(text)
        except ValueError:
            raise NotKnown(text) from None
        if not isinstance(field, _InHeader) or not network.prefixlen:
            raise NotKnown(text)
        start = network.network_address.packed
        if network.prefixlen % 8:
            self._parts.append(to.mask(network.netmask.packed))
        else:
            start = start[: network.prefixlen // 8]
            self._parts[-1] = to.payload(field.base, field.offset, len(start))
        self._parts.append(to.compare(operator, start))

    def _look_into(self, new: sets.Anonymous, *, inverted: bool = False, verdicts: bool = False) -> None:
        """Look into a set of the rule's own, whose number is the transaction's to give."""
        name = f"__{new.word}%d"
        whole = to.lookup(name, number=to.PLACE, inverted=inverted, verdicts=verdicts)
        before, after = whole.split(to.PLACE)
        self._done.append(b"".join((*self._parts, before)))
        self._parts = [after]
        self._sets.append(new)
