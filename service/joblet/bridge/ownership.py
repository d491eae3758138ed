"""Whose jobs a call may see and touch, where the setting own_jobs_only is on.

A developer's are those that were run with a certificate of the same subject: a renewed one counts,
and so do several that one person has. To whom a job does not belong, there is no such job. The
other roles are what they are for: a viewer looks after all jobs and can change none, a maintainer
and an admin look after the host.
"""

from __future__ import annotations

from dataclasses import replace

from joblet.bridge.identity import Identity
from joblet.bridge.lookups import Lookups
from joblet.client.api import JobStatus
from joblet.errors import InvalidSpec, JobletError, NotFound
from joblet.model.host import HostStatus
from joblet.model.ids import check_job_reference
from joblet.model.roles import Role

# The owner of a call that may see the jobs of everybody.
EVERYBODY = ""


class Ownership:
    """The rule of one bridge; all listeners share it."""

    def __init__(self, lookups: Lookups, *, own_jobs_only: bool) -> None:
        self._lookups = lookups
        self._on = own_jobs_only

    def owner(self, identity: Identity) -> str:
        """The subject that a call is kept to, or EVERYBODY."""
        return identity.subject if self._on and identity.role is Role.DEVELOPER else EVERYBODY

    async def job(self, reference: str, owner: str) -> JobStatus:
        """What is known of a job. Raises NotFound for one of somebody else, too."""
        try:
            status = await self._lookups.status(reference)
        except JobletError as err:
            if owner == EVERYBODY or err.grpc_status != InvalidSpec.grpc_status:
                raise
            check_job_reference(reference)
            # The beginning of several ids, which the sentence lists: jobs of others are among them.
            raise NotFound("job", reference) from err
        if not belongs(status, owner):
            raise NotFound("job", reference)
        return status


def host_for(status: HostStatus, owner: str) -> HostStatus:
    """The state of the host; what programs were given is for those who may see all jobs."""
    processes = status.processes
    if owner == EVERYBODY or processes is None:
        return status
    by_cpu, by_memory = (
        tuple(replace(process, command=None, user=None) for process in top)
        for top in (processes.top_by_cpu, processes.top_by_memory)
    )
    kept = replace(processes, top_by_cpu=by_cpu, top_by_memory=by_memory)
    return replace(status, processes=kept)


def belongs(status: JobStatus, owner: str) -> bool:
    """True for a job that a call of this owner may see."""
    return owner == EVERYBODY or status.remote_subject == owner
