"""events, nodes, version, help, config-help."""

from __future__ import annotations

import re
from dataclasses import replace

import click
import pytest

from joblet.client.looks import (
    FINISHED,
    NEW,
    STATE,
    JobEvent,
    UsageReport,
)
from joblet.errors import RemoteError, Unreachable
from joblet.model.job import JobState, Reason
from jobletctl import client_version, jobview, suggest
from jobletctl.cli import root
from jobletctl.commands.jobgroup import job as job_group
from tests.fakes.client import HOST, NOW_USEC, FakeClient, job_id
from tests.unit.jobletctl.conftest import Ctl

LIFE = [
    JobEvent(event=NEW, id=job_id(1), time_usec=NOW_USEC),
    JobEvent(event=STATE, id=job_id(1), time_usec=NOW_USEC, state=JobState.RUNNING),
    JobEvent(
        event=FINISHED,
        id=job_id(1),
        time_usec=NOW_USEC,
        state=JobState.FAILED,
        reason=Reason.OOM,
        exit_code=137,
    ),
]


# events


def test_events_are_the_life_of_a_job(
    ctl: Ctl, host: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobview, "moment", lambda _usec: "noon")
    host.happenings = LIFE
    host.interrupted_by = "events end"
    done = ctl("events")
    # Ctrl-C is how it ends
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"noon  {job_id(1)}  accepted",
        f"noon  {job_id(1)}  RUNNING",
        f"noon  {job_id(1)}  FAILED 137 (oom)",
    ]


def test_events_as_json_are_lines_with_the_same(ctl: Ctl, host: FakeClient) -> None:
    host.happenings = LIFE
    done = ctl("events", "--json", "--count=3")
    assert done.status == 0
    common = {"id": job_id(1), "time_usec": NOW_USEC}
    assert done.json_lines == [
        {"event": "new", **common},
        {"event": "state", **common, "state": "RUNNING"},
        {"event": "finished", **common, "state": "FAILED", "reason": "oom", "exit_code": 137},
    ]


def test_events_end_with_the_bus(ctl: Ctl, host: FakeClient) -> None:
    host.failures["events end"] = Unreachable("the system bus is gone: closed")
    done = ctl("events")
    assert (done.status, done.err) == (1, "jobletctl: the system bus is gone: closed\n")


# nodes


def test_nodes_is_this_host(ctl: Ctl, host: FakeClient) -> None:
    host.reports = [UsageReport(1, HOST, ())]
    titles, row = ctl("nodes").out.splitlines()
    assert titles.split() == [
        "NAME",
        "ADDRESS",
        "VERSION",
        "CPUS",
        "MEMORY",
        "FREE",
        "LOAD",
        "RUNNING",
        "WAITING",
    ]
    assert re.split(r"  +", row) == [
        "box",
        "local",
        "0.0.1",
        "4",
        "8 GB",
        "6 GB",
        "0.50",
        "2 of 1000",
        "1",
    ]


def test_nodes_as_json(ctl: Ctl, host: FakeClient) -> None:
    host.reports = [UsageReport(1, replace(HOST, hostname="other"), ())]
    [node] = ctl("nodes", "--json").json
    # the keys of rnx, and what we know beside
    assert [node[key] for key in ("name", "address", "status", "default")] == [
        "other",
        "local",
        "active",
        True,
    ]
    assert (node["running_jobs"], node["memory_bytes"]) == (2, 8 << 30)


# version


def test_version_is_that_of_both(
    ctl: Ctl, host: FakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_version, "installed", lambda: "0.0.1")
    done = ctl("version")
    assert (done.out, done.err) == ("jobletctl 0.0.1\njobletd 0.0.1\n", "")
    assert ctl("version", "--json").json == {
        "jobletctl": {"version": "0.0.1"},
        "jobletd": {"version": "0.0.1"},
    }
    calls = len(host.calls)
    for option in ("-v", "--version"):
        done = ctl(option)
        assert (done.status, done.out) == (0, "jobletctl 0.0.1\n")
    assert len(host.calls) == calls


def test_versions_that_differ_are_told(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_version, "installed", lambda: "9.9")
    done = ctl("version")
    assert done.status == 0
    assert "the versions differ" in done.err


def test_the_version_of_the_client_is_there_without_a_daemon(ctl: Ctl, host: FakeClient) -> None:
    host.failures["version"] = Unreachable("jobletd is not running")
    done = ctl("version")
    assert done.status == 1
    assert done.out == f"jobletctl {client_version.installed()}\n"
    assert done.err == "jobletctl: jobletd is not running\n"


# help


@pytest.mark.parametrize("words", [[], ["job"], ["job", "run"], ["certs", "issue", "client"]])
def test_help_shows_what_the_option_shows(ctl: Ctl, host: FakeClient, words: list[str]) -> None:
    done = ctl("help", *words)
    assert (done.status, done.err) == (0, "")
    assert done.out == ctl(*words, "--help").out
    assert host.connections == 0


def test_help_names_every_command(ctl: Ctl) -> None:
    told = ctl("help").out
    ctx = click.Context(root)
    for name in root.list_commands(ctx):
        command = root.get_command(ctx, name)
        assert command is not None
        assert f"\n  {name}" in told


def test_config_help_needs_nothing(ctl: Ctl, host: FakeClient) -> None:
    told = ctl("config-help").out
    assert "/etc/joblet/joblet.toml" in told
    assert ctl("config-help", "--json").json == {"text": told}
    assert host.connections == 0


def test_every_command_that_config_help_names_is_there(ctl: Ctl) -> None:
    lines = [line.split("  ")[1] for line in ctl("config-help").out.splitlines() if "  " in line]
    named = [line.split()[1:] for line in lines if line.startswith("jobletctl ")]
    assert len(named) == 5
    for words in named:
        assert ctl(*words, "--help").status == 0


def test_verbs_that_are_suggested_are_there() -> None:
    verbs = job_group.list_commands(click.Context(job_group))
    assert set(suggest.JOB_VERBS) <= set(verbs)
    known = {*verbs, *root.list_commands(click.Context(root))}
    assert set(suggest.SYNONYMS.values()) <= known
    assert not set(suggest.SYNONYMS) & known


# errors


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("UnknownMethod", "'systemctl restart jobletd', which running jobs do not notice"),
        ("AccessDenied", "the bus policy forbids it"),
        ("NoReply", "jobletd may have done it nevertheless"),
    ],
)
@pytest.mark.parametrize(
    ("line", "verb"),
    [
        (["job", "run", "--dry-run", "true"], "explain"),
        (["top", "--count=1"], "usage"),
        (["nodes"], "usage"),
        (["job", "list"], "list"),
        (["job", "list", "--watch"], "list"),
        (["job", "list", "--watch"], "events"),
        (["events"], "events"),
    ],
)
def test_what_a_daemon_of_another_version_says_is_one_sentence(
    ctl: Ctl, host: FakeClient, line: list[str], verb: str, name: str, said: str
) -> None:
    host.failures[verb] = RemoteError(
        f"org.freedesktop.DBus.Error.{name}", "/org/joblet1 has no method"
    )
    done = ctl(*line)
    assert done.status == 1
    assert said in done.err
    assert done.err.count("\n") == 1
