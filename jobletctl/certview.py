"""A certificate in words: rows of a list, lines of a description, the record for JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from joblet.pki import Certificate, Kind
from jobletctl.certstore import CA, SERVER, Entry, State

LIST_TITLES = ("NAME", "ROLE", "STATE", "EXPIRES", "DAYS", "SERIAL", "HOSTS")
NOTHING = "-"
_SERIAL_SHORT = 12


def list_rows(entries: Sequence[Entry], now: datetime) -> list[tuple[str, ...]]:
    """One row per certificate, below LIST_TITLES."""
    return [
        (
            entry.name,
            entry.certificate.role or NOTHING,
            # A replaced one is as good as the new one until it expires or is revoked.
            entry.state if entry.current else f"{entry.state} (old)",
            f"{entry.certificate.not_after:%Y-%m-%d}",
            str(max(0, entry.certificate.days_left(now))),
            entry.certificate.serial_text[:_SERIAL_SHORT],
            " ".join(entry.certificate.hosts) or NOTHING,
        )
        for entry in entries
    ]


def description(entry: Entry) -> Iterator[tuple[str, str]]:
    """Label and text of each line that `show` prints."""
    certificate = entry.certificate
    yield "Name", entry.name
    yield "Kind", certificate.kind
    if certificate.kind is Kind.CLIENT:
        yield "Role", certificate.role or "none"
    yield "State", entry.state
    if entry.revoked is not None:
        yield "Revoked", stamp(entry.revoked)
    if not entry.current:
        yield "Replaced", "there is a newer certificate of this name"
    yield "Subject", certificate.subject
    yield "Serial", certificate.serial_text
    yield "Not before", stamp(certificate.not_before)
    yield "Not after", stamp(certificate.not_after)
    if certificate.hosts:
        yield "Hosts", " ".join(certificate.hosts)
    yield "SHA-256", certificate.fingerprint


def record(entry: Entry, now: datetime) -> dict[str, object]:
    """All that is known, for JSON."""
    return {
        "name": entry.name,
        **facts(entry.certificate, now),
        "state": entry.state,
        "current": entry.current,
        "revoked": None if entry.revoked is None else stamp(entry.revoked),
    }


def facts(certificate: Certificate, now: datetime) -> dict[str, object]:
    """What the certificate itself says, for JSON."""
    return {
        "kind": certificate.kind,
        "role": certificate.role,
        "subject": certificate.subject,
        "serial": certificate.serial_text,
        "not_before": stamp(certificate.not_before),
        "not_after": stamp(certificate.not_after),
        "days_left": certificate.days_left(now),
        "hosts": list(certificate.hosts),
        "sha256": certificate.fingerprint,
    }


def warnings(entries: Iterable[Entry], now: datetime) -> Iterator[str]:
    """A sentence for each certificate in use that needs a hand soon."""
    for entry in entries:
        if not entry.current or entry.state not in (State.EXPIRING, State.EXPIRED):
            continue
        days = entry.certificate.days_left(now)
        when = f"expires in {days} days" if entry.state is State.EXPIRING else "has expired"
        yield f"{entry.name} {when}: {_remedy(entry.name)}"


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _remedy(name: str) -> str:
    if name.startswith(f"{SERVER}:"):
        return "'jobletctl certs issue server --output DIR --host HOST' makes a new one"
    also = ", then export it to all clients" if name == CA else ""
    return f"'jobletctl certs renew {name}'{also}"
