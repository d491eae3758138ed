"""Who is let in: certificates as jobletctl makes them, and everybody who has no good one.

Every refusal has the right code, is one line in the journal, and leaves no descriptor behind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.bridge.authority import Authority, Pair
from tests.container.jobs import ctl
from tests.container.machine import Machine
from tests.container.served import BRIDGE, Served, served

NEW = "new certificates are in use"
# What a visit sees of both protocols: the status of a call; the status of a request or what the
# handshake said.
KNOCK = """
import aiohttp, ssl
from contextlib import suppress
limits = {"maximum_version": ssl.TLSVersion[words[0]]} if words else {}
if not limits:
    result["grpc"] = await visit.code("ListJobs")
for name, port in [("grpc tls", visit.port)] * bool(limits) + [("https", visit.https_port)]:
    context = visit.tls(**limits)
    context.set_alpn_protocols(["h2" if name == "grpc tls" else "http/1.1"])
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="joblet")
        writer.write(b"GET /v1/jobs HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n")
        line = await reader.readline()
        body = await reader.read()
        writer.transport.abort()
        result[name] = line.decode().split()[1] if line else "closed"
        if b"error" in body:
            result["error"] = json.loads(body[body.index(b"{"):])["error"]
    except (ssl.SSLError, ConnectionError) as err:
        result[name] = "closed"
"""


@pytest.fixture(scope="module")
def bridge(machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(machine, tmp_path_factory.mktemp("certs")) as made:
        yield made


def said(bridge: Served, cursor: str) -> list[str]:
    """What the bridge has put into the journal since."""
    entries = bridge.machine.journal(after=cursor, unit=BRIDGE)
    return [str(entry["MESSAGE"]) for entry in entries]


def knock(bridge: Served, pair: Pair | None, *words: str, lines: int = 2) -> tuple[Any, list[str]]:
    """What somebody gets, and so many lines of the journal; afterwards nothing is left of it.

    gRPC's own client may knock a second time before it gives up: its lines count as one. What the
    bridge says of certificates that a test has just put there is not about the visitor.
    """

    def heard() -> list[str]:
        found = [line for line in said(bridge, cursor) if NEW not in line]
        again = [line for line in found if "ssl_transport_security" in line][1:]
        return [line for line in found if line not in again]

    before = bridge.descriptors()
    cursor = bridge.machine.journal_cursor()
    seen = bridge.visit(KNOCK, pair, *words)
    bridge.machine.wait_for(lambda: len(heard()) >= lines, "the journal")
    bridge.wait_closed(before)
    found = heard()
    assert len(found) == lines, found
    return seen, found


HANDSHAKES = pytest.mark.journal_allows(
    r"handshake with 127\.0\.0\.1:\d+ failed", r"Handshake failed with error"
)


@HANDSHAKES
@pytest.mark.parametrize("who", ["nobody", "a stranger", "too late"])
def test_who_has_no_good_certificate_ends_in_the_handshake(bridge: Served, who: str) -> None:
    pairs = {
        "nobody": None,
        "a stranger": Authority().issue("eve", "admin"),
        "too late": bridge.authority.issue("bob", "admin", expired=True),
    }
    seen, lines = knock(bridge, pairs[who])
    assert seen == {"grpc": "UNAVAILABLE", "https": "closed"}
    [https] = [line for line in lines if "joblet.bridge.https.listener: " in line]
    words = {
        "nobody": "peer did not return a certificate",
        "a stranger": "certificate verify failed",
        "too late": "certificate has expired",
    }
    assert words[who] in https


@HANDSHAKES
def test_refusals_do_not_pile_up(bridge: Served) -> None:
    before = bridge.descriptors()
    for _ in range(5):
        knock(bridge, None)
    bridge.wait_closed(before)


@HANDSHAKES
def test_tls_1_2_ends_in_the_handshake(bridge: Served) -> None:
    pair = bridge.authority.issue("ada", "admin")
    seen, lines = knock(bridge, pair, "TLSv1_2")
    assert seen == {"grpc tls": "closed", "https": "closed"}
    assert any("unsupported protocol" in line for line in lines)
    assert any("no shared cipher" in line.lower().replace("_", " ") for line in lines)


@pytest.mark.journal_allows(r"refused: role unknown is not allowed to perform operation list_jobs")
def test_a_certificate_without_a_role_is_let_in_and_may_nothing(bridge: Served) -> None:
    seen, lines = knock(bridge, bridge.authority.issue("eve", "Server"))
    sentence = "role unknown is not allowed to perform operation list_jobs"
    assert seen == {
        "grpc": "PERMISSION_DENIED",
        "https": "403",
        "error": {"code": "PERMISSION_DENIED", "message": sentence},
    }
    assert all("CN=eve,OU=Server,O=Joblet at " in line and sentence in line for line in lines)


@pytest.mark.journal_allows(r"refused: .*the certificate of CN=bob,.* is revoked")
def test_a_revoked_certificate_is_refused_without_a_restart(bridge: Served) -> None:
    bob = bridge.authority.issue("bob", "admin")
    seen, _ = knock(bridge, bob, lines=0)
    assert seen == {"grpc": "OK", "https": "200"}
    bridge.put_certificates(bob)
    bridge.machine.wait_for(lambda: _says_new(bridge), "the bridge to take notice")
    seen, lines = knock(bridge, bob)
    assert (seen["grpc"], seen["https"]) == ("UNAUTHENTICATED", "401")
    assert seen["error"]["code"] == "UNAUTHENTICATED"
    assert all("the certificate of CN=bob,OU=admin,O=Joblet is revoked" in line for line in lines)
    bridge.put_certificates()


def _says_new(bridge: Served) -> bool:
    entries = bridge.machine.journal(unit=BRIDGE)
    return NEW in str(entries[-1]["MESSAGE"])


STREAM = """
answers = aiter(visit.start("GetJobLogs", pb.GetJobLogsRequest(uuid=words[0])))
await anext(answers)
events = visit.events(words[0])
await anext(events)
print("streaming", flush=True)
await asyncio.to_thread(sys.stdin.readline)
result["grpc"] = "".join([chunk.payload.decode() async for chunk in answers])
result["https"] = "".join([data.decode() async for kind, _, data in events if kind == "stdout"])
"""


def test_new_certificates_leave_streams_alone(bridge: Served) -> None:
    ada = bridge.authority.issue("ada", "developer")
    script = "trap 'echo end; exit 0' TERM; echo begun; while :; do sleep 1000 & wait; done"
    program = 'result["id"] = (await visit.call("RunJob", shell(words[0]))).job_uuid'
    job = bridge.visit(program, ada, script)["id"]
    visit = bridge.start(STREAM, ada, job)
    assert visit.stdout is not None
    assert visit.stdout.readline() == "streaming\n"
    bridge.put_certificates()
    bridge.machine.wait_for(lambda: _says_new(bridge), "the bridge to take notice")
    # A new connection, with the new certificate, ends the job whose streams are older.
    bridge.visit(
        """
        await visit.call("StopJob", pb.StopJobRequest(uuid=words[0]))
        """,
        ada,
        job,
    )
    printed, _ = visit.communicate("\n")
    assert json.loads(printed.splitlines()[-1]) == {"grpc": "end\n", "https": "end\n"}
    bridge.visit('await visit.call("DeleteAllJobs")', ada)


@pytest.mark.journal_allows(r"refused: .* is revoked", r"joblet-bridge\.service: Deactivated")
def test_certificates_of_jobletctl_from_the_first_to_the_revoked(
    machine: Machine, bridge: Served
) -> None:
    """What an administrator does on a host, and the file that clients read."""
    machine.run(["systemctl", "stop", BRIDGE])
    machine.run(["sh", "-c", "mv /etc/joblet/pki /etc/joblet/pki.away"])
    try:
        ctl(machine, "certs", "init", "--host", "127.0.0.1")
        machine.run(["systemctl", "start", BRIDGE])
        ctl(machine, "certs", "issue", "client", "alice", "--role", "developer")
        ctl(
            machine,
            "certs",
            "export",
            "alice",
            "--node",
            "default=127.0.0.1:50051",
            "--output",
            "/root/rnx-config.yml",
        )
        assert machine.path("/root/rnx-config.yml").stat().st_mode & 0o777 == 0o600
        node = yaml.safe_load(machine.read_file("/root/rnx-config.yml"))["nodes"]["default"]
        pair = Pair(node["cert"].encode(), node["key"].encode())
        real = Served(machine, _Trusting(node["ca"].encode()), bridge.folder)
        seen = real.visit(KNOCK, pair)
        assert seen == {"grpc": "OK", "https": "200"}
        ctl(machine, "certs", "revoke", "alice")
        machine.wait_for(lambda: _says_new(bridge), "the bridge to take notice")
        seen = real.visit(KNOCK, pair)
        assert (seen["grpc"], seen["https"]) == ("UNAUTHENTICATED", "401")
        subject = re.compile(r"the certificate of CN=alice,OU=developer.* is revoked")
        assert subject.search(seen["error"]["message"])
    finally:
        machine.run(["systemctl", "stop", BRIDGE])
        machine.run(
            [
                "sh",
                "-c",
                "rm -rf /etc/joblet/pki /root/rnx-config.yml; "
                "mv /etc/joblet/pki.away /etc/joblet/pki",
            ]
        )
        machine.run(["systemctl", "start", BRIDGE])


class _Trusting(Authority):
    """An authority of which only the certificate is here."""

    def __init__(self, pem: bytes) -> None:
        self.pem = pem
