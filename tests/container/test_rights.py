"""What the bus and polkit of a real machine make of our policy files, before jobletd decides."""

from __future__ import annotations

import pytest

from tests.container.machine import Machine

YES, NO = 0, 1  # pkcheck(1)


@pytest.mark.parametrize(
    ("user", "action", "answer"),
    [
        ("member", "run-job", YES),
        ("member", "manage-own", YES),
        ("member", "manage-all", NO),
        ("member", "admin", NO),
        ("outsider", "run-job", NO),
        ("outsider", "manage-own", YES),
        ("outsider", "manage-all", NO),
        ("outsider", "admin", NO),
        (65534, "run-job", NO),
        (65534, "manage-own", YES),
        (65534, "manage-all", NO),
        (65534, "admin", NO),
    ],
)
def test_polkit_answers_a_caller_without_a_session(
    machine: Machine, user: str | int, action: str, answer: int
) -> None:
    check = f'exec pkcheck --action-id org.joblet1.{action} --process "$$"'
    assert machine.run(["sh", "-c", check], user=user, check=False).returncode == answer


@pytest.mark.parametrize("user", ["member", "outsider", 65534])
def test_bus_stops_what_the_policy_does_not_name(machine: Machine, user: str | int) -> None:
    call = ["busctl", "call", "org.joblet1", "/org/joblet1", "org.joblet1.Manager", "Reload"]
    refused = machine.run(call, user=user, check=False)
    assert refused.returncode != 0
    assert "Access denied" in refused.stderr


@pytest.mark.parametrize("user", ["member", "outsider", 65534])
def test_nobody_else_becomes_the_service(machine: Machine, user: str | int) -> None:
    call = ["busctl", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "RequestName"]
    refused = machine.run([*call, "su", "org.joblet1", "0"], user=user, check=False)
    assert refused.returncode != 0
    assert "Access denied" in refused.stderr
