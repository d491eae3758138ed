from __future__ import annotations

from jobletctl.hostnames import ipv4_addresses, ipv6_addresses, of_this_host

FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.1.0.0/16 2 0 2
        |-- 10.1.0.0
           /16 link UNICAST
        |-- 10.1.2.3
           /32 host LOCAL
        |-- 10.1.255.255
           /32 link BROADCAST
     |-- 127.0.0.1
        /32 host LOCAL
Local:
        |-- 10.1.2.3
           /32 host LOCAL
        |-- 192.0.2.7
           /32 host LOCAL
"""
IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
fd000000000000000000000000000002 02 40 00 80     eth0
fd0000000000000000000000000000aa 02 40 00 01     eth0
fd0000000000000000000000000000bb 02 40 00 40     eth0
fe80000000000000505400fffe123456 02 40 20 80     eth0
"""


def test_own_ipv4_addresses_are_those_that_the_kernel_calls_local() -> None:
    assert ipv4_addresses(FIB_TRIE) == ["10.1.2.3", "192.0.2.7"]


def test_own_ipv6_addresses_are_those_that_stay_and_leave_the_link() -> None:
    assert ipv6_addresses(IF_INET6) == ["fd00::2"]


def test_no_protocol_no_address() -> None:
    assert ipv4_addresses("") == ipv6_addresses("") == []


def test_this_host_has_a_name_and_is_local() -> None:
    found = of_this_host()
    assert {"localhost", "127.0.0.1", "::1"} <= set(found)
    assert len(found) == len(set(found))
