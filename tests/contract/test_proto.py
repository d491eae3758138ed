"""The gRPC contract: its generated code is up to date, and no number of any client is missing."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from joblet.rpc.pb import joblet_pb2 as pb

CHECKOUT = Path(__file__).resolve().parents[2]
GENERATED = CHECKOUT / "service/joblet/rpc/pb"
FIELDS = CHECKOUT / "tests/data/wire-fields.tsv"

# Names that changed without a change on the wire, oldest to newest as joblet.proto spells them.
RENAMED = {
    "JobMetricsRequest": "GetJobMetricsRequest",
    "RuntimesRes": "ListRuntimesResponse",
    "RuntimeInfoReq": "GetRuntimeInfoRequest",
    "RuntimeInfoRes": "GetRuntimeInfoResponse",
    "RuntimeTestReq": "TestRuntimeRequest",
    "RuntimeTestRes": "TestRuntimeResponse",
    "RuntimeRemoveReq": "RemoveRuntimeRequest",
    "RuntimeRemoveRes": "RemoveRuntimeResponse",
    "StreamMetricsReq": "StreamMetricsRequest",
    "SystemMetricsRes": "SystemMetricsResponse",
    "SystemStatusRes": "SystemStatusResponse",
    "GetJobVisibilityRequest": "GetJobTelematicsRequest",
    "StreamJobVisibilityRequest": "StreamJobTelematicsRequest",
    "VisibilityEvent": "TelematicsEvent",
}
OLD_WORKFLOW_INFO = "1.0.0-1.0.7"


def current(message: str) -> str:
    """The name in joblet.proto of a message of any version."""
    if message in RENAMED:
        return RENAMED[message]
    if message.startswith("Visibility") and message.endswith("Data"):
        return "Telematics" + message.removeprefix("Visibility")
    for old, new in (("Req", "Request"), ("Res", "Response")):
        if message.endswith(old):
            return message.removesuffix(old) + new
    return message


def table() -> Iterator[dict[str, str]]:
    """Every field of every version."""
    with FIELDS.open() as file:
        yield from csv.DictReader(file, delimiter="\t")


def shape(field: Any) -> tuple[str, str]:
    """Type and label of a descriptor's field, spelled as in the table."""
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        key, value = kind.fields_by_name["key"], kind.fields_by_name["value"]
        return f"map<{shape(key)[0]},{shape(value)[0]}>", "map"
    oneof = field.containing_oneof
    label = "repeated" if field.label == field.LABEL_REPEATED else "singular"
    name = kind.name if kind is not None else _SCALARS[field.type]
    return name, f"oneof {oneof.name}" if oneof is not None else label


_SCALARS = {
    number: name
    for name in ("string", "bytes", "bool", "double", "int32", "int64", "uint32", "uint64")
    for number in [getattr(pb.Job.DESCRIPTOR.fields[0], f"TYPE_{name.upper()}")]
}


def test_generated_code_is_that_of_the_proto_files(tmp_path: Path) -> None:
    if shutil.which("protoc") is None:
        pytest.skip("protoc is not installed")
    subprocess.run([CHECKOUT / "packaging/proto", tmp_path], check=True)
    made = tmp_path / "joblet/rpc/pb"
    names = sorted(file.name for file in made.iterdir())
    assert names == sorted(file.name for file in GENERATED.glob("*_pb2.py*"))
    for name in names:
        assert (made / name).read_text() == (GENERATED / name).read_text(), (
            f"run make proto: {name}"
        )


def test_every_field_of_every_version_is_there_with_its_type() -> None:
    wrong = []
    seen = 0
    for row in table():
        message, number = current(row["message"]), int(row["number"])
        if message == "WorkflowInfo" and row["versions"] == OLD_WORKFLOW_INFO:
            message = "WorkflowInfoV1"
        descriptor = pb.DESCRIPTOR.message_types_by_name.get(message)
        field = descriptor.fields_by_number.get(number) if descriptor is not None else None
        wanted = (current(row["type"]), row["label"])
        if field is None or shape(field) != wanted:
            wrong.append(f"{row['message']}.{number} {row['name']}: {wanted}")
        seen += 1
    assert wrong == []
    assert seen > 800


def test_no_field_is_there_that_no_version_has() -> None:
    known = {(current(row["message"]), int(row["number"])) for row in table()}
    known |= {("WorkflowInfoV1", number) for number in range(1, 12)}
    known |= {("GetWorkflowStatusResponseV1", 1), ("GetWorkflowStatusResponseV1", 2)}
    known |= {("ListWorkflowsResponseV1", 1)}
    ours = {
        (message.name, field.number)
        for message in pb.DESCRIPTOR.message_types_by_name.values()
        for field in message.fields
    }
    assert ours - known == set()


def test_nothing_of_the_two_metrics_messages_agrees() -> None:
    """Why their bytes may stand side by side in one answer: each reader skips the other half."""
    nested = pb.JobMetricsSample.DESCRIPTOR.fields_by_number
    for number, field in pb.JobMetricsEvent.DESCRIPTOR.fields_by_number.items():
        assert _wire_type(field) != _wire_type(nested[number]), number


def _wire_type(field: Any) -> int:
    if field.type in (field.TYPE_MESSAGE, field.TYPE_STRING, field.TYPE_BYTES):
        return 2
    return 1 if field.type == field.TYPE_DOUBLE else 0
