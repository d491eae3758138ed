from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from joblet.errors import InvalidSpec
from joblet.model.addresses import check_address, check_host, host_of, joined


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("node1", "node1"),
        ("Node1.Example.ORG", "node1.example.org"),
        ("my_host", "my_host"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("10.0.0.1", "10.0.0.1"),
        ("FD00:0:0:0::1", "fd00::1"),
        ("1.example", "1.example"),
    ],
)
def test_a_host_has_one_spelling(text: str, host: str) -> None:
    assert check_host(text) == host


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "node1.",
        "a..b",
        "-a",
        "a-",
        "a" * 64,
        "a." * 127 + "ab",
        "10.0.0.300",
        "010.0.0.1",
        "1.2.3",
        "fe80::1%eth0",
        "[fd00::1]",
        "node1:50051",
        "dns:///node1",
        "bücher.example",
        "*.example",
        "node1\n",
        "node 1",
        "\udcff",
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpec, match=r"^host: "):
        check_host(text)


@pytest.mark.parametrize(
    ("text", "address", "host"),
    [
        ("node1:50051", "node1:50051", "node1"),
        ("10.0.0.1:1", "10.0.0.1:1", "10.0.0.1"),
        ("[FD00::1]:65535", "[fd00::1]:65535", "fd00::1"),
    ],
)
def test_an_address_is_host_and_port(text: str, address: str, host: str) -> None:
    assert check_address(text) == address
    assert host_of(address) == host


@pytest.mark.parametrize(
    "text", ["", "node1", "node1:", ":50051", "fd00::1:50051", "[]:1", "n:0", "n:65536", "n:-1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpec, match=r"^(address|host): "):
        check_address(text)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_canonical_or_refused(text: str) -> None:
    try:
        host = check_host(text)
    except InvalidSpec:
        return
    assert check_host(host) == host
    assert host.isascii()
    assert host.isprintable()
    assert host_of(check_address(joined(host, 50051))) == host
