"""The XML contract, the handlers and what a caller sees on the bus say the same."""

from __future__ import annotations

import inspect
import itertools
import re
import xml.etree.ElementTree as ET
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from joblet.api.authorize import Authority
from joblet.api.jobs import JOB_INTERFACE, JobHandler
from joblet.api.manager import INTERFACE as MANAGER_INTERFACE
from joblet.api.manager import ManagerHandler
from joblet.api.monitor import INTERFACE as MONITOR_INTERFACE
from joblet.api.monitor import MonitorHandler
from joblet.bus import interfaces
from joblet.bus.export import Exporter
from joblet.bus.library import Library, MessageBus
from joblet.client import local
from joblet.core.hoststatus import HostMonitor
from joblet.core.metrics import JobMetrics
from joblet.host.hostlook import HostEye
from joblet.host.jobmetrics import JobCounters
from joblet.model import host
from joblet.model.job import JobSpec
from joblet.model.metrics import DeviceIo, Sample
from tests.fakes.jobservice import FakeJobManager
from tests.fakes.metrics import FakeMetricsFiles

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "dbus" / "interfaces").glob("*.xml"))
NAMES = [file.stem for file in FILES]
HANDLERS: dict[str, Any] = {
    MANAGER_INTERFACE: ManagerHandler,
    JOB_INTERFACE: JobHandler,
    MONITOR_INTERFACE: MonitorHandler,
}


class Unconnected:
    """Stands for a connection that nothing is sent on."""


def _xml(text: str) -> ET.Element:
    return ET.fromstring(text.partition("?>")[2] or text)  # noqa: S314 - our own files


def _shape(interface: ET.Element) -> list[Any]:
    """Members, arguments and annotations, without comments and white space."""
    return [
        (item.tag, sorted(item.attrib.items()), _shape(item))
        for item in interface
        if isinstance(item.tag, str)
    ]


def test_every_interface_has_a_handler_and_every_handler_an_interface() -> None:
    assert sorted(HANDLERS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_named_after_its_interface_and_documents_every_member(name: str) -> None:
    text = (ROOT / "dbus" / "interfaces" / f"{name}.xml").read_text()
    interface = interfaces.load(name)
    comments = " ".join(re.findall(r"<!--(.*?)-->", text, re.DOTALL))
    for method in interface.methods:
        assert f"{method}:" in comments, f"{name}.{method} has no description"


@pytest.mark.parametrize("name", NAMES)
async def test_the_handler_fits_and_what_is_introspected_is_the_contract(name: str) -> None:
    interface = interfaces.load(name)
    jobs = FakeJobManager()
    exporter = Exporter(Unconnected())  # type: ignore[arg-type]
    authority = Authority(Unconnected())  # type: ignore[arg-type]
    manager = ManagerHandler(jobs, authority, exporter, version="1")
    metrics = JobMetrics(0, host=JobCounters(), files=FakeMetricsFiles(), find=lambda _: None)
    monitor = HostMonitor(HostEye(version="1"))
    handlers = {
        MANAGER_INTERFACE: manager,
        JOB_INTERFACE: JobHandler(jobs.put(owner_uid=1), manager),
        MONITOR_INTERFACE: MonitorHandler(jobs, metrics, monitor, authority, exporter),
    }
    exporter.add("/org/joblet1", handlers[name], interface)
    shown = _xml(exporter._objects._introspect("/org/joblet1"))
    [seen] = [item for item in shown.iter("interface") if item.get("name") == name]
    [written] = _xml((ROOT / "dbus" / "interfaces" / f"{name}.xml").read_text())
    assert _shape(seen) == _shape(written)


@pytest.mark.parametrize("name", NAMES)
def test_a_handler_has_no_public_method_that_the_contract_lacks(name: str) -> None:
    interface = interfaces.load(name)
    known = {member.attribute for member in interface.methods.values()}
    known |= {member.attribute for member in interface.properties.values()}
    public = {item for item in vars(HANDLERS[name]) if not item.startswith("_")}
    assert public - known - {"job"} == set()


@pytest.mark.parametrize("name", NAMES)
def test_the_bus_policy_names_every_method(name: str) -> None:
    policy = _xml((ROOT / "dbus" / "org.joblet1.conf").read_text())
    named = {
        allow.get("send_member")
        for allow in policy.iter("allow")
        if allow.get("send_interface") == name
    }
    assert named == set(interfaces.load(name).methods)


def test_the_client_sends_a_spec_with_the_types_of_the_contract() -> None:
    text = (ROOT / "dbus" / "interfaces" / "org.joblet1.Manager.xml").read_text()
    [keys] = re.findall(r"Keys of spec: (.*?)\n\n", text, re.DOTALL)
    documented = dict(re.findall(r"([a-z_]+) \(([a-z{}]+)[,:)]", keys))
    assert documented == local._SPEC_SIGNATURES | local._ATTACHMENT_SIGNATURES
    fields = set(JobSpec.__dataclass_fields__) - set(local.DAEMONS_OWN)
    assert set(documented) == fields | set(local._ATTACHMENT_SIGNATURES)


def test_the_names_that_we_override_are_still_there_in_the_library() -> None:
    assert "_auth_readline" in vars(Library)
    for name in ("_auth_readline", "_finalize", "send", "wait_for_disconnect", "disconnect"):
        assert name in vars(MessageBus) or name in vars(MessageBus.__mro__[1])
    made = inspect.getsource(MessageBus) + inspect.getsource(MessageBus.__mro__[1])
    for name in ("_sock", "_stream", "_fd", "_unmarshaller", "_method_return_handlers"):
        assert f"self.{name} = " in made


def _documented(method: str) -> set[str]:
    text = (ROOT / "dbus" / "interfaces" / f"{MONITOR_INTERFACE}.xml").read_text()
    [comment] = [part for part in re.findall(r"<!--(.*?)-->", text, re.DOTALL) if method in part]
    # {a,b}_{c,d} stands for all four
    for group in re.findall(r"\S*\{\S*", comment):
        parts = [part.split(",") for part in re.findall(r"\{(.*?)\}", group)]
        comment += " " + " ".join("_".join(words) for words in itertools.product(*parts))
    return set(re.findall(r"[a-z][a-z_0-9]+", comment))


def test_every_key_of_a_sample_is_documented() -> None:
    names = {part.name for part in fields(Sample)} | {part.name for part in fields(DeviceIo)}
    assert names - _documented("GetJobMetrics:") == set()


def test_every_key_of_a_status_is_documented() -> None:
    kinds = [kind for kind in vars(host).values() if is_dataclass(kind) and kind is not host.Look]
    names = {part.name for kind in kinds for part in fields(kind)}
    assert names - _documented("GetStatus:") == set()
