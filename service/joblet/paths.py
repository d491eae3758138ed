"""Every path we own, from the directories that systemd hands to a service.

Outside a unit (tests, clients) the same places as the units use are the default; the variables
$STATE_DIRECTORY, $RUNTIME_DIRECTORY, $LOGS_DIRECTORY and $CONFIGURATION_DIRECTORY move them
(systemd.exec(5)).
"""

from __future__ import annotations

import os
from dataclasses import dataclass

# Programs that only units start.
LIBEXEC = "/usr/libexec/joblet"


@dataclass(frozen=True, slots=True)
class Paths:
    """Where things are on this host."""

    state: str = "/var/lib/joblet"
    run: str = "/run/joblet"
    logs: str = "/var/log/joblet"
    config: str = "/etc/joblet"

    @classmethod
    def from_environment(cls) -> Paths:
        """The directories of this process."""
        default = cls()
        return cls(
            state=os.environ.get("STATE_DIRECTORY", default.state),
            run=os.environ.get("RUNTIME_DIRECTORY", default.run),
            logs=os.environ.get("LOGS_DIRECTORY", default.logs),
            config=os.environ.get("CONFIGURATION_DIRECTORY", default.config),
        )

    @property
    def database(self) -> str:
        """The one SQLite file."""
        return f"{self.state}/joblet.sqlite"

    @property
    def work(self) -> str:
        """Parent of the jobs' work directories, on disk."""
        return f"{self.state}/work"

    @property
    def work_image(self) -> str:
        """The file system of the work directories, where the host's own has no project quotas."""
        return f"{self.state}/work.img"

    @property
    def secrets(self) -> str:
        """Secret variables of jobs that have not ended, encrypted."""
        return f"{self.state}/secrets"

    @property
    def run_secrets(self) -> str:
        """The same in clear, where nothing can encrypt them: root only, gone with the boot."""
        return f"{self.run}/secrets"

    @property
    def job_logs(self) -> str:
        """Parent of the jobs' log directories."""
        return f"{self.logs}/jobs"

    @property
    def run_jobs(self) -> str:
        """What lives as long as the boot, one directory per job."""
        return f"{self.run}/jobs"

    @property
    def init_socket(self) -> str:
        """joblet-init listens here (SOCK_SEQPACKET)."""
        return f"{self.run}/init.sock"

    @property
    def poke_socket(self) -> str:
        """Supervisors poke jobletd here (SOCK_DGRAM, owned by systemd)."""
        return f"{self.run}/poke.sock"

    @property
    def metrics_socket(self) -> str:
        """OpenMetrics over HTTP, for root and one group."""
        return f"{self.run}/metrics.sock"

    @property
    def config_file(self) -> str:
        """The configuration file; its drop-ins are in `<name>.d`."""
        return f"{self.config}/joblet.toml"

    @property
    def pki(self) -> str:
        """The CA with its key and all that it issued; for root alone."""
        return f"{self.config}/pki"

    @property
    def bridge_pki(self) -> str:
        """What the bridge needs of it, and all that the bridge may read."""
        return f"{self.pki}/bridge"
