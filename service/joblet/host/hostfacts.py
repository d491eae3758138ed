"""What this host is: its id, its release, and the cloud it is part of.

Of the cloud only what lies on the host is asked: the firmware's tables (sysfs dmi) and what
cloud-init has left. The daemon has no network to ask a metadata service with, and wants none.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import platform
import uuid

from joblet.model.host import CloudInfo

# Made once with `systemd-id128 new`: what our node id is made with (machine-id(5)).
_OUR_ID = uuid.UUID("6f1d3b0b5c7e4f35a1f5d1a8f0b6c2e4")
DMI = "/sys/class/dmi/id"
CLOUD_INIT = "/run/cloud-init/instance-data.json"

# Words of the firmware, in any of the fields asked for: the provider, and what runs its machines.
_PROVIDERS = (
    ("amazon ec2", "AWS", "amazon"),
    ("google", "GCP", "kvm"),
    ("digitalocean", "DigitalOcean", "kvm"),
    ("openstack", "OpenStack", "kvm"),
    ("hetzner", "Hetzner", "kvm"),
    ("alibaba cloud", "Alibaba", "kvm"),
    ("oraclecloud", "Oracle", "kvm"),
    # Azure's own mark; any Hyper-V has the name of its maker
    ("7783-7084-3265-9085-8269-3286-77", "Azure", "microsoft"),
)
_HYPERVISORS = (
    ("vmware", "vmware"),
    ("virtualbox", "oracle"),
    ("innotek", "oracle"),
    ("microsoft corporation virtual machine", "microsoft"),
    ("xen", "xen"),
    ("bochs", "bochs"),
    ("parallels", "parallels"),
    ("kvm", "kvm"),
    ("qemu", "qemu"),
)
_FIELDS = ("sys_vendor", "product_name", "bios_vendor", "board_vendor", "chassis_asset_tag")


def node_id(machine_id: str = "/etc/machine-id") -> str:
    """An id of this host that stays, and does not give its machine id away; "" without one.

    As sd_id128_get_machine_app_specific(3) makes it.
    """
    text = _text(machine_id)
    try:
        key = bytes.fromhex(text)
    except ValueError:
        return ""
    if len(key) != 16:
        return ""
    return str(uuid.UUID(bytes=hmac.digest(key, _OUR_ID.bytes, hashlib.sha256)[:16], version=4))


def os_release() -> dict[str, str]:
    """os-release(5); empty where there is none."""
    with contextlib.suppress(OSError):
        return dict(platform.freedesktop_os_release())
    return {}


def cloud(dmi: str = DMI, cloud_init: str = CLOUD_INIT) -> CloudInfo | None:
    """The cloud, or at least the hypervisor; None on a machine of metal."""
    words = " ".join(_text(f"{dmi}/{name}") for name in _FIELDS).lower()
    provider = hypervisor = ""
    for mark, name, kind in _PROVIDERS:
        if mark in words:
            provider, hypervisor = name, kind
            break
    if not hypervisor:
        hypervisor = next((kind for mark, kind in _HYPERVISORS if mark in words), "")
    told = _told(cloud_init)
    if not provider:
        # A hypervisor of one's own is a provider too, by its name.
        named = told.get("cloud_name", "")
        provider = hypervisor if named in ("", "none", "unknown") else named
    if not provider:
        return None
    tag, product = _text(f"{dmi}/board_asset_tag"), _text(f"{dmi}/product_name")
    on_aws = provider == "AWS"
    return CloudInfo(
        provider=provider,
        region=told.get("region", ""),
        zone=told.get("availability_zone", ""),
        instance_id=told.get("instance_id", "") or (tag if on_aws else ""),
        instance_type=told.get("instance_type", "") or (product if on_aws else ""),
        hypervisor=hypervisor,
    )


def _told(path: str) -> dict[str, str]:
    """What cloud-init knows that is a text."""
    try:
        told = json.loads(_text(path) or "{}")
        standard = told.get("v1", {})
        kind = told.get("ds", {}).get("meta_data", {}).get("instance-type")
        found = {name: value for name, value in standard.items() if isinstance(value, str)}
    except (ValueError, AttributeError):
        # not what cloud-init writes
        return {}
    if isinstance(kind, str):
        found["instance_type"] = kind
    return found


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        # no firmware tables, no cloud-init
        return ""
