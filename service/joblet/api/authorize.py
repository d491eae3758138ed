"""Who is calling, and whether polkit lets them.

uid 0 passes without a question, as polkit itself would have it. Everyone else is asked for by
unique bus name, never by process, since a process id may be another one's by the time polkit
looks. Any error, silence until the deadline or a caller that has gone is a no.

The bridge is asked about nothing either, for a list of methods: whom it lets in and what they may,
it has decided by their certificates, and jobletd trusts it with that and no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
from collections import OrderedDict
from enum import StrEnum
from typing import Any

from joblet.bus.connection import BUS_INTERFACE, BUS_NAME, BUS_PATH, Connection, Typed
from joblet.bus.export import Call
from joblet.errors import JobletError, NotAllowed, RemoteError, Unreachable
from joblet.model.job import Job
from joblet.model.run import Caller

_POLKIT = "org.freedesktop.PolicyKit1"
_POLKIT_PATH = "/org/freedesktop/PolicyKit1/Authority"
_POLKIT_INTERFACE = "org.freedesktop.PolicyKit1.Authority"
_ALLOW_INTERACTION = 1

# polkit answers in 2 to 9 ms; it may have to be started by the bus first.
POLKIT_DEADLINE_S = 10.0
# Below the 120 s that clients grant a call in which a person types a password.
INTERACTIVE_DEADLINE_S = 110.0
_CANCEL_DEADLINE_S = 2.0
_BUS_DEADLINE_S = 10.0
# A cached name costs some 200 bytes; names are never used twice on one bus.
# A polkitd that the first question of all has just started may not have read its actions yet.
_UNREGISTERED = "is not registered"
_UNREGISTERED_PAUSES_S = (0.1, 0.3, 1.0)
_CALLERS_MAX = 4096

logger = logging.getLogger(__name__)


class Action(StrEnum):
    """The polkit actions of dbus/org.joblet1.policy."""

    RUN_JOB = "org.joblet1.run-job"
    MANAGE_OWN = "org.joblet1.manage-own"
    MANAGE_ALL = "org.joblet1.manage-all"
    ADMIN = "org.joblet1.admin"


_MEANING = {
    Action.RUN_JOB: "run jobs",
    Action.MANAGE_OWN: "change one's own jobs",
    Action.MANAGE_ALL: "read or change the jobs of others",
    Action.ADMIN: "administer Joblet",
}
_HINTS = {
    Action.RUN_JOB: "members of group 'joblet' may, from their next login on",
    Action.MANAGE_OWN: "ask an administrator",
    Action.MANAGE_ALL: "only their owner, root and administrators may",
    Action.ADMIN: "only root and administrators may",
}


# What a remote user can ask for; by whom, the bridge decides.
_BRIDGE_MAY = frozenset(
    {
        "RunJob",
        "ExplainJob",
        "StopJob",
        "UpdateJob",
        "CancelJob",
        "DeleteJob",
        "DeleteAllJobs",
        "WaitJob",
        "GetJob",
        "GetJobsEncoded",
        "ListJobs",
        "ListJobsEncoded",
        "OpenLog",
        "ReadLog",
        "GetFiles",
        "ListUsage",
        "GetJobMetrics",
        "GetStatus",
    }
)


class Authority:
    """Answers for one connection; it lives as long."""

    def __init__(
        self,
        connection: Connection,
        *,
        deadline_s: float = POLKIT_DEADLINE_S,
        interactive_deadline_s: float = INTERACTIVE_DEADLINE_S,
        bridge_uid: int | None = None,
    ) -> None:
        self._connection = connection
        self._deadline_s = deadline_s
        self._interactive_deadline_s = interactive_deadline_s
        self._bridge_uid = bridge_uid
        self._callers: OrderedDict[str, Caller] = OrderedDict()
        self._checks = itertools.count(1)

    async def uid(self, call: Call) -> int:
        """The uid of a caller. Raises NotAllowed when it cannot be known."""
        return (await self.caller(call)).uid

    async def caller(self, call: Call) -> Caller:
        """Who a caller is. Raises NotAllowed when it cannot be known."""
        caller = self._callers.get(call.sender)
        if caller is not None:
            self._callers.move_to_end(call.sender)
            return caller
        try:
            [credentials], fds = await self._connection.call(
                BUS_NAME,
                BUS_PATH,
                BUS_INTERFACE,
                "GetConnectionCredentials",
                "s",
                [call.sender],
                deadline_s=_BUS_DEADLINE_S,
            )
        except JobletError as err:
            raise NotAllowed("call", f"the bus does not say who {call.sender} is: {err}") from err
        # Newer daemons add a pidfd to the credentials.
        for fd in fds:
            os.close(fd)
        uid = credentials.get("UnixUserID")
        if not isinstance(uid, int):
            raise NotAllowed("call", f"the bus does not know the user of {call.sender}")
        # An old bus does not tell the groups; without them the caller has fewer rights, not more.
        groups = tuple(credentials.get("UnixGroupIDs", ()))
        caller = self._callers[call.sender] = Caller(uid, groups)
        if len(self._callers) > _CALLERS_MAX:
            self._callers.popitem(last=False)
        return caller

    async def is_bridge(self, call: Call) -> bool:
        """True for the one caller whose word on a remote identity counts."""
        return self._bridge_uid is not None and await self.uid(call) == self._bridge_uid

    async def _trusts(self, call: Call) -> bool:
        """True for those whom polkit need not be asked about."""
        if await self.uid(call) == 0:
            return True
        return call.member in _BRIDGE_MAY and await self.is_bridge(call)

    async def require(self, action: Action, call: Call) -> int:
        """The uid of a caller who may do this. Raises NotAllowed."""
        uid = await self.uid(call)
        if not await self._trusts(call):
            why_not = await self._ask(action, call, interactive=call.interactive)
            if why_not:
                raise NotAllowed(_MEANING[action], why_not)
        return uid

    async def require_change(self, job: Job, call: Call) -> None:
        """Stop, cancel or delete this job. Raises NotAllowed."""
        own = job.owner_uid == await self.uid(call)
        await self.require(Action.MANAGE_OWN if own else Action.MANAGE_ALL, call)

    async def sees_all(self, call: Call) -> bool:
        """True for those who may read the specs and logs of others; nobody is prompted."""
        if await self._trusts(call):
            return True
        return not await self._ask(Action.MANAGE_ALL, call, interactive=False)

    async def sees(self, job: Job, call: Call) -> bool:
        """True for those who may read this job's spec and log; nobody is prompted."""
        return job.owner_uid == await self.uid(call) or await self.sees_all(call)

    async def require_sight(self, job: Job, call: Call, what: str) -> None:
        """Read this job's log or files; `what` says it for the refusal. Raises NotAllowed."""
        if not await self.sees(job, call):
            raise NotAllowed(f"{what} another user's job", _HINTS[Action.MANAGE_ALL])

    async def _ask(self, action: Action, call: Call, *, interactive: bool) -> str:
        """ "" for yes, otherwise why not."""
        # An id lets us take the question back; without a person there is nothing to take back.
        cancellation = f"joblet-{next(self._checks)}" if interactive else ""
        deadline_s = self._interactive_deadline_s if interactive else self._deadline_s
        question: list[object] = [
            ("system-bus-name", {"name": Typed("s", call.sender)}),
            action.value,
            {},
            _ALLOW_INTERACTION if interactive else 0,
            cancellation,
        ]
        try:
            answer = await self._answer(question, deadline_s)
        except Unreachable as err:
            logger.warning("%s refused to %s: %s", action, call.sender, err)
            return "polkit, which decides it, is not running; only root may now"
        except RemoteError as err:
            logger.warning("%s refused to %s: %s", action, call.sender, err)
            await self._take_back(cancellation)
            return f"polkit, which decides it, gave no answer ({err})"
        except asyncio.CancelledError:
            await self._take_back(cancellation)
            raise
        allowed, challenge, _details = answer
        if allowed is True:
            return ""
        if challenge and not interactive:
            return f"it needs authentication, which this call does not allow; {_HINTS[action]}"
        return _HINTS[action]

    async def _answer(self, question: list[object], deadline_s: float) -> tuple[Any, ...]:
        """polkit's answer. Raises Unreachable, RemoteError."""
        pauses = iter(_UNREGISTERED_PAUSES_S)
        while True:
            try:
                [answer], _ = await self._connection.call(
                    _POLKIT,
                    _POLKIT_PATH,
                    _POLKIT_INTERFACE,
                    "CheckAuthorization",
                    "(sa{sv})sa{ss}us",
                    question,
                    deadline_s=deadline_s,
                )
            except RemoteError as err:
                pause_s = next(pauses, None)
                if pause_s is None or _UNREGISTERED not in str(err):
                    raise
                await asyncio.sleep(pause_s)
            else:
                return tuple(answer)

    async def _take_back(self, cancellation: str) -> None:
        """Close the prompt of a question that nobody waits for any more."""
        if not cancellation:
            return
        with contextlib.suppress(RemoteError, Unreachable):
            await self._connection.call(
                _POLKIT,
                _POLKIT_PATH,
                _POLKIT_INTERFACE,
                "CancelCheckAuthorization",
                "s",
                [cancellation],
                deadline_s=_CANCEL_DEADLINE_S,
            )
