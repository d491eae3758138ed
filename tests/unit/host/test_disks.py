"""Which block device is under a path, from a sysfs and a mount table made for the test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from joblet.host import disks
from joblet.host.disks import Disk


class Sys:
    """A small /sys."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("dev/block", "class/block", "fs/btrfs"):
            (root / folder).mkdir(parents=True)

    def block(
        self, name: str, number: str, parent: str = "", scheduler: str = "[none] bfq"
    ) -> None:
        device = self.root / "devices" / parent / name
        device.mkdir(parents=True)
        (device / "dev").write_text(f"{number}\n")
        if parent:
            (device / "partition").write_text("1\n")
        else:
            (device / "queue").mkdir()
            (device / "queue/scheduler").write_text(f"{scheduler}\n")
        (self.root / "dev/block" / number).symlink_to(device)
        (self.root / "class/block" / name).symlink_to(device)

    def btrfs(self, uuid: str, *names: str) -> None:
        for name in names:
            (self.root / "fs/btrfs" / uuid / "devices" / name).mkdir(parents=True)


@pytest.fixture
def sysfs(tmp_path: Path) -> Sys:
    return Sys(tmp_path / "sys")


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every path is on a file system without a device number of its own."""
    real = os.stat

    def stat(path: str, **keys: object) -> os.stat_result:
        found = list(real(path))
        found[2] = os.makedev(0, 40)
        return os.stat_result(found)

    monkeypatch.setattr(os, "stat", stat)


def mounts(tmp_path: Path, *lines: str) -> str:
    file = tmp_path / "mountinfo"
    file.write_text("".join(f"1 1 0:40 / {line}\n" for line in lines))
    return str(file)


def test_a_device_number_is_taken_as_it_is(tmp_path: Path) -> None:
    number = os.stat(tmp_path).st_dev
    found = disks.under(f"{tmp_path}/not/yet/there")
    if os.major(number):
        assert found == Disk(f"{os.major(number)}:{os.minor(number)}")
        assert found.path == f"/dev/block/{os.major(number)}:{os.minor(number)}"
    else:
        assert found.path is None
        assert found.missing


@pytest.mark.usefixtures("nowhere")
def test_a_file_system_without_a_device_is_named(tmp_path: Path) -> None:
    table = mounts(
        tmp_path,
        "/ / rw - ext4 /dev/vda1 rw",
        f"{tmp_path} rw - tmpfs none rw",
        f"{tmp_path} rw shared:7 - overlay overlay rw",
    )
    found = disks.under(str(tmp_path), mounts=table)
    assert found == Disk(None, f"{tmp_path} is on overlay, which has none")


@pytest.mark.usefixtures("nowhere")
@pytest.mark.parametrize("source", ["/dev/vda2", "/dev/mapper/vg-lv"])
def test_btrfs_on_one_device_has_that_device(tmp_path: Path, sysfs: Sys, source: str) -> None:
    sysfs.block("vda", "254:0")
    sysfs.block("vda2", "254:2", "vda")
    sysfs.block("dm-3", "253:3")
    (sysfs.root / "class/block/dm-3/dm").mkdir()
    (sysfs.root / "class/block/dm-3/dm/name").write_text("vg-lv\n")
    sysfs.btrfs("one", "vda2")
    sysfs.btrfs("two", "dm-3")
    table = mounts(tmp_path, f"{tmp_path} rw - btrfs {source} rw")
    found = disks.under(str(tmp_path), mounts=table, sys=str(sysfs.root))
    assert found == Disk("254:2" if source == "/dev/vda2" else "253:3")


@pytest.mark.usefixtures("nowhere")
def test_btrfs_on_several_devices_has_none(tmp_path: Path, sysfs: Sys) -> None:
    sysfs.block("vda", "254:0")
    sysfs.block("vdb", "254:16")
    sysfs.btrfs("both", "vda", "vdb")
    table = mounts(tmp_path, f"{tmp_path} rw - btrfs /dev/vda rw")
    found = disks.under(str(tmp_path), mounts=table, sys=str(sysfs.root))
    assert found == Disk(None, "a btrfs over 2 devices has no single one")


def test_devices_come_once() -> None:
    assert disks.distinct(Disk("8:1"), Disk(None, "no"), Disk("8:1"), Disk("8:2")) == [
        "/dev/block/8:1",
        "/dev/block/8:2",
    ]


@pytest.mark.parametrize(
    ("scheduler", "costs", "weighs"),
    [
        ("mq-deadline [bfq] none", "", True),
        ("[mq-deadline] bfq none", "", False),
        ("[none]", "254:0 enable=1 ctrl=auto\n", True),
        ("[none]", "254:0 enable=0 ctrl=auto\n", False),
        ("[none]", "8:0 enable=1 ctrl=auto\n", False),
    ],
)
def test_weights_count_with_bfq_or_a_cost_model(
    tmp_path: Path, sysfs: Sys, scheduler: str, costs: str, weighs: bool
) -> None:
    sysfs.block("vda", "254:0", scheduler=scheduler)
    sysfs.block("vda2", "254:2", "vda")
    (tmp_path / "io.cost.qos").write_text(costs)
    for number in ("254:0", "254:2"):
        found = disks.weighs_io(Disk(number), cgroups=str(tmp_path), sys=str(sysfs.root))
        assert found is weighs
    assert not disks.weighs_io(Disk(None, "no"), cgroups=str(tmp_path), sys=str(sysfs.root))


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("rw,prjquota", True),
        ("rw,attr2,pquota,noquota", True),
        ("rw", False),
        # of users and groups, which bound no directory
        ("rw,usrquota,grpquota", False),
        ("rw,x-prjquota-not", False),
    ],
)
def test_project_quotas_are_an_option_of_the_file_system(
    tmp_path: Path, options: str, found: bool
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    table = mounts(
        tmp_path,
        f"{tmp_path} rw shared:1 - ext4 /dev/sda1 rw,prjquota",
        f"{work} rw shared:2 - ext4 /dev/loop0 {options}",
    )
    assert disks.has_project_quota(str(work), mounts=table) is found
    # What the mount says is not what the file system does.
    table = mounts(tmp_path, f"{work} rw,prjquota shared:2 - ext4 /dev/loop0 {options}")
    assert disks.has_project_quota(str(work), mounts=table) is found


def test_a_loop_with_direct_io_is_limited_at_its_disk_alone(
    sysfs: Sys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "image"
    image.touch()
    work = tmp_path / "work"
    work.mkdir()
    real = os.stat
    numbers = {str(work): os.makedev(7, 0), str(image): os.makedev(254, 1)}

    def stat(path: object, *args: object, **keys: object) -> os.stat_result:
        found = real(path, *args, **keys)  # type: ignore[arg-type]
        device = numbers.get(str(path))
        return found if device is None else os.stat_result((*found[:2], device, *found[3:]))

    sysfs.block("loop0", "7:0")
    loop = sysfs.root / "devices/loop0/loop"
    loop.mkdir()
    (loop / "backing_file").write_text(f"{image}\n")
    monkeypatch.setattr(os, "stat", stat)
    for dio, number in (("1", "254:1"), ("0", "7:0")):
        (loop / "dio").write_text(f"{dio}\n")
        assert disks.under(str(work), sys=str(sysfs.root)) == Disk(number)
