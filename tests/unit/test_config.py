"""The configuration: files, drop-ins, values, and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from joblet.config import KEYS, Config, ConfigError, load, read, shown
from joblet.model.ids import RANGE_SIZE


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "joblet.toml"


def drop_in(file: Path, name: str, text: str) -> Path:
    folder = Path(f"{file}.d")
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_no_file_means_the_defaults(file: Path) -> None:
    assert load(str(file)) == Config()


def test_quantities_are_texts_or_plain_numbers(file: Path) -> None:
    file.write_text(
        "[defaults]\nmax_memory = '1.5G'\nmax_tmp = 1048576\ntimeout = '1h30m'\nstop_grace = 3\n"
        "cpu_cores = '0-2,2'\nmax_cpu = '250%'\n[work]\nmin_free = '20%'\n[ids]\nfirst = 65536\n"
    )
    found = load(str(file))
    assert found.defaults.max_memory == 3 << 29
    assert found.defaults.max_tmp == 1 << 20
    assert found.defaults.timeout_usec == 5_400_000_000
    assert found.defaults.stop_grace_usec == 3_000_000
    assert found.defaults.cpu_cores == (0, 1, 2)
    assert found.defaults.max_cpu == 250
    assert found.work.min_free == 20
    assert found.ids.first == 65536


def test_the_later_name_wins_key_by_key(file: Path) -> None:
    file.write_text("[jobs]\nmax_running = 1\nmax_waiting = 1\n[logs]\nmax_bytes = '2M'\n")
    drop_in(file, "20-b.conf", "[jobs]\nmax_running = 3\n")
    late = drop_in(file, "30-a.toml", "[jobs]\nmax_waiting = 4\n")
    drop_in(file, "10-z.toml", "[jobs]\nmax_running = 2\nmax_waiting = 2\n")
    drop_in(file, ".90.conf", "[jobs]\nmax_running = 9\n")
    drop_in(file, "91.conf~", "[jobs]\nmax_running = 9\n")
    found = read(str(file))
    assert (found.config.jobs.max_running, found.config.jobs.max_waiting) == (3, 4)
    assert found.config.logs.max_bytes == 2 << 20
    assert found.origins["jobs.max_waiting"] == str(late)
    assert found.origins["logs.max_bytes"] == str(file)
    assert "jobs.user" not in found.origins


def test_drop_ins_alone_are_enough(file: Path) -> None:
    drop_in(file, "a.toml", "[ceilings]\nmax_memory = '4G'\n")
    assert load(str(file)).ceilings.max_memory == 4 << 30


def test_what_is_shown_reads_back(file: Path) -> None:
    given = shown(Config())
    assert list(given) == list(KEYS)
    lines: list[str] = []
    for name, value in given.items():
        section, word = name.split(".")
        if f"[{section}]" not in lines:
            lines.append(f"[{section}]")
        # JSON is TOML, of all that is shown.
        lines.append(f"{word} = {json.dumps(value)}")
    file.write_text("\n".join(lines))
    assert load(str(file)) == Config()
    assert len(read(str(file)).origins) == len(KEYS)


def test_every_value_of_the_configuration_has_a_key() -> None:
    kept = {
        (section, attribute)
        for section in Config.__dataclass_fields__
        for attribute in type(getattr(Config(), section)).__dataclass_fields__
    }
    assert {(key.section, key.attribute) for key in KEYS.values()} == kept


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[jbos]", "unknown section [jbos]"),
        ("jobs = 3", "jobs must be a section"),
        ("[jobs]\nmax_runing = 3", "unknown key jobs.max_runing"),
        ("[jobs]\nmax_running = true", "jobs.max_running: must be a whole number"),
        ("[jobs]\nmax_running = '3'", "jobs.max_running: must be a whole number"),
        ("[jobs]\nmax_running = 0", "jobs.max_running: use 1 to"),
        ("[bridge]\nown_jobs_only = 1", "bridge.own_jobs_only: must be true or false"),
        ("[limits]\nunenforced = 'ignore'", "limits.unenforced: must be one of refuse, accept"),
        ("[limits]\nunenforced = ['accept']", "limits.unenforced: must be one of"),
        ("[defaults]\nmax_memory = 'lots'", "defaults.max_memory: use a size"),
        ("[defaults]\nmax_memory = 1.5", "defaults.max_memory: must be a size"),
        ("[defaults]\nmax_memory = 512", "defaults.max_memory: use 0 for no limit, or 1M or more"),
        ("[defaults]\nmax_memory = true", "defaults.max_memory: must be a size"),
        ("[defaults]\ntimeout = '90'", "defaults.timeout: a unit is missing"),
        ("[defaults]\ntimeout = -1", "defaults.timeout: use 0 for no limit"),
        ("[defaults]\ntimeout = '366d'", "defaults.timeout: use 0 for no limit"),
        ("[defaults]\ntimeout_usec = 5", "unknown key defaults.timeout_usec"),
        ("[defaults]\nstop_grace = '2h'", "defaults.stop_grace: use 0s to 1h"),
        ("[defaults]\ncpu_cores = 3", "defaults.cpu_cores: must be a set of CPUs"),
        ("[defaults]\ncpu_cores = '3-1'", "defaults.cpu_cores: the range 3-1 is reversed"),
        (
            "[defaults]\ncpu_weight = 10001",
            "defaults.cpu_weight: use 0 for no limit, or 1 to 10000",
        ),
        ("[defaults]\nmax_cpu = '1.5'", "defaults.max_cpu: use a whole number"),
        ("[defaults]\nuser = 65536", "defaults.user: use 0 to 65535"),
        ("[ceilings]\nuser = 5", "unknown key ceilings.user"),
        ("[logs]\nmax_bytes = 0", "logs.max_bytes: use 1M or more"),
        ("[ids]\nfirst = 1000", "ids.first: use a multiple of 65536"),
        ("[ids]\nfirst = 0", "ids.first: use a multiple of 65536"),
        ("[ids]\nfirst = 2147483648", "ids.first: use a multiple of 65536"),
        ("[ids]\ncount = 0", "ids.count: use 1 to"),
        ("[ids]\ncount = 16385", "ids.count: 16385 ranges"),
        ("[ids]\nfirst = 2147418112\ncount = 2\n[jobs]\nmax_running = 1", "ids.count: 2 ranges"),
        ("[ids]\ncount = 999", "ids.count is below jobs.max_running"),
        ("[work]\nkeep = 'for ever'", "work.keep: use a duration"),
        (
            "[work]\nimage_size = '1M'",
            "work.image_size: use 0 for no limit, or 64M or more, or 'auto'",
        ),
        ("[work]\nmin_free = 91", "work.min_free: use 0 to 90"),
        ("[defaults]\nmax_cpu = 200\n[ceilings]\nmax_cpu = 100", "defaults.max_cpu is above"),
        ("[ceilings]\nmax_tmp = '1M'", "defaults.max_tmp is above ceilings.max_tmp"),
        (
            "[defaults]\ncpu_cores = '0-3'\n[ceilings]\ncpu_cores = '0-2'",
            "defaults.cpu_cores is above",
        ),
        ("[jobs", "Expected ']'"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(file: Path, text: str, named: str) -> None:
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        load(str(file))
    assert str(refused.value).startswith(f"{file}: ")
    assert named in str(refused.value)


def test_a_mistake_in_a_drop_in_names_the_drop_in(file: Path) -> None:
    file.write_text("[jobs]\nmax_running = 3\n")
    wrong = drop_in(file, "a.conf", "[jobs]\nmax_running = 'x'\n")
    with pytest.raises(ConfigError, match=r"a\.conf: jobs\.max_running") as refused:
        load(str(file))
    assert str(wrong) in str(refused.value)


def test_bytes_that_are_no_text_and_files_that_cannot_be_read_are_named(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"joblet\.toml"):
        load(str(file))
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigError, match=r"joblet\.toml: Is a directory"):
        load(str(file))


def test_the_pool_of_ids_ends_below_what_a_signed_int_holds(file: Path) -> None:
    file.write_text("[ids]\nfirst = 2147418112\ncount = 1\n[jobs]\nmax_running = 1\n")
    ids = load(str(file)).ids
    assert ids.first + ids.count * RANGE_SIZE == 1 << 31
