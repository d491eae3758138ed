"""What this host is called by those who want to reach it: its name and its addresses.

Read from the kernel: a resolver would answer with what it knows, and may take its time.
"""

from __future__ import annotations

import ipaddress
import socket

from joblet.errors import InvalidSpec
from joblet.model import addresses

LOCAL = ("localhost", "127.0.0.1", "::1")
_IPV4_TABLE = "/proc/net/fib_trie"
_IPV6_TABLE = "/proc/net/if_inet6"
# include/uapi/linux/if_addr.h: addresses that come and go (privacy), or are not in use (yet).
_IFA_PASSING = 0x01 | 0x08 | 0x20 | 0x40


def of_this_host() -> list[str]:
    """Name and addresses, those that mean something on this host alone included."""
    found = [*LOCAL, socket.gethostname()]
    found += ipv4_addresses(_read(_IPV4_TABLE)) + ipv6_addresses(_read(_IPV6_TABLE))
    return [one for one in dict.fromkeys(found) if _usable(one)]


def ipv4_addresses(fib_trie: str) -> list[str]:
    """The host's own addresses in the kernel's routing table, without loopback."""
    found = []
    lines = fib_trie.splitlines()
    for line, below in zip(lines, lines[1:], strict=False):
        # an address, and below it what it is for
        if line.lstrip().startswith("|-- ") and below.split()[:3] == ["/32", "host", "LOCAL"]:
            found.append(line.split()[-1])
    return [one for one in dict.fromkeys(found) if not ipaddress.ip_address(one).is_loopback]


def ipv6_addresses(if_inet6: str) -> list[str]:
    """The host's own addresses, without loopback, link-local and passing ones."""
    found = []
    for line in if_inet6.splitlines():
        digits, _index, _length, _scope, flags, *_name = line.split()
        address = ipaddress.IPv6Address(int(digits, 16))
        passing = int(flags, 16) & _IFA_PASSING
        if not (passing or address.is_loopback or address.is_link_local):
            found.append(str(address))
    return found


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        # a kernel without the protocol
        return ""


def _usable(host: str) -> bool:
    try:
        addresses.check_host(host)
    except InvalidSpec:
        return False
    return True
