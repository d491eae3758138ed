"""What this host is: its id, its release, its cloud."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from joblet.host import hostfacts
from joblet.model.host import CloudInfo

MACHINE = "0123456789abcdef0123456789abcdef"


def dmi(folder: Path, **words: str) -> str:
    folder.mkdir()
    for name, text in words.items():
        (folder / name).write_text(text + "\n")
    return str(folder)


def test_the_node_id_stays_and_does_not_give_the_machine_id_away(tmp_path: Path) -> None:
    file = tmp_path / "machine-id"
    file.write_text(f"{MACHINE}\n")
    found = hostfacts.node_id(str(file))
    assert found == hostfacts.node_id(str(file))
    assert uuid.UUID(found).version == 4
    assert MACHINE not in found.replace("-", "")


@pytest.mark.parametrize("text", ["", "uninitialized", "0123"])
def test_a_machine_without_an_id_has_no_node_id(tmp_path: Path, text: str) -> None:
    file = tmp_path / "machine-id"
    file.write_text(text)
    assert hostfacts.node_id(str(file)) == ""
    assert hostfacts.node_id(str(tmp_path / "none")) == ""


def test_metal_is_no_cloud(tmp_path: Path) -> None:
    tables = dmi(tmp_path / "dmi", sys_vendor="LENOVO", product_name="ThinkPad")
    assert hostfacts.cloud(tables, "/nonexistent") is None
    assert hostfacts.cloud(str(tmp_path / "none"), "/nonexistent") is None


def test_aws_is_known_by_its_firmware(tmp_path: Path) -> None:
    tables = dmi(
        tmp_path / "dmi",
        sys_vendor="Amazon EC2",
        product_name="m5.large",
        board_asset_tag="i-0abc",
    )
    assert hostfacts.cloud(tables, "/nonexistent") == CloudInfo(
        provider="AWS", instance_id="i-0abc", instance_type="m5.large", hypervisor="amazon"
    )


def test_cloud_init_knows_the_place(tmp_path: Path) -> None:
    told = {
        "v1": {
            "cloud_name": "gce",
            "region": "europe-west1",
            "availability_zone": "europe-west1-b",
            "instance_id": "42",
            "subplatform": None,
        },
        "ds": {"meta_data": {"instance-type": "e2-small"}},
    }
    file = tmp_path / "instance-data.json"
    file.write_text(json.dumps(told))
    tables = dmi(tmp_path / "dmi", sys_vendor="Google", product_name="Google Compute Engine")
    assert hostfacts.cloud(tables, str(file)) == CloudInfo(
        provider="GCP",
        region="europe-west1",
        zone="europe-west1-b",
        instance_id="42",
        instance_type="e2-small",
        hypervisor="kvm",
    )


def test_a_hypervisor_of_ones_own_is_told_by_its_name(tmp_path: Path) -> None:
    tables = dmi(tmp_path / "dmi", sys_vendor="QEMU", product_name="Standard PC")
    assert hostfacts.cloud(tables, "/nonexistent") == CloudInfo(provider="qemu", hypervisor="qemu")


@pytest.mark.parametrize("text", ["", "[", "[]", '{"v1": 3}', '{"ds": []}'])
def test_what_cloud_init_did_not_write_is_not_read(tmp_path: Path, text: str) -> None:
    file = tmp_path / "instance-data.json"
    file.write_text(text)
    assert hostfacts.cloud(str(tmp_path / "none"), str(file)) is None


def test_the_release_of_this_host_has_a_name() -> None:
    assert hostfacts.os_release()["ID"]
