"""Rules in nft's language as netlink messages, as libnftables would send them, for the rules that netlab writes in bulk.

The library reads every chain and set of the namespace before it understands a statement, and asks the kernel to find a
free name among all sets for each set without one: with 10,000 Services a change of one takes 0.2 s that way and loading
them 12.7 s, by these messages 0.03 s and 7.3 s.

``Compiler`` turns the steps of a transaction into messages.  What it does not know it refuses as a whole
(``NotKnown``), and the library is given the text instead: this is a quicker way to the same rules, never another
language.  ``tests/parity/test_nftcode.py`` holds both against each other, byte by byte, as the kernel tells them back.

- ``messages``: steps as messages;
- ``rules``: a rule's words as expressions, by ``fields``, what a rule can look at;
- ``expressions``: the parts of a rule, encoded;
- ``sets``: sets, maps and their elements;
- ``words``: what all of them need to say.

Pure.  Numbers: linux/netfilter/nf_tables.h; what nft notes for itself (``userdata``): libnftnl's udata.h.
"""

from netlab.kernel.nftables.compile.messages import SUBSYSTEM, Compiler
from netlab.kernel.nftables.compile.words import NotKnown

__all__ = ["SUBSYSTEM", "Compiler", "NotKnown"]
