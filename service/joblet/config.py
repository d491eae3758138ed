"""/etc/joblet/joblet.toml and its drop-ins as one frozen dataclass.

`joblet.toml.d/*.conf` and `*.toml` are read after the file itself, in the order of their names,
and whoever comes later wins, key by key. An unknown key or a bad value is an error that names file
and key. One table, KEYS, says how each key is written, checked and shown again.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Any, NamedTuple

from joblet.errors import JobletError
from joblet.model import limits
from joblet.model.ids import RANGE_SIZE
from joblet.model.limits import RANGES, SECOND, BadLimit, Limits

# The kernel's ids have 32 bits, but programs and file systems count them in a signed int.
_ID_END = 1 << 31
# A quarter of what is free on the host when the image is made.
AUTO = -1
_AUTO_WORD = "auto"
_DROP_IN_SUFFIXES = (".conf", ".toml")


class ConfigError(JobletError):
    """The configuration cannot be used; the sentence names file and key."""


@dataclass(frozen=True, slots=True)
class JobsConfig:
    """[jobs]: what every job shares."""

    max_running: int = 1000  # jobs beyond wait PENDING
    max_waiting: int = 100_000  # jobs beyond are refused
    scope_shard_size: int = 64  # scopes per slice: creating one gets slower with its siblings


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """[limits]: unenforced = "refuse" or "accept" a limit whose controller the host lacks."""

    unenforced: str = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class DefaultsConfig(Limits):
    """[defaults]: what a job gets that does not say."""

    max_tasks: int = 4096
    stop_grace_usec: int = limits.GRACE_DEFAULT_USEC
    max_work: int = 1 << 30
    max_tmp: int = 256 << 20
    max_shm: int = 64 << 20
    user: int = limits.USER_DEFAULT  # inside the job


@dataclass(frozen=True, slots=True)
class LogsConfig:
    """[logs]: the cap of one job's log in bytes, index included; the oldest bytes go first."""

    max_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class IdsConfig:
    """[ids]: the pool of id ranges for jobs, `count` ranges of 65,536 from `first` on."""

    first: int = 1 << 30
    count: int = 8192


@dataclass(frozen=True, slots=True)
class WorkConfig:
    """[work]: the jobs' work directories and the file system they are on."""

    keep_usec: int = 24 * 3600 * SECOND  # after the end of the job
    # Where the host's own file system has no project quotas; 0: no image.
    image_size: int = AUTO
    min_free: int = 10  # percent that jobs leave free


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """[metrics]: how often a running job is looked at; 0: only its totals are known, at its end."""

    interval_usec: int = 5 * SECOND


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """[bridge]: how joblet-bridge serves gRPC and, where it is asked to, HTTPS."""

    # Address, colon, port; then, after a space, the dialect of old clients where it is not "auto".
    listeners: tuple[str, ...] = ("[::]:50051",)
    max_message: int = 128 << 20  # bytes; a job with all its uploads is one message
    max_streams: int = 1000  # at once, of one connection
    stop_grace_usec: int = 10 * SECOND  # for calls in progress when the bridge is stopped
    node_id: str = ""  # what clients show as the node of a job
    user: str = "joblet-bridge"  # whose word on a remote identity jobletd takes
    # Address, colon, port. None: who wants no second open port does not have to know of it.
    https_listeners: tuple[str, ...] = ()
    reflection: bool = False  # tell the contract to clients such as grpcurl
    own_jobs_only: bool = False  # developers see and touch no job of somebody else


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration."""

    jobs: JobsConfig = JobsConfig()
    limits: LimitsConfig = LimitsConfig()
    defaults: DefaultsConfig = DefaultsConfig()
    ceilings: Limits = Limits()
    logs: LogsConfig = LogsConfig()
    ids: IdsConfig = IdsConfig()
    work: WorkConfig = WorkConfig()
    metrics: MetricsConfig = MetricsConfig()
    bridge: BridgeConfig = BridgeConfig()


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration, and for each key that is set the file that it came from."""

    config: Config
    origins: Mapping[str, str]


Shown = bool | int | str | list[str]
Show = Callable[[Any], Shown]
Reading = tuple[Callable[[object], object], Show]


class Key(NamedTuple):
    """One key: where its value is kept, how it is read (raises BadLimit) and shown."""

    section: str
    attribute: str
    read: Callable[[object], object]
    show: Show


def load(path: str) -> Config:
    """The configuration alone. Raises ConfigError."""
    return read(path).config


def read(path: str) -> Settings:
    """The file and its drop-ins; what is not there means the defaults. Raises ConfigError."""
    values: dict[str, dict[str, object]] = {f.name: {} for f in fields(Config)}
    origins: dict[str, str] = {}
    for file in [path, *_drop_ins(path)]:
        for name, value in _parse(file).items():
            key = KEYS[name]
            values[key.section][key.attribute] = value
            origins[name] = file
    default = Config()
    sections = {name: type(getattr(default, name))(**given) for name, given in values.items()}
    config = Config(**sections)
    _check_whole(config, path, origins)
    return Settings(config, MappingProxyType(origins))


def shown(config: Config) -> dict[str, Shown]:
    """Every key with its value as the file would have it."""
    return {
        name: key.show(getattr(getattr(config, key.section), key.attribute))
        for name, key in KEYS.items()
    }


def _drop_ins(path: str) -> list[str]:
    folder = path + ".d"
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as err:
        raise ConfigError(f"{folder}: {err.strerror}") from err
    wanted = (n for n in names if n.endswith(_DROP_IN_SUFFIXES) and not n.startswith("."))
    return [f"{folder}/{name}" for name in sorted(wanted)]


def _parse(file: str) -> dict[str, object]:
    try:
        with open(file, "rb") as stream:
            data = tomllib.load(stream)
    except FileNotFoundError:
        return {}
    except OSError as err:
        raise ConfigError(f"{file}: {err.strerror}") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ConfigError(f"{file}: {err}") from err
    known = {key.section for key in KEYS.values()}
    values: dict[str, object] = {}
    for section, content in data.items():
        if section not in known:
            raise ConfigError(f"{file}: unknown section [{section}]")
        if not isinstance(content, dict):
            raise ConfigError(f"{file}: {section} must be a section, written [{section}]")
        for word, value in content.items():
            name = f"{section}.{word}"
            if name not in KEYS:
                raise ConfigError(f"{file}: unknown key {name}")
            try:
                values[name] = KEYS[name].read(value)
            except BadLimit as err:
                raise ConfigError(f"{file}: {name}: {err}") from err
    return values


def _check_whole(config: Config, path: str, origins: Mapping[str, str]) -> None:
    for word, attribute in _LIMIT_WORDS.items():
        default = getattr(config.defaults, attribute)
        ceiling = getattr(config.ceilings, attribute)
        if not ceiling or not default:
            continue
        over = set(default) - set(ceiling) if attribute == "cpu_cores" else default > ceiling
        if over:
            file = origins.get(f"defaults.{word}") or origins[f"ceilings.{word}"]
            raise ConfigError(f"{file}: defaults.{word} is above ceilings.{word}")
    ids = config.ids
    if ids.count < config.jobs.max_running:
        file = origins.get("ids.count") or origins.get("jobs.max_running", path)
        raise ConfigError(f"{file}: ids.count is below jobs.max_running: a job needs a range")
    if ids.first + ids.count * RANGE_SIZE > _ID_END:
        file = origins.get("ids.count") or origins.get("ids.first", path)
        raise ConfigError(
            f"{file}: ids.count: {ids.count} ranges of {RANGE_SIZE} from {ids.first} on reach "
            f"beyond {_ID_END}"
        )


def _whole(value: object) -> int | None:
    # bool is an int to Python, not to a reader of the file
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _within(value: int, low: int, high: int, show: Callable[[int], int | str], zero: bool) -> int:
    if not low <= value <= high and not (zero and value == 0):
        none = "0 for no limit, or " if zero and low > 0 else ""
        if high == limits.SIZE_MAX:
            raise BadLimit(f"use {none}{show(low)} or more")
        raise BadLimit(f"use {none}{show(low)} to {show(high)}")
    return value


def _same(value: int) -> int:
    return value


def _quantity(
    parse: Callable[[str], int],
    what: str,
    show: Callable[[int], int | str],
    bounds: tuple[int, int],
    *,
    unit: int = 1,
    zero: bool = False,
) -> Reading:
    """A quantity as text of its grammar or as a plain number of `unit`s."""

    def take(value: object) -> int:
        number = _whole(value)
        if isinstance(value, str):
            number = parse(value)
        elif number is not None:
            number *= unit
        if number is None:
            raise BadLimit(f"must be {what}")
        return _within(number, *bounds, show, zero)

    return take, show


def _number(low: int, high: int, *, zero: bool = False) -> Reading:
    def take(value: object) -> int:
        number = _whole(value)
        if number is None:
            raise BadLimit("must be a whole number")
        return _within(number, low, high, _same, zero)

    return take, _same


def _size(low: int, high: int, *, zero: bool = False) -> Reading:
    what = "a size such as '512M', or a number of bytes"
    return _quantity(limits.parse_size, what, limits.print_size, (low, high), zero=zero)


def _duration(low: int, high: int, *, zero: bool = False) -> Reading:
    what = "a duration such as '1h30m', or a number of seconds"
    return _quantity(
        limits.parse_duration, what, limits.print_duration, (low, high), unit=SECOND, zero=zero
    )


def _percent(low: int, high: int, *, zero: bool = False) -> Reading:
    what = "a number of percent"
    return _quantity(limits.parse_percent, what, _same, (low, high), zero=zero)


def _cpus(value: object) -> tuple[int, ...]:
    if not isinstance(value, str):
        raise BadLimit("must be a set of CPUs such as '0-3,5', or '' for all")
    return limits.parse_cpus(value) if value.strip() else ()


def _one_of(*words: str) -> Callable[[object], str]:
    def take(value: object) -> str:
        if value not in words:
            raise BadLimit(f"must be one of {', '.join(words)}")
        return str(value)

    return take


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise BadLimit("must be a text")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise BadLimit("must be true or false")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise BadLimit("must be a list of texts")
    return tuple(_text(item) for item in value)


def _some_texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise BadLimit("must be a list of texts, with one at least")
    return _texts(value)


def _image_size(value: object) -> int:
    if value == _AUTO_WORD:
        return AUTO
    take, _show = _size(64 << 20, limits.SIZE_MAX, zero=True)
    try:
        return int(str(take(value)))
    except BadLimit as err:
        raise BadLimit(f"{err}, or '{_AUTO_WORD}'") from err


def _show_image_size(value: int) -> int | str:
    return _AUTO_WORD if value == AUTO else limits.print_size(value)


def _id_start(value: object) -> int:
    number = _whole(value)
    if number is None:
        raise BadLimit("must be a whole number")
    if number % RANGE_SIZE or not RANGE_SIZE <= number < _ID_END:
        raise BadLimit(f"use a multiple of {RANGE_SIZE} from {RANGE_SIZE} up, below {_ID_END}")
    return number


# How the limits are called in the file, by their name in Limits.
_LIMIT_WORDS = {f.name.removesuffix("_usec"): f.name for f in fields(Limits)}
_SIZES = ("max_memory", "max_io_bps", "max_work", "max_tmp", "max_shm")


def _limit(attribute: str) -> Reading:
    if attribute == "cpu_cores":
        return _cpus, limits.print_cpus
    bounds = RANGES[attribute]
    if attribute.endswith("_usec"):
        return _duration(*bounds, zero=True)
    if attribute == "max_cpu":
        return _percent(*bounds, zero=True)
    if attribute in _SIZES:
        return _size(*bounds, zero=True)
    return _number(*bounds, zero=True)


def _limit_keys(section: str) -> dict[str, Key]:
    return {
        f"{section}.{word}": Key(section, attribute, *_limit(attribute))
        for word, attribute in _LIMIT_WORDS.items()
    }


_COUNT_MAX = 1 << 31
KEYS: Mapping[str, Key] = {
    "jobs.max_running": Key("jobs", "max_running", *_number(1, _COUNT_MAX)),
    "jobs.max_waiting": Key("jobs", "max_waiting", *_number(1, _COUNT_MAX)),
    "jobs.scope_shard_size": Key("jobs", "scope_shard_size", *_number(1, _COUNT_MAX)),
    "limits.unenforced": Key("limits", "unenforced", _one_of("refuse", "accept"), str),
    **_limit_keys("defaults"),
    "defaults.user": Key("defaults", "user", *_number(0, limits.USER_MAX)),
    **_limit_keys("ceilings"),
    "logs.max_bytes": Key("logs", "max_bytes", *_size(1 << 20, limits.SIZE_MAX)),
    "ids.first": Key("ids", "first", _id_start, _same),
    "ids.count": Key("ids", "count", *_number(1, _ID_END // RANGE_SIZE)),
    "work.keep": Key("work", "keep_usec", *_duration(0, limits.DURATION_MAX)),
    "work.image_size": Key("work", "image_size", _image_size, _show_image_size),
    "work.min_free": Key("work", "min_free", *_percent(0, 90)),
    "metrics.interval": Key(
        "metrics", "interval_usec", *_duration(SECOND, 3600 * SECOND, zero=True)
    ),
    "bridge.listeners": Key("bridge", "listeners", _some_texts, list),
    "bridge.max_message": Key("bridge", "max_message", *_size(1 << 20, _COUNT_MAX - 1)),
    "bridge.max_streams": Key("bridge", "max_streams", *_number(1, 1 << 20)),
    "bridge.stop_grace": Key("bridge", "stop_grace_usec", *_duration(0, 600 * SECOND, zero=True)),
    "bridge.node_id": Key("bridge", "node_id", _text, str),
    "bridge.user": Key("bridge", "user", _text, str),
    "bridge.https_listeners": Key("bridge", "https_listeners", _texts, list),
    "bridge.reflection": Key("bridge", "reflection", _flag, bool),
    "bridge.own_jobs_only": Key("bridge", "own_jobs_only", _flag, bool),
}
