"""Names and addresses of hosts as people write them: one canonical spelling, or a refusal.

What comes out of here is put into certificates and into files of clients.
"""

from __future__ import annotations

import ipaddress
import re

from joblet.errors import InvalidSpec

# Where the bridge listens unless it is told otherwise; clients know the number by heart.
DEFAULT_PORT = 50051

_HOST_MAX = 253
# The underscore is not for host names (RFC 952), and containers and Windows have it all the same.
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PORT = re.compile(r"[0-9]{1,5}")


def is_ip(text: str) -> bool:
    """True for an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def check_host(text: str) -> str:
    """A host name in lower case, or an IP address in its shortest form. Raises InvalidSpec."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return _check_name(text)
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise InvalidSpec("host", f"'{text}' has a zone, which means nothing on another machine")
    return str(address)


def check_address(text: str) -> str:
    """`host:port`, an IPv6 address in brackets. Raises InvalidSpec."""
    host, colon, port = text.rpartition(":")
    # Without the brackets nobody can tell where the address ends and the port begins.
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    if not colon or not bare or not _PORT.fullmatch(port) or (":" in bare and not bracketed):
        raise InvalidSpec(
            "address",
            f"'{text}' is no address: use host:port, for IPv6 [address]:port, "
            f"such as node1.example:{DEFAULT_PORT}",
        )
    if not 1 <= int(port) <= 65535:
        raise InvalidSpec("address", f"the port of '{text}' must be from 1 to 65535")
    return joined(check_host(bare), int(port))


def joined(host: str, port: int) -> str:
    """Host and port as one text."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_of(address: str) -> str:
    """The host in what `check_address` returned."""
    host = address.rpartition(":")[0]
    return host[1:-1] if host.startswith("[") else host


def _check_name(text: str) -> str:
    name = text.lower()
    labels = name.split(".")
    if len(name) > _HOST_MAX or not all(_LABEL.fullmatch(label) for label in labels):
        hint = "use a host name or an IP address, without scheme and port"
        if not text.isascii():
            hint = "write an international name in its ASCII form (xn--...)"
        raise InvalidSpec("host", f"'{text}' is no host: {hint}")
    # Clients would take 10.0.0.300 or 1.2.3 for an address that was mistyped.
    if labels[-1].isdigit():
        raise InvalidSpec("host", f"'{text}' is neither a host name nor an IP address")
    return name
