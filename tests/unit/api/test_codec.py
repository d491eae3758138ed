"""Specs and options from strangers, field by field, and what a status shows to whom."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joblet.api import codec
from joblet.bus import interfaces
from joblet.bus.values import Typed
from joblet.config import Config
from joblet.core import admission
from joblet.errors import InvalidSpec, NotFound
from joblet.model.job import Accounting, Job, JobSpec, JobState, Reason, Remote
from tests.fakes.daemon import FACTS

NOW = 1_700_000_000_000_000
DAY = 86_400_000_000
COMMAND = Typed("s", "true")
LONGEST = "x" * 131_071


def _decode(**keys: Typed) -> JobSpec:
    return codec.decode_run({"command": COMMAND, **keys}, now_usec=NOW).spec


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("command", Typed("s", "x" * 4096), "x" * 4096),
        ("command", Typed("s", "/bin/ü"), "/bin/ü"),
        ("args", Typed("as", []), ()),
        ("args", Typed("as", ["", "-c", "a b", "ü"]), ("", "-c", "a b", "ü")),
        ("args", Typed("as", [LONGEST]), (LONGEST,)),
        ("args", Typed("as", [""] * 65_536), ("",) * 65_536),
        ("name", Typed("s", ""), ""),
        ("name", Typed("s", "nightly-build.1"), "nightly-build.1"),
        ("environment", Typed("a{ss}", {}), {}),
        ("environment", Typed("a{ss}", {"A_1": "", "_": "ü"}), {"A_1": "", "_": "ü"}),
        ("environment", Typed("a{ss}", {"A": "x" * 131_069}), {"A": "x" * 131_069}),
        ("timeout_usec", Typed("t", 0), 0),
        ("timeout_usec", Typed("t", 365 * DAY), 365 * DAY),
        ("stop_grace_usec", Typed("t", 0), 0),
        ("stop_grace_usec", Typed("t", 3_600_000_000), 3_600_000_000),
        ("start_at_usec", Typed("t", 0), 0),
        ("start_at_usec", Typed("t", NOW - DAY), NOW - DAY),
        ("start_at_usec", Typed("t", NOW + 3653 * DAY), NOW + 3653 * DAY),
        ("max_cpu", Typed("u", 0), 0),
        ("max_cpu", Typed("u", 6_553_600), 6_553_600),
        ("max_memory", Typed("t", 0), 0),
        ("max_memory", Typed("t", 1 << 20), 1 << 20),
        ("max_tasks", Typed("t", 1), 1),
        ("cpu_weight", Typed("u", 10_000), 10_000),
        ("cpu_cores", Typed("s", "4,0-2"), (0, 1, 2, 4)),
        ("cpu_cores", Typed("s", ""), ()),
        ("max_io_bps", Typed("t", 4096), 4096),
        ("max_io_bps", Typed("t", 0), 0),
        ("max_iops", Typed("t", (1 << 32) - 1), (1 << 32) - 1),
        ("io_weight", Typed("u", 1), 1),
        ("max_work", Typed("t", 1 << 40), 1 << 40),
        ("max_tmp", Typed("t", 0), 0),
        ("max_shm", Typed("t", 1 << 20), 1 << 20),
        ("user", Typed("u", 0), 0),
        ("user", Typed("u", 65_535), 65_535),
        ("network", Typed("s", "none"), "none"),
        ("init", Typed("b", True), True),
    ],
)
def test_what_the_contract_allows_is_taken(key: str, value: Typed, expected: object) -> None:
    assert getattr(_decode(**{key: value}), key) == expected


@pytest.mark.parametrize("signature", list("ynqiuxt"))
def test_integers_of_any_width_stand_in_for_one_another(signature: str) -> None:
    assert _decode(max_cpu=Typed(signature, 50)).max_cpu == 50
    assert _decode(max_tasks=Typed(signature, 50)).max_tasks == 50


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("command", Typed("s", ""), "command: use 1 to 4096 bytes, not 0"),
        ("command", Typed("s", "x" * 4097), "command: use 1 to 4096 bytes, not 4097"),
        ("command", Typed("s", "ü" * 2049), "command: use 1 to 4096 bytes, not 4098"),
        ("command", Typed("s", "a\0b"), "command: must not contain a NUL character"),
        ("command", Typed("as", ["a"]), r"command: expected a string \(s\), got type 'as'"),
        ("command", Typed("o", "/bin/true"), r"command: expected a string \(s\), got type 'o'"),
        ("command", Typed("ay", b"true"), "command: expected a string"),
        ("args", Typed("s", "a"), r"args: expected an array of strings \(as\), got type 's'"),
        ("args", Typed("av", []), "args: expected an array of strings"),
        ("args", Typed("as", ["a", "b\0"]), r"args\[1\]: must not contain a NUL"),
        ("args", Typed("as", ["a", LONGEST + "x"]), r"args\[1\]: use at most 131071 bytes, not"),
        ("args", Typed("as", ["ü" * 65_536]), r"args\[0\]: use at most 131071 bytes, not 131072"),
        ("args", Typed("as", [""] * 65_537), "args: use at most 65536 arguments, not 65537"),
        ("args", Typed("as", [LONGEST] * 8), "args: with the environment they take 1048"),
        ("name", Typed("s", "-x"), "name: use 1 to 63 letters"),
        ("name", Typed("s", "a/b"), "name: use 1 to 63 letters"),
        ("name", Typed("s", "x" * 64), "name: use 1 to 63 letters"),
        ("name", Typed("s", "a\n"), "name: use 1 to 63 letters"),
        ("environment", Typed("as", ["A=b"]), r"environment: expected a dictionary of strings"),
        ("environment", Typed("a{sv}", {}), r"environment: expected a dictionary of strings"),
        ("environment", Typed("a{ss}", {"": "x"}), "environment: names of variables are letters"),
        ("environment", Typed("a{ss}", {"1A": "x"}), "environment: names of variables"),
        ("environment", Typed("a{ss}", {"A=B": "x"}), "environment: names of variables"),
        ("environment", Typed("a{ss}", {"Ä": "x"}), "environment: names of variables"),
        ("environment", Typed("a{ss}", {"A\n": "x"}), "environment: names of variables"),
        ("environment", Typed("a{ss}", {"JOBLET_X": "x"}), r"environment\[JOBLET_X\]: .* reserved"),
        ("environment", Typed("a{ss}", {"A": "b\0"}), r"environment\[A\]: must not contain a NUL"),
        (
            "environment",
            Typed("a{ss}", {"A": "x" * 131_070}),
            r"environment\[A\]: use at most 131071 bytes, not 131072",
        ),
        ("timeout_usec", Typed("x", -1), "timeout_usec: use 0 or 1 to 31536000000000, not -1"),
        ("timeout_usec", Typed("t", 365 * DAY + 1), "timeout_usec: use 0 or 1 to"),
        ("timeout_usec", Typed("d", 1.0), r"timeout_usec: expected a number \(t\), got type 'd'"),
        ("timeout_usec", Typed("s", "1"), r"timeout_usec: expected a number \(t\), got type 's'"),
        ("timeout_usec", Typed("b", True), r"timeout_usec: expected a number \(t\), got type 'b'"),
        ("stop_grace_usec", Typed("t", 3_600_000_001), "stop_grace_usec: use 0 to 3600000000"),
        ("start_at_usec", Typed("x", -1), "start_at_usec: use 0 to"),
        ("start_at_usec", Typed("t", NOW + 3654 * DAY), "start_at_usec: is more than 10 years"),
        ("start_at_usec", Typed("t", 2**64 - 1), "start_at_usec: is more than 10 years"),
        ("max_cpu", Typed("u", 6_553_601), "max_cpu: use 0 or 1 to 6553600, not 6553601"),
        ("max_cpu", Typed("i", -5), "max_cpu: use 0 or 1 to"),
        ("max_memory", Typed("t", (1 << 20) - 1), "max_memory: use 0 or 1048576 to"),
        ("max_memory", Typed("t", 1 << 63), "max_memory: use 0 or 1048576 to"),
        ("max_tasks", Typed("t", (1 << 22) + 1), "max_tasks: use 0 or 1 to 4194304"),
        ("max_tasks", Typed("x", -1), "max_tasks: use 0 or 1 to 4194304"),
        ("max_tasks", Typed("s", "many"), r"max_tasks: expected a number \(t\), got type 's'"),
        ("max_memory", Typed("s", "1G"), r"max_memory: expected a number \(t\), got type 's'"),
        ("max_memory", Typed("x", -1), "max_memory: use 0 or"),
        ("max_cpu", Typed("d", 1.5), r"max_cpu: expected a number \(u\), got type 'd'"),
        ("cpu_weight", Typed("u", 0), "cpu_weight: use 1 to 10000, not 0"),
        ("cpu_weight", Typed("u", 10_001), "cpu_weight: use 1 to 10000, not 10001"),
        ("io_weight", Typed("u", 0), "io_weight: use 1 to 10000, not 0"),
        ("io_weight", Typed("u", 20_000), "io_weight: use 1 to 10000, not 20000"),
        ("cpu_cores", Typed("au", [0]), r"cpu_cores: expected a string \(s\), got type 'au'"),
        ("cpu_cores", Typed("s", "all"), "cpu_cores: use numbers and ranges of CPUs"),
        ("cpu_cores", Typed("s", "0-3,5-"), "cpu_cores: use numbers and ranges of CPUs"),
        ("cpu_cores", Typed("s", "-1"), "cpu_cores: use numbers and ranges of CPUs"),
        ("cpu_cores", Typed("s", "3-1"), "cpu_cores: the range 3-1 is reversed"),
        ("cpu_cores", Typed("s", "0-99999999"), "cpu_cores: no machine has a CPU 99999999"),
        ("cpu_cores", Typed("s", "0\0"), "cpu_cores: must not contain a NUL"),
        ("max_io_bps", Typed("t", 4095), "max_io_bps: use 0 or 4096 to"),
        ("max_io_bps", Typed("t", 1 << 63), "max_io_bps: use 0 or 4096 to"),
        ("max_iops", Typed("t", 1 << 32), "max_iops: use 0 or 1 to 4294967295"),
        ("max_work", Typed("t", 1), "max_work: use 0 or 1048576 to"),
        ("max_tmp", Typed("t", 1000), "max_tmp: use 0 or 1048576 to"),
        ("max_shm", Typed("t", 1 << 64 - 1), "max_shm: use 0 or 1048576 to"),
        ("user", Typed("u", 65_536), "user: use 0 to 65535, not 65536"),
        ("user", Typed("i", -1), "user: use 0 to 65535, not -1"),
        ("user", Typed("s", "root"), r"user: expected a number \(u\), got type 's'"),
        ("network", Typed("s", "bridge"), "network: only 'none' is available yet"),
        ("init", Typed("u", 1), r"init: expected a boolean \(b\), got type 'u'"),
        ("runtime", Typed("s", "python"), "runtime: runtimes are not available yet"),
        ("gpu", Typed("u", 1), "gpu: GPUs are not available yet"),
        ("volumes", Typed("as", []), "volumes: volumes are not available yet"),
        ("comand", Typed("s", ""), "comand: unknown key; known are args, command, cpu_cores"),
        ("", Typed("s", ""), "'': unknown key"),
        ("a\nb", Typed("s", ""), r"'a\\nb': unknown key"),
        ("x" * 100, Typed("s", ""), "x" * 64 + "…: unknown key"),
    ],
)
def test_what_is_wrong_is_told_with_the_name_of_the_field(
    key: str, value: Typed, complaint: str
) -> None:
    with pytest.raises(InvalidSpec, match=f"^{complaint}"):
        _decode(**{key: value})


@pytest.mark.parametrize(
    ("limits", "complaint"),
    [
        ({}, "limits: name at least one of cpu_cores, cpu_weight, io_weight, max_cpu"),
        ({"max_cpu": Typed("s", "1")}, "max_cpu: expected a number"),
        ({"cpu_weight": Typed("u", 0)}, "cpu_weight: use 1 to 10000"),
        ({"cpu_cores": Typed("s", "x")}, "cpu_cores: use numbers"),
        ({"max_cup": Typed("u", 1)}, "max_cup: unknown key; known are cpu_cores"),
        *(
            ({key: Typed("t", 1)}, f"{key}: cannot be changed while a job lives")
            for key in (
                *("command", "args", "environment", "name", "timeout_usec", "stop_grace_usec"),
                *("start_at_usec", "max_work", "max_tmp", "max_shm", "user", "network", "init"),
            )
        ),
    ],
)
def test_what_an_update_cannot_change_is_named(limits: dict[str, Typed], complaint: str) -> None:
    with pytest.raises(InvalidSpec, match=f"^{complaint}"):
        codec.decode_limits(limits)


def test_an_update_reads_the_limits_that_are_named() -> None:
    limits = {
        "max_cpu": Typed("i", 50),
        "cpu_cores": Typed("s", ""),
        "max_memory": Typed("t", 0),
        "max_iops": Typed("u", 3),
    }
    assert codec.decode_limits(limits) == {
        "max_cpu": 50,
        "cpu_cores": (),
        "max_memory": 0,
        "max_iops": 3,
    }


def test_a_spec_without_a_command_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="^command: is required$"):
        codec.decode_run({}, now_usec=NOW)


def test_what_is_left_out_has_the_default_of_the_model() -> None:
    assert _decode() == JobSpec(command="true")


def test_the_environment_counts_towards_the_size_of_all_arguments() -> None:
    environment = {f"V{number}": "x" * 100_000 for number in range(10)}
    _decode(environment=Typed("a{ss}", environment))
    with pytest.raises(InvalidSpec, match="^args: with the environment"):
        _decode(environment=Typed("a{ss}", environment), args=Typed("as", ["x" * 50_000]))


_VALUES = st.one_of(
    st.text(max_size=10).map(lambda value: Typed("s", value)),
    st.integers(-(2**63), 2**63 - 1).map(lambda value: Typed("x", value)),
    st.lists(st.text(max_size=5), max_size=3).map(lambda value: Typed("as", value)),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3).map(
        lambda value: Typed("a{ss}", value)
    ),
    st.booleans().map(lambda value: Typed("b", value)),
    st.binary(max_size=5).map(lambda value: Typed("ay", value)),
)
_KEYS = st.one_of(st.sampled_from(sorted(JobSpec.__dataclass_fields__)), st.text(max_size=10))


@given(st.dictionaries(_KEYS, _VALUES, max_size=6))
def test_a_spec_is_taken_or_refused_and_nothing_else(given_keys: dict[str, Typed]) -> None:
    refusal: InvalidSpec | None = None
    spec: JobSpec | None = None
    try:
        spec = codec.decode_run(given_keys, now_usec=NOW).spec
    except InvalidSpec as err:
        refusal = err
    if spec is not None:
        assert spec.command == given_keys["command"].value
    if refusal is not None:
        assert refusal.field
        assert str(refusal).isprintable()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"limit": Typed("u", 0)}, "limit: use 1 to 1000, not 0"),
        ({"limit": Typed("u", 1001)}, "limit: use 1 to 1000, not 1001"),
        ({"states": Typed("as", ["ALIVE"])}, "states: states are PENDING, SCHEDULED"),
        ({"states": Typed("s", "RUNNING")}, "states: expected an array of strings"),
        ({"cursor": Typed("s", "abc")}, "cursor: use what `next` of the page before said"),
        ({"cursor": Typed("s", "-5")}, "cursor: use what"),
        ({"cursor": Typed("s", "9" * 30)}, "cursor: use what"),
        ({"mine": Typed("s", "yes")}, "mine: expected a boolean"),
        ({"owner": Typed("u", 1)}, "owner: unknown key; known are cursor, limit, mine, states"),
    ],
)
def test_bad_options_of_a_listing_are_named(options: dict[str, Typed], complaint: str) -> None:
    with pytest.raises(InvalidSpec, match=f"^{complaint}"):
        codec.decode_list(options)


def test_options_of_a_listing_are_read() -> None:
    assert codec.decode_list({}) == codec.ListRequest(frozenset(), False, 100, None)
    options = {
        "states": Typed("as", ["RUNNING", "FAILED"]),
        "mine": Typed("b", True),
        "limit": Typed("i", 5),
        "cursor": Typed("s", "77"),
    }
    states = frozenset({JobState.RUNNING, JobState.FAILED})
    assert codec.decode_list(options) == codec.ListRequest(states, True, 5, 77)


def test_a_method_without_options_refuses_any() -> None:
    codec.decode_none({})
    with pytest.raises(InvalidSpec, match="^force: unknown key; there are no options yet$"):
        codec.decode_none({"force": Typed("b", True)})


JOB = Job(
    id="01234567-89ab-4cde-8f01-23456789abcd",
    seq=5,
    spec=admission.settle(
        JobSpec(command="/bin/x", args=("secret",), environment={"K": "secret"}), Config(), FACTS
    ),
    owner_uid=1000,
    state=JobState.PENDING,
    submitted_usec=NOW,
    due_usec=NOW,
)
ENDED = replace(
    JOB,
    state=JobState.FAILED,
    reason=Reason.OOM,
    exit_code=137,
    started_usec=NOW + 3,
    finished_usec=NOW + 9,
    detail="set-up of /tmp/\udc80\0 failed",
    accounting=Accounting(cpu_usec=4, memory_peak_bytes=5),
    log_bytes=6,
)
_TOTALS = Accounting(cpu_usec=1, memory_peak_bytes=2, io_read_bytes=3, io_write_bytes=4)
PUBLIC = {"id", "path", "name", "state", "owner_uid", "unit", "submitted_usec", "due_usec"}
PRIVATE = {
    *("command", "args", "environment", "secrets", "uploaded", "timeout_usec", "stop_grace_usec"),
    *("max_cpu", "cpu_weight", "cpu_cores", "max_memory", "max_io_bps", "max_iops", "io_weight"),
    *("max_tasks", "max_work", "max_tmp", "max_shm", "user", "network", "init"),
}


def test_outsiders_see_names_and_states_only() -> None:
    assert set(codec.status(JOB, private=False)) == PUBLIC
    assert "secret" not in repr(codec.status(ENDED, private=False))


def test_those_who_may_see_the_spec_too() -> None:
    assert set(codec.status(JOB, private=True)) == PUBLIC | PRIVATE


def test_an_ended_job_has_its_end_and_totals_where_known() -> None:
    status = codec.status(ENDED, private=False)
    assert status["reason"] == ("s", "oom")
    assert status["exit_code"] == ("i", 137)
    assert status["queue_usec"] == ("t", 3)
    assert status["run_usec"] == ("t", 6)
    assert status["cpu_usec"] == ("t", 4)
    assert status["log_bytes"] == ("t", 6)
    assert status["log_dropped_bytes"] == ("t", 0)
    assert "io_read_bytes" not in status


def test_a_detail_is_made_fit_for_a_message() -> None:
    assert codec.status(ENDED, private=False)["detail"].value == r"set-up of /tmp/\udc80 failed"


def test_the_encoded_list_says_the_same() -> None:
    rows: list[dict[str, Any]] = json.loads(codec.encode_list([(ENDED, True), (JOB, False)]))
    for row, job, private in ((rows[0], ENDED, True), (rows[1], JOB, False)):
        plain = {key: typed.value for key, typed in codec.status(job, private=private).items()}
        assert row == plain


def test_every_documented_key_has_the_documented_type() -> None:
    text = interfaces.find("org.joblet1.Manager").read_text()
    status = codec.status(
        replace(
            ENDED,
            accounting=_TOTALS,
            spec=replace(JOB.spec, name="n"),
            remote=Remote("CN=x", "admin"),
        ),
        private=True,
    )
    paragraph = text.partition("GetJob: what is known")[2].partition("-->")[0]
    groups = _documented(re.sub(r"Only for [^:]*:", "", paragraph))
    assert {key: typed.signature for key, typed in status.items()} == groups


def _documented(paragraph: str) -> dict[str, str]:
    """`a, b (t), c (s)` says t of a and b."""
    found: dict[str, str] = {}
    pending: list[str] = []
    for word in re.findall(r"[a-z_]+(?=[ ,\n]*[,(])|\([a-z{}]+\)", paragraph):
        if word.startswith("("):
            found.update(dict.fromkeys(pending, word.strip("()")))
            pending = []
        else:
            pending.append(word)
    return {key: signature for key, signature in found.items() if key != "job"}


def test_a_remote_identity_is_taken_out_of_the_spec() -> None:
    given = {
        "command": COMMAND,
        "remote_subject": Typed("s", "CN=ada,OU=developer"),
        "remote_role": Typed("s", "developer"),
    }
    rest, remote = codec.split_remote(given)
    assert rest == {"command": COMMAND}
    assert remote == Remote("CN=ada,OU=developer", "developer")
    assert codec.split_remote(rest) == (rest, None)


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        ({"remote_subject": Typed("s", "x")}, "remote_role: is required"),
        ({"remote_role": Typed("s", "x")}, "remote_subject: is required"),
        (
            {"remote_subject": Typed("s", "a\nb"), "remote_role": Typed("s", "x")},
            "remote_subject: use 1 to 4096",
        ),
        (
            {"remote_subject": Typed("s", "x"), "remote_role": Typed("s", "")},
            "remote_role: use 1 to 4096",
        ),
        ({"remote_subject": Typed("u", 1), "remote_role": Typed("s", "x")}, "remote_subject: exp"),
    ],
)
def test_half_a_remote_identity_is_refused(keys: dict[str, Typed], complaint: str) -> None:
    with pytest.raises(InvalidSpec, match=f"^{complaint}"):
        codec.split_remote(keys)


def test_statuses_of_several_jobs_hold_an_error_in_place_of_one() -> None:
    gone = NotFound("job", "abcd")
    rows = json.loads(codec.encode_each([(JOB, True), gone, (ENDED, False)]))
    assert [row.get("id") for row in rows] == [JOB.id, None, ENDED.id]
    assert rows[1] == {"error": gone.dbus_name, "message": str(gone)}
    assert "args" in rows[0]
    assert "args" not in rows[2]
