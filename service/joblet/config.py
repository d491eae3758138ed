"""/etc/joblet/joblet.toml as one frozen dataclass. An unknown key or a bad value is an error."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from typing import Any

from joblet.errors import JobletError


class ConfigError(JobletError):
    """The configuration file cannot be used; the sentence names file and key."""


@dataclass(frozen=True, slots=True)
class JobsConfig:
    """[jobs]: what every job shares."""

    max_running: int = 1000  # jobs beyond wait PENDING
    max_waiting: int = 100_000  # jobs beyond are refused
    scope_shard_size: int = 64  # scopes per slice: creating one gets slower with its siblings
    default_max_tasks: int = 4096
    user: str = "joblet-job"  # identity of the user's program on the host


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """[limits]: unenforced = "refuse" or "accept" a limit whose controller the host lacks."""

    unenforced: str = "refuse"


@dataclass(frozen=True, slots=True)
class LogsConfig:
    """[logs]: the cap of one job's log in bytes, index included; the oldest bytes go first."""

    max_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file."""

    jobs: JobsConfig = JobsConfig()
    limits: LimitsConfig = LimitsConfig()
    logs: LogsConfig = LogsConfig()


_MINIMUM = {
    "jobs.max_running": 1,
    "jobs.max_waiting": 1,
    "jobs.scope_shard_size": 1,
    "jobs.default_max_tasks": 1,
    "logs.max_bytes": 1 << 20,
}
_CHOICES = {"limits.unenforced": ("refuse", "accept")}


def load(path: str) -> Config:
    """Read the file; a file that is not there means the defaults. Raises ConfigError."""
    try:
        with open(path, "rb") as file:
            data = tomllib.load(file)
    except FileNotFoundError:
        return Config()
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: {err}") from err
    return parse(data, path)


def parse(data: dict[str, Any], origin: str) -> Config:
    """Check a parsed file; `origin` names it in complaints. Raises ConfigError."""
    sections = {"jobs": JobsConfig, "limits": LimitsConfig, "logs": LogsConfig}
    unknown = sorted(set(data) - set(sections))
    if unknown:
        raise ConfigError(f"{origin}: unknown section [{unknown[0]}]")
    read = {
        name: _section(kind, name, data.get(name, {}), origin) for name, kind in sections.items()
    }
    return Config(**read)


def _section(kind: type[Any], name: str, data: object, origin: str) -> Any:
    if not isinstance(data, dict):
        raise ConfigError(f"{origin}: {name} must be a section, written [{name}]")
    defaults = kind()
    known = {f.name for f in fields(kind)}
    for key, value in data.items():
        full = f"{name}.{key}"
        if key not in known:
            raise ConfigError(f"{origin}: unknown key {full}")
        wanted = type(getattr(defaults, key))
        # bool is an int to Python, not to a reader of the file
        if type(value) is not wanted:
            raise ConfigError(f"{origin}: {full} must be a {wanted.__name__}")
        if full in _MINIMUM and value < _MINIMUM[full]:
            raise ConfigError(f"{origin}: {full} must be at least {_MINIMUM[full]}")
        if full in _CHOICES and value not in _CHOICES[full]:
            raise ConfigError(f"{origin}: {full} must be one of {', '.join(_CHOICES[full])}")
    return kind(**data)
