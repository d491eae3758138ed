"""dbus/org.joblet1.conf in a dbus-daemon with the rules of a system bus: who gets through.

The table is made from the XML contract, so a method that is new there fails here until somebody has
said who may send it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
NOBODY = 65534
DENIED = "org.freedesktop.DBus.Error.AccessDenied"
# What the stub service answers to everything: the message came through.
ARRIVED = "org.joblet1.Error.Arrived"

OUTSIDE_THE_CONTRACT = {
    ("org.freedesktop.DBus.Introspectable", "Introspect"): True,
    ("org.freedesktop.DBus.Peer", "Ping"): True,
    ("org.freedesktop.DBus.Peer", "GetMachineId"): False,
    ("org.freedesktop.DBus.Properties", "Get"): True,
    ("org.freedesktop.DBus.Properties", "GetAll"): True,
    ("org.freedesktop.DBus.Properties", "Set"): False,
    ("org.freedesktop.DBus.ObjectManager", "GetManagedObjects"): False,
    ("org.joblet1.Manager", "Reload"): False,
    ("org.joblet1.Job", "RunJob"): False,
    ("org.example.Anything", "RunJob"): False,
    # no interface: the daemon would have to guess which one is meant
    ("", "RunJob"): False,
    ("", "Introspect"): False,
}

BUS = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"
           send_interface="org.freedesktop.DBus"/>
  </policy>
  <include>{policy}</include>
</busconfig>
"""

# Both programs import first and become another user then: the checkout may be closed to that user.
PROGRAM = """\
import asyncio, json, os, sys
from dbus_next import BusType, Message, MessageType
from dbus_next.aio import MessageBus

async def connect(address):
    return await MessageBus(bus_address=address, bus_type=BusType.SYSTEM).connect()

async def serve(address, ready):
    bus = await connect(address)
    def answer(message):
        if message.message_type is MessageType.METHOD_CALL:
            return Message.new_error(message, "org.joblet1.Error.Arrived", "")
    bus.add_message_handler(answer)
    await bus.request_name("org.joblet1")
    os.write(ready, b"x")
    await bus.wait_for_disconnect()

async def call(address, methods):
    bus = await connect(address)
    answers = []
    for interface, member in methods:
        reply = await bus.call(Message(
            destination="org.joblet1", path="/org/joblet1",
            interface=interface or None, member=member))
        answers.append(reply.error_name)
    owned = await bus.call(Message(
        destination="org.freedesktop.DBus", path="/org/freedesktop/DBus",
        interface="org.freedesktop.DBus", member="RequestName",
        signature="su", body=["org.joblet1", 0]))
    print(json.dumps([answers, owned.error_name]))

uid = int(sys.argv[2])
if uid:
    os.setgroups([]); os.setgid(uid); os.setuid(uid)
if sys.argv[1] == "serve":
    asyncio.run(serve(sys.argv[3], int(sys.argv[4])))
else:
    asyncio.run(call(sys.argv[3], json.load(sys.stdin)))
"""


def contract() -> list[tuple[str, str]]:
    """Every method of the XML."""
    return [
        (interface.attrib["name"], method.attrib["name"])
        for file in sorted((CHECKOUT / "dbus/interfaces").glob("*.xml"))
        for interface in ET.parse(file).getroot().iter("interface")  # noqa: S314 - our own file
        for method in interface.iter("method")
    ]


@pytest.fixture(scope="module")
def bus() -> Iterator[str]:
    """Address of a bus with our policy, on which a stub owns org.joblet1."""
    if os.geteuid() != 0:
        pytest.skip("calls as several users need root")
    if shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is not installed")
    # Not tmp_path: its parents are closed to other users.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)  # noqa: S103
        config, policy = Path(folder, "bus.conf"), Path(folder, "org.joblet1.conf")
        shutil.copy(CHECKOUT / "dbus/org.joblet1.conf", policy)
        config.write_text(BUS.format(socket=f"{folder}/socket", policy=policy))
        with ExitStack() as running:
            daemon = subprocess.Popen(
                ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"],
                stdout=subprocess.PIPE,
                text=True,
            )
            running.callback(_end, daemon)
            assert daemon.stdout is not None
            address = daemon.stdout.readline().strip()
            ready, write_end = os.pipe()
            running.callback(os.close, ready)
            stub = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, "serve", "0", address, str(write_end)],
                pass_fds=[write_end],
                text=True,
            )
            os.close(write_end)
            running.callback(_end, stub)
            assert os.read(ready, 1) == b"x"
            yield address


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def answers(address: str, uid: int, methods: list[tuple[str, str]]) -> tuple[list[str], str | None]:
    """The error names that a user gets for each method, and for asking for the name."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "call", str(uid), address],
        input=json.dumps(methods),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    called, owned = json.loads(done.stdout)
    return called, owned


def test_root_may_send_everything(bus: str) -> None:
    methods = [*contract(), *OUTSIDE_THE_CONTRACT]
    called, _ = answers(bus, 0, methods)
    assert dict(zip(methods, called, strict=True)) == dict.fromkeys(methods, ARRIVED)


def test_others_may_send_the_contract_and_nothing_else(bus: str) -> None:
    expected = dict.fromkeys(contract(), True) | OUTSIDE_THE_CONTRACT
    called, _ = answers(bus, NOBODY, list(expected))
    got = dict(zip(expected, called, strict=True))
    assert got == {method: ARRIVED if open_ else DENIED for method, open_ in expected.items()}


def test_others_cannot_own_the_name(bus: str) -> None:
    _, owned = answers(bus, NOBODY, [])
    assert owned == DENIED
