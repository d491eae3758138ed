"""One job's parent: pumps its output, writes the exit record.

Lives in joblet-supervisors.service, outside the job's scope, from just before the job until just
after it; needs neither jobletd nor joblet-init while the job runs. If it is killed, joblet-init
forks a replacement, which gets the same descriptors and finishes the work.

Long, because birth, pump, end and record are one order of events that a replacement enters at any
point: what each leaves for the next is only seen side by side.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import struct
import time

from joblet import failpoints
from joblet.init import anchor, procfs, report, rundir, syscalls
from joblet.init.crew import (
    Birth,
    Crew,
    close_all_but,
    complain,
    is_readable,
    set_anchor_to_work,
    set_first_to_work,
)
from joblet.init.logwriter import LogWriter
from joblet.init.oomwatch import OomWatch
from joblet.init.passing import receive
from joblet.records import exit as exit_record
from joblet.records import logindex, spawn
from joblet.records.exit import ExitRecord
from joblet.records.framing import BadRecord
from joblet.records.run import RunRecord

# the job was never born: joblet-init forgets it instead of replacing its supervisor
STATUS_STILLBORN = 3
# What a supervisor process says when it is free again.
DONE = b"D"
# Enough to spread the cost of a fork, few enough that nothing can pile up.
JOBS_MAX = 250
_ASSIGNMENT_FDS = 13
# A first process that waits longer is replaced when a job comes: inside the job its age shows.
FRESH_MS = 10_000
# An anchor that runs answers in microseconds.
ANSWER_MS = 2000
# /run is full: a record that finds no room is tried again this much later.
RETRY_MS = 1000
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.ENOMEM})
# A program that still runs this much later is news; the end of a shorter one says that it ran.
NEWS_NS = 5_000_000


class Held:
    """A job's descriptors that joblet-init keeps a second copy of."""

    __slots__ = ("anchor", "index", "log", "run_dir", "stderr", "stdout")

    def __init__(
        self, stdout: int, stderr: int, anchor: int, log: int, index: int, run_dir: int
    ) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self.anchor = anchor
        self.log = log
        self.index = index
        self.run_dir = run_dir

    def numbers(self) -> tuple[int, ...]:
        """In the order of the run record."""
        return (self.stdout, self.stderr, self.anchor, self.log, self.index, self.run_dir)


def _settle_in() -> None:
    # Signals stay as they are in joblet-init: what could end us is blocked or ignored there.
    os.setsid()
    syscalls.set_process_name(b"joblet-super")


class Supervisor:
    """The work of one supervisor process."""

    def __init__(
        self,
        job_id: str,
        held: Held,
        run: RunRecord,
        poke_socket: socket.socket,
        crew: Crew | None = None,
    ) -> None:
        self._poke_socket = poke_socket
        self._crew = crew  # None: we took over, and the anchor is not our child
        self._job_id = job_id
        self._held = held
        self._run = run
        self._log = LogWriter(held.log, held.index, run.log_cap_bytes)
        self._record = ExitRecord()
        self._poll = select.poll()
        self._first_fd = -1
        self._anchor_fd = -1
        self._report_fd = -1
        self._connection: socket.socket | None = None
        self._executing_ns: int | None = None
        self._news_due_ns: int | None = None  # on the monotonic clock
        self._owed_ns: int | None = None  # the run record is behind: when it is tried again
        self._cgroup: str | None = None
        self._oom = OomWatch()
        self._status_fd = -1
        self._anchor_open = True
        self._anchor_asked = False
        # jobletd knows of anchor and first process
        self.born = False

    def announce(self, crew: Crew, birth: Birth) -> None:
        """Write down who belongs to the job, tell jobletd, set them to work. Raises OSError.

        In this order: the scope, which jobletd asks for now, takes longer than the set-up; and
        nobody works for a job that is not written down.
        """
        holder, first = crew.take()
        self._connection = birth.connection
        self._report_fd = first.socket.fileno()
        self._anchor_fd = holder.fd
        self._first_fd = first.fd
        self._run.supervisor = crew.supervisor
        self._run.anchor = holder.process
        self._run.first = first.process
        self._run.descriptors = self._held.numbers()
        rundir.write_record(self._held.run_dir, "run", self._run.encode())
        failpoints.hit("supervisor.before-spawned")
        set_anchor_to_work(holder, birth)
        spawned = spawn.Spawned(self._job_id, holder.process.pid, first.process.pid)
        self._answer(spawned, [self._anchor_fd, self._first_fd])
        self.born = True
        try:
            set_first_to_work(first, birth)
        except (BrokenPipeError, ConnectionResetError):
            # it was killed; its end tells the rest
            pass
        first.socket.detach()
        failpoints.hit("supervisor.after-spawned")

    def take_over(self, status_fd: int) -> None:
        """Continue with a job that runs; the wait status comes from joblet-init, or nobody."""
        self._status_fd = status_fd
        self._run.supervisor = procfs.identify(os.getpid())
        self._run.descriptors = self._held.numbers()
        self._record.started_ns = self._executing_ns = self._run.started_ns
        self._record.term_seen_ns = self._run.term_seen_ns
        self._first_fd = rundir.open_process(self._run.first)
        self._anchor_fd = rundir.open_process(self._run.anchor)
        if self._anchor_fd >= 0:
            self._cgroup = procfs.cgroup_directory(self._run.anchor.pid)
        self._write_run_record()
        if self._has_passed_gate():
            # Whoever was killed may not have told anybody, and then jobletd still waits for the
            # start: let it look at the run record.
            rundir.tell(self._poke_socket, self._job_id, self._run.poke_path)

    def _has_passed_gate(self) -> bool:
        if self._first_fd < 0:
            return False
        if self._run.started_ns is not None:
            return True
        return _is_scope_of(self._job_id, procfs.cgroup_directory(self._run.first.pid))

    def work(self) -> None:
        """Until the job has ended and everything about it is written down."""
        if self.born or not self._is_recorded():
            self._pump()
            self._finish()
        failpoints.hit("supervisor.before-seal")
        if not self._record.gate_closed:
            # else the job may be launched again, with this log
            self._seal()
        failpoints.hit("supervisor.before-poke")
        rundir.tell(self._poke_socket, self._job_id, self._run.poke_path)
        # Last: whoever waits for the end of the job need not wait for that of its scope.
        self._release_anchor()

    def _pump(self) -> None:
        held, poll = self._held, self._poll
        streams = {held.stdout: logindex.STDOUT, held.stderr: logindex.STDERR}
        for fd in streams:
            os.set_blocking(fd, False)
            poll.register(fd, select.POLLIN)
        poll.register(held.anchor, select.POLLIN)
        if self._report_fd >= 0:
            poll.register(self._report_fd, select.POLLIN)
        if self._first_fd >= 0:
            poll.register(self._first_fd, select.POLLIN)
        ended = self._first_fd < 0
        if not ended:
            self._watch_memory()
        while not ended:
            for fd, _events in poll.poll(self._timeout_ms()):
                if fd in streams:
                    if not self._take(streams[fd], fd):
                        poll.unregister(fd)
                elif fd == held.anchor:
                    self._hear_anchor()
                elif fd == self._first_fd:
                    ended = True
                elif fd == self._oom.fd:
                    self._hear_memory()
                else:
                    self._hear_first()
            if self._patience_ms() == 0:
                self._tell_start()
            if self._owed_ns is not None and time.monotonic_ns() >= self._owed_ns:
                self._write_run_record()
        # Nothing of the job lives any more: what the pipes hold now is all there will be.
        while self._report_fd >= 0:
            self._hear_first()
        while self._anchor_open and is_readable(held.anchor):
            self._hear_anchor()
        for fd, stream in streams.items():
            while self._take(stream, fd):
                pass

    def _take(self, stream: int, fd: int) -> bool:
        try:
            return self._log.take(stream, fd, time.time_ns()) > 0
        except BlockingIOError:
            return False

    def _hear_anchor(self) -> None:
        try:
            data = os.read(self._held.anchor, anchor.STOP_SEEN.size)
        except ConnectionResetError:
            data = b""
        if len(data) < anchor.STOP_SEEN.size:
            # The anchor was killed; the job may go on without it.
            self._anchor_open = False
            self._poll.unregister(self._held.anchor)
            return
        (seen_ns,) = anchor.STOP_SEEN.unpack(data)
        if not seen_ns:
            self._anchor_asked = False
            return
        self._record.term_seen_ns = seen_ns
        self._run.term_seen_ns = self._record.term_seen_ns
        self._write_run_record()

    def _in_scope(self) -> bool:
        return _is_scope_of(self._job_id, self._cgroup)

    def _watch_memory(self) -> None:
        if self._cgroup is None or not self._in_scope():
            return
        self._oom.open(self._cgroup)
        if self._oom.fd >= 0:
            # events come as POLLPRI: a file of this kind can be read at any time
            self._poll.register(self._oom.fd, select.POLLPRI)
            self._hear_memory()

    def _hear_memory(self) -> None:
        fd = self._oom.fd
        if self._oom.killed():
            try:
                # PID 1 of its namespace takes everybody along.
                signal.pidfd_send_signal(self._first_fd, signal.SIGKILL)
            except ProcessLookupError:
                # It was the one, and is not our child: whose it is has reaped it.
                pass
            self._oom.close()
        if self._oom.fd < 0:
            self._poll.unregister(fd)

    def _hear_first(self) -> None:
        try:
            data = os.read(self._report_fd, report.SIZE_MAX)
        except ConnectionResetError:
            # it was killed before it had read our answer
            data = b""
        if not data:
            self._poll.unregister(self._report_fd)
            os.close(self._report_fd)
            self._report_fd = -1
            self._begin()
            return
        message = report.Report(data)
        if message.kind == report.EXECUTING:
            self._executing_ns = message.time_ns
        elif message.kind == report.GATE_CLOSED:
            self._record.gate_closed = True
        elif message.kind == report.WANTS_IDS:
            self._map_ids(message.first, message.count)
        else:
            self._executing_ns = None
            self._fail(message.step, message.errno, message.path, message.detail)

    def _map_ids(self, first: int, count: int) -> None:
        """Write the maps of the first process's user namespace, which it cannot do itself."""
        refused = 0
        try:
            if first <= 0:
                raise PermissionError(errno.EPERM, "a job has no id of the host")
            for name in ("uid_map", "gid_map"):
                procfs.write_text(f"/proc/{self._run.first.pid}/{name}", f"0 {first} {count}\n")
        except OSError as err:
            refused = err.errno or errno.EIO
        try:
            os.write(self._report_fd, report.answer(refused))
        except (BrokenPipeError, ConnectionResetError):
            # it was killed meanwhile; its end tells the rest
            return

    def _begin(self) -> None:
        """The first process said all it had to say: it runs, or it failed."""
        if self._executing_ns is not None:
            self._record.started_ns = self._run.started_ns = self._executing_ns
            self._write_run_record()
            self._news_due_ns = time.monotonic_ns() + NEWS_NS
            failpoints.hit("supervisor.before-started")
            return
        if not self._record.gate_closed and not self._record.setup_step:
            self._fail(b"set-up", 0, b"", b"the process was killed during set-up")
        self._hang_up()

    def _patience_ms(self) -> int | None:
        """How long the news of the start may wait; None: there is none."""
        if self._news_due_ns is None:
            return None
        return max(0, -((time.monotonic_ns() - self._news_due_ns) // 1_000_000))

    def _timeout_ms(self) -> int | None:
        patience = self._patience_ms()
        if self._owed_ns is None:
            return patience
        return RETRY_MS if patience is None else min(patience, RETRY_MS)

    def _tell_start(self) -> None:
        self._news_due_ns = None
        assert self._executing_ns is not None  # noqa: S101
        self._cgroup = procfs.cgroup_directory(self._run.anchor.pid)
        self._watch_memory()
        self._answer(spawn.Started(self._job_id, self._executing_ns), [])
        if self._connection is None:
            # jobletd was replaced meanwhile: let the new one look at the run record.
            rundir.tell(self._poke_socket, self._job_id, self._run.poke_path)
        self._hang_up()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _fail(self, step: bytes, code: int, path: bytes, detail: bytes) -> None:
        record = self._record
        record.setup_step, record.setup_errno = step, code
        record.setup_path, record.setup_detail = path, detail
        self._answer(
            spawn.Failed(
                self._job_id,
                step.decode(errors="replace"),
                code,
                path.decode(errors="replace"),
                detail.decode(errors="replace"),
                True,
            ),
            [],
        )

    def _answer(
        self, message: spawn.Spawned | spawn.Started | spawn.Failed, fds: list[int]
    ) -> None:
        if self._connection is None:
            return
        try:
            rights = struct.pack(f"{len(fds)}i", *fds)
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)] if fds else []
            self._connection.sendmsg([message.encode()], ancillary)
        except (BrokenPipeError, ConnectionResetError):
            # jobletd is gone. If the gate is closed nothing runs; if it was opened the run record
            # tells the next jobletd what this message would have told.
            self._connection.close()
            self._connection = None

    def _finish(self) -> None:
        record = self._record
        record.finished_ns = time.time_ns()
        self._oom.close()
        self._ask_anchor()
        self._wait_status()
        self._count()
        try:
            failpoints.hit("supervisor.before-flush")
            self._log.flush()
        except OSError as err:
            # The bytes are in the file; that the disk cannot promise them is for a person to know.
            self._complain(f"log not flushed: {err}")
        record.log_bytes = self._log.offset
        record.log_dropped_bytes = self._log.dropped_bytes
        self._hear_answer()
        failpoints.hit("supervisor.before-exit-record")
        self._write_exit_record()
        failpoints.hit("supervisor.after-exit-record")
        _reap(self._run.first.pid)

    def _count(self) -> None:
        """What the scope has used; the anchor keeps its cgroup."""
        record = self._record
        if self._cgroup is None:
            self._cgroup = procfs.cgroup_directory(self._run.anchor.pid)
        if self._cgroup is not None and self._in_scope():
            counters = procfs.read_counters(self._cgroup)
            record.cpu_usec = counters.cpu_usec
            record.memory_peak_bytes = counters.memory_peak_bytes
            record.io_read_bytes = counters.io_read_bytes
            record.io_write_bytes = counters.io_write_bytes
            record.oom_kills = counters.oom_kills

    def _ask_anchor(self) -> None:
        # A stop reaches anchor and job together, and the job may have been faster.
        if not self._anchor_open:
            return
        try:
            os.write(self._held.anchor, anchor.QUERY)
        except (BrokenPipeError, ConnectionResetError):
            return
        self._anchor_asked = True

    def _hear_answer(self) -> None:
        while self._anchor_asked and self._anchor_open:
            if not is_readable(self._held.anchor, ANSWER_MS):
                # frozen or stopped: its witness is missing, the rest is not
                return
            self._hear_anchor()

    def _wait_status(self) -> None:
        status: int | None = None
        if self._status_fd >= 0:
            # 4 bytes from joblet-init, or end of file if it cannot know either
            data = os.read(self._status_fd, 4)
            if len(data) == 4:
                status = int.from_bytes(data, "little")
        elif self._first_fd >= 0:
            try:
                # Looked at and left a zombie until the exit record is there: if this process dies
                # first, joblet-init inherits it, and with it the status.
                ended = os.waitid(os.P_PIDFD, self._first_fd, os.WEXITED | os.WNOWAIT)
            except ChildProcessError:
                ended = None
            if ended is not None:
                exited = ended.si_code == os.CLD_EXITED
                status = ended.si_status << 8 if exited else ended.si_status
        if status is None and self._first_fd >= 0:
            status = syscalls.exit_status_of(self._first_fd)
        if status is None:
            self._record.status_lost = True
        elif os.WIFSIGNALED(status):
            self._record.signal = os.WTERMSIG(status)
        else:
            self._record.exit_status = os.WEXITSTATUS(status)

    def _release_anchor(self) -> None:
        if self._anchor_fd < 0:
            return
        # A word, because joblet-init holds a copy of this end and closing ours says nothing.
        # A broken pipe: it was killed.
        word = anchor.END if self._executing_ns is None else anchor.RELEASE
        try:
            os.write(self._held.anchor, word)
        except (BrokenPipeError, ConnectionResetError):
            pass
        if self._crew is not None:
            self._crew.anchor_is_home()
        else:
            # joblet-init or systemd reaps it
            select.select([self._anchor_fd], [], [])

    def _is_recorded(self) -> bool:
        """Whether a supervisor before this one wrote the exit record; it counts then."""
        try:
            data = procfs.read_bytes("exit", self._held.run_dir)
        except FileNotFoundError:
            return False
        self._record = exit_record.decode(data)
        return True

    def _write_run_record(self) -> None:
        """Bring it up to date; without room the job goes on, and it is tried again."""
        try:
            rundir.write_record(self._held.run_dir, "run", self._run.encode())
        except OSError as err:
            if err.errno not in _NO_ROOM:
                raise
            if self._owed_ns is None:
                self._complain(f"run record not written yet: {err}")
            self._owed_ns = time.monotonic_ns() + RETRY_MS * 1_000_000
        else:
            self._owed_ns = None

    def _write_exit_record(self) -> None:
        """However long it takes: nobody else knows how the job ended."""
        said = False
        while True:
            try:
                rundir.write_record(self._held.run_dir, "exit", self._record.encode())
                return
            except OSError as err:
                if err.errno not in _NO_ROOM:
                    raise
                if not said:
                    self._complain(f"exit record not written yet: {err}")
                    said = True
            time.sleep(RETRY_MS / 1000)

    def _seal(self) -> None:
        try:
            self._log.seal()
        except OSError as err:
            # jobletd tries it again when somebody opens the log.
            self._complain(f"log not sealed: {err}")

    def _complain(self, text: str) -> None:
        os.write(2, f"<3>job {self._job_id}: {text}\n".encode())


def _is_scope_of(job_id: str, cgroup: str | None) -> bool:
    return cgroup is not None and cgroup.endswith(f"/joblet-{job_id}.scope")


def _reap(pid: int) -> None:
    """Let an ended child go."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        # this is a replacement: joblet-init or systemd reaps it
        return


def run_new(
    crew: Crew, held: Held, birth: Birth, request: spawn.Spawn, poke_socket: socket.socket
) -> None:
    """One new job, from its birth until everything about it is written down."""
    job_id = request.job_id
    supervisor: Supervisor | None = None
    try:
        run = RunRecord()
        run.log_cap_bytes = request.log_cap_bytes
        run.poke_path = request.poke_path
        supervisor = Supervisor(job_id, held, run, poke_socket, crew)
        supervisor.announce(crew, birth)
        # systemd makes the scope meanwhile
        for fd in birth.numbers():
            os.close(fd)
    except OSError as err:
        if supervisor is not None and supervisor.born:
            raise
        # Nothing may be left of this job: its processes die with this one and its descriptors.
        failed = spawn.Failed(
            job_id, "fork", err.errno or 0, str(err.filename or ""), str(err), False
        )
        try:
            birth.connection.send(failed.encode())
        except (BrokenPipeError, ConnectionResetError):
            # That jobletd is gone. The next one starts the job anew if nothing says that it began.
            rundir.forget(held.run_dir)
        os._exit(STATUS_STILLBORN)
    supervisor.work()


def assign(control: socket.socket, request: spawn.Spawn, held: Held, birth: Birth) -> None:
    """Hand a new job to a supervisor process that waits in `serve`. Raises OSError."""
    fds = [*held.numbers(), *birth.numbers(), birth.connection.fileno()]
    socket.send_fds(control, [request.encode()], fds)


def serve(control: socket.socket, poke_socket: socket.socket, *, blank: int, trace: bool) -> None:
    """The life of a supervisor process: one job after the other, while joblet-init wants it.

    A process that has done a job before costs a third of a new one: no fork, and the pages that it
    writes are its own by now.
    """
    crew = Crew(blank=blank, trace=trace)
    own = [0, 1, 2, poke_socket.fileno(), control.fileno(), blank]
    close_all_but([*own, *crew.numbers()])
    _settle_in()
    for _ in range(JOBS_MAX):
        try:
            crew.prepare()
        except OSError as err:
            complain(err)
        if not is_readable(control.fileno(), FRESH_MS):
            crew.dismiss_first()
        try:
            data, fds, _flags = receive(control, spawn.SIZE_MAX, _ASSIGNMENT_FDS)
        except ConnectionResetError:
            # it went without having read our last word
            return
        if not data:
            # joblet-init has enough of us, or is gone; nothing is under way here
            return
        request = spawn.decode(data)
        if not isinstance(request, spawn.Spawn) or len(fds) != _ASSIGNMENT_FDS:
            raise BadRecord("not a job with all its descriptors")
        held = Held(*fds[:6])
        plan, work, gate, stdout_end, stderr_end, anchor_end, connection = fds[6:]
        birth = Birth(
            plan=plan,
            work=work,
            gate=gate,
            stdout_end=stdout_end,
            stderr_end=stderr_end,
            anchor_end=anchor_end,
            connection=socket.socket(fileno=connection),
        )
        run_new(crew, held, birth, request, poke_socket)
        # nothing of one job is left when the next one comes
        birth.connection.detach()
        close_all_but([*own, *crew.numbers()])
        try:
            control.send(DONE)
        except BrokenPipeError:
            return


def run_replacement(
    job_id: str, held: Held, run: RunRecord, poke_socket: socket.socket, status_fd: int
) -> None:
    """The life of a supervisor that takes over from a killed one."""
    keep = [0, 1, 2, poke_socket.fileno(), *held.numbers()]
    if status_fd >= 0:
        keep.append(status_fd)
    close_all_but(keep)
    _settle_in()
    supervisor = Supervisor(job_id, held, run, poke_socket)
    supervisor.take_over(status_fd)
    supervisor.work()
