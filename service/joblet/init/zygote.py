"""joblet-init: a warm, single-threaded process that forks a supervisor per job.

It listens on the socket that systemd passes, takes one request of jobletd per job with the plan and
the descriptors, and forks. It keeps a second copy of each job's descriptors, so that it can replace
a supervisor that was killed; a new joblet-init takes copies from the living supervisors. It decides
nothing and mounts nothing.
"""

from __future__ import annotations

import errno
import gc
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable

# Everything that a child may need is imported before the first fork: what is shared costs nothing,
# and after the change of root the library is not there any more.
from joblet.init import blank, procfs, rundir, supervisor, syscalls
from joblet.init import plan as plan
from joblet.init.anchor import HOME_CGROUP
from joblet.init.crew import Birth
from joblet.init.immortal import immortalise
from joblet.init.passing import receive
from joblet.init.rehearsal import rehearse
from joblet.records import poke as poke
from joblet.records import run, spawn
from joblet.records.framing import BadRecord
from joblet.records.run import RunRecord

RUN_JOBS = "/run/joblet/jobs"
LISTEN_FD = 3  # sd_listen_fds(3)
REPLACEMENTS_MAX = 5
# A supervisor that cannot be replaced now is replaced this much later.
RETRY_S = 1.0
# Idle supervisors kept for the next jobs: each has less than a megabyte of its own.
IDLE_MAX = 8
_PEER_CREDENTIALS = struct.Struct("3i")


class Worker:
    """A supervisor process: at work for a job, or idle."""

    __slots__ = ("control", "job", "pid")

    def __init__(self, pid: int, control: socket.socket | None, job: Job | None) -> None:
        self.pid = pid
        self.control = control  # None: a replacement, which does its one job and ends
        self.job = job


class Job:
    """A job whose supervisor we watch."""

    __slots__ = (
        "connection",
        "first_pid",
        "held",
        "job_id",
        "pidfd",
        "replacements",
        "status",
        "status_w",
    )

    def __init__(
        self,
        job_id: str,
        held: supervisor.Held,
        *,
        pidfd: int = -1,
        connection: socket.socket | None = None,
    ) -> None:
        self.connection = connection  # who asked for it
        self.job_id = job_id
        self.held = held
        self.pidfd = pidfd  # of an adopted supervisor, which is not our child; else -1
        self.first_pid = 0  # once it is our orphan
        self.status: int | None = None  # its wait status, once we reaped it
        self.status_w = -1  # where its supervisor waits for that
        self.replacements = 0


class Zygote:
    """The event loop."""

    def __init__(self, listener: socket.socket, *, trace: bool) -> None:
        self._listener = listener
        self._trace = trace
        self._epoll = select.epoll()
        self._connections: dict[int, socket.socket] = {}
        self._by_pid: dict[int, Worker] = {}
        self._by_control: dict[int, Worker] = {}
        self._idle: list[Worker] = []
        self._by_pidfd: dict[int, Job] = {}
        self._by_first: dict[int, Job] = {}
        # Jobs without a supervisor, and when they are seen to, on the monotonic clock.
        self._unattended: list[tuple[Job, RunRecord]] = []
        self._attend_at = 0.0
        self._cgroup_fd = -1
        self._stop = False
        # Made once and shared by all supervisors; each names the address itself.
        self._poke_socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._blank = blank.make()
        # A supervisor outlives what a terminal or a shutdown sends around.
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        mask = (1 << (signal.SIGCHLD - 1)) | (1 << (signal.SIGTERM - 1))
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGCHLD, signal.SIGTERM))
        self._signal_fd = syscalls.signalfd(mask, os.O_CLOEXEC | os.O_NONBLOCK)

    def run(self) -> None:
        """Serve until SIGTERM. Supervisors go on without us."""
        syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
        self._adopt_living()
        self._epoll.register(self._listener, select.EPOLLIN)
        self._epoll.register(self._signal_fd, select.EPOLLIN)
        try:
            rehearse()
        except OSError as err:
            # A job's own set-up says it better, step by step.
            say(f"rehearsal: {err}")
        gc.collect()
        immortalise()
        gc.freeze()
        gc.disable()
        notify_ready()
        while not self._stop:
            for fd, _events in self._epoll.poll(self._patience()):
                if fd == self._listener.fileno():
                    self._accept()
                elif fd == self._signal_fd:
                    self._hear_signals()
                elif fd in self._connections:
                    self._receive(self._connections[fd])
                elif fd in self._by_control:
                    self._hear_worker(self._by_control[fd])
                elif fd in self._by_pidfd:
                    self._lost_adopted(self._by_pidfd[fd])
            if self._patience() == 0:
                self._attend()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        credentials = connection.getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size
        )
        _pid, uid, _gid = _PEER_CREDENTIALS.unpack(credentials)
        if uid != 0:
            connection.close()
            return
        self._connections[connection.fileno()] = connection
        self._epoll.register(connection, select.EPOLLIN)

    def _receive(self, connection: socket.socket) -> None:
        try:
            data, fds, flags = receive(
                connection, spawn.SIZE_MAX, len(spawn.FDS), socket.MSG_DONTWAIT
            )
        except BlockingIOError:
            return
        except ConnectionResetError:
            data, fds, flags = b"", [], 0
        if not data:
            self._epoll.unregister(connection)
            del self._connections[connection.fileno()]
            connection.close()
            return
        try:
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or len(fds) != len(spawn.FDS):
                raise BadRecord("spawn request cut short, or without its descriptors")
            message = spawn.decode(data)
            if not isinstance(message, spawn.Spawn):
                raise BadRecord("not a spawn request")
        except BadRecord as err:
            say(f"request refused: {err}")
            for fd in fds:
                os.close(fd)
            return
        try:
            self._spawn(connection, message, fds)
        except OSError as err:
            _refuse(connection, message.job_id, err)

    def _spawn(self, connection: socket.socket, request: spawn.Spawn, fds: list[int]) -> None:
        plan_fd, log, index, work, gate, run_dir = fds
        opened = [plan_fd, work, gate]  # not ours beyond this function
        kept = [log, index, run_dir]
        try:
            stdout, stdout_end = _pipe(opened, kept)
            stderr, stderr_end = _pipe(opened, kept)
            near, far = socket.socketpair(
                socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC
            )
            anchor, anchor_end = near.detach(), far.detach()
            kept.append(anchor)
            opened.append(anchor_end)
            held = supervisor.Held(stdout, stderr, anchor, log, index, run_dir)
            birth = Birth(
                plan=plan_fd,
                work=work,
                gate=gate,
                stdout_end=stdout_end,
                stderr_end=stderr_end,
                anchor_end=anchor_end,
                connection=connection,
            )
            worker = self._assign(request, held, birth)
        except OSError:
            for fd in kept:
                os.close(fd)
            raise
        finally:
            for fd in opened:
                os.close(fd)
        worker.job = Job(request.job_id, held, connection=connection)

    def _assign(self, request: spawn.Spawn, held: supervisor.Held, birth: Birth) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            assert worker.control is not None  # noqa: S101
            try:
                supervisor.assign(worker.control, request, held, birth)
            except BrokenPipeError:
                # killed while it was idle; its end is on the way to us
                continue
            return worker
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        # Before the fork, so that there is nothing to undo after it.
        supervisor.assign(near, request, held, birth)
        pid = self._fork(
            lambda: supervisor.serve(far, self._poke_socket, blank=self._blank, trace=self._trace)
        )
        far.close()
        worker = Worker(pid, near, None)
        self._by_pid[pid] = worker
        self._by_control[near.fileno()] = worker
        self._epoll.register(near, select.EPOLLIN)
        return worker

    def _hear_worker(self, worker: Worker) -> None:
        control = worker.control
        assert control is not None  # noqa: S101
        try:
            data = control.recv(1, socket.MSG_DONTWAIT)
        except BlockingIOError:
            # The event was of one that ended in the same round and had this number before.
            return
        except ConnectionResetError:
            data = b""
        if data != supervisor.DONE or worker.job is None:
            # It ends, and SIGCHLD tells us how.
            self._let_go(worker)
            return
        self._forget(worker.job)
        worker.job = None
        if len(self._idle) < IDLE_MAX:
            self._idle.append(worker)
        else:
            self._let_go(worker)

    def _let_go(self, worker: Worker) -> None:
        if worker.control is not None:
            self._epoll.unregister(worker.control)
            del self._by_control[worker.control.fileno()]
            worker.control.close()
            worker.control = None

    def _fork(self, body: Callable[[], None]) -> int:
        """A child in joblet-supervisors.service, so that our own restart does not touch it."""
        pid, pidfd = self._clone()
        if pid:
            os.close(pidfd)
            return pid
        status = 1
        try:
            body()
            status = 0
        except BaseException as err:
            say(f"supervisor: {type(err).__name__}: {err}")
        finally:
            # A child that returned into our loop would be a second zygote.
            os._exit(status)

    def _clone(self) -> tuple[int, int]:
        if self._cgroup_fd >= 0:
            try:
                return syscalls.clone3(0, self._cgroup_fd)
            except OSError as err:
                # ENODEV: its last process ended, and systemd removed it.
                if err.errno != errno.ENODEV:
                    raise
            os.close(self._cgroup_fd)
            self._cgroup_fd = -1
        self._cgroup_fd = _open_supervisors_cgroup()
        return syscalls.clone3(0, self._cgroup_fd)

    def _hear_signals(self) -> None:
        while True:
            try:
                info = os.read(self._signal_fd, 128)
            except BlockingIOError:
                break
            if int.from_bytes(info[:4], "little") == signal.SIGTERM:
                self._stop = True
        self._reap()

    def _reap(self) -> None:
        ended: dict[int, int] = {}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            ended[pid] = status
        # A killed supervisor and its orphans come in one batch: the kernel hands them over before
        # it shows the supervisor's end.
        for pid, status in ended.items():
            worker = self._by_pid.pop(pid, None)
            if worker is not None:
                self._worker_ended(worker, status, ended)
        for pid, status in ended.items():
            orphan = self._by_first.pop(pid, None)
            if orphan is not None:
                orphan.status = status
                _pass_status(orphan)

    def _worker_ended(self, worker: Worker, status: int, ended: dict[int, int]) -> None:
        self._let_go(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        job = worker.job
        if job is None:
            return
        code = os.waitstatus_to_exitcode(status)
        if code in (0, supervisor.STATUS_STILLBORN):
            self._forget(job)
            return
        say(f"job {job.job_id}: its supervisor ended with {code}")
        record = self._run_record(job)
        if record is None:
            # It had told nobody of its children yet, and they die with it.
            self._forget(job)
            if job.connection is not None:
                killed = ConnectionResetError(errno.ECONNRESET, "its supervisor was killed")
                _refuse(job.connection, job.job_id, killed)
            return
        ours = record.first.pid in ended or _is_child(record.first.pid)
        self._replace(job, record, ours=ours)

    def _lost_adopted(self, job: Job) -> None:
        self._epoll.unregister(job.pidfd)
        del self._by_pidfd[job.pidfd]
        os.close(job.pidfd)
        job.pidfd = -1
        record = self._run_record(job)
        if record is None or _is_sealed(job.held.log):
            self._forget(job)
            return
        say(f"job {job.job_id}: its supervisor is gone")
        # Its orphans went to PID 1, which keeps no wait status for us.
        self._replace(job, record, ours=False)

    def _replace(self, job: Job, record: RunRecord, *, ours: bool) -> None:
        if ours:
            job.first_pid = record.first.pid
            if job.status is None:
                self._by_first[job.first_pid] = job
        job.replacements += 1
        if job.replacements > REPLACEMENTS_MAX:
            say(f"job {job.job_id}: given up after {REPLACEMENTS_MAX} supervisors")
        self._unattended.append((job, record))

    def _patience(self) -> float | None:
        """How long the jobs without a supervisor may wait, in seconds; None: there are none."""
        if not self._unattended:
            return None
        return max(0.0, self._attend_at - time.monotonic())

    def _attend(self) -> None:
        """See to the jobs without a supervisor."""
        unattended, self._unattended = self._unattended, []
        for job, record in unattended:
            try:
                if job.replacements > REPLACEMENTS_MAX:
                    rundir.write_off(job.held.run_dir, job.job_id, record, self._poke_socket)
                    self._forget(job)
                else:
                    self._fork_successor(job, record)
            except OSError as err:
                # No memory, no process, a full /run: not so for ever, and its pipes are in our
                # hands meanwhile.
                say(f"job {job.job_id}: no supervisor yet: {err}")
                self._unattended.append((job, record))
                self._attend_at = time.monotonic() + RETRY_S

    def _fork_successor(self, job: Job, record: RunRecord) -> None:
        status_r = -1
        if job.status_w >= 0:
            # of a replacement that was killed as well
            os.close(job.status_w)
            job.status_w = -1
        if job.first_pid:
            status_r, job.status_w = os.pipe2(os.O_CLOEXEC)
            _pass_status(job)
        try:
            pid = self._fork(
                lambda: supervisor.run_replacement(
                    job.job_id, job.held, record, self._poke_socket, status_r
                )
            )
        finally:
            if status_r >= 0:
                os.close(status_r)
        self._by_pid[pid] = Worker(pid, None, job)

    def _write_off(self, run_dir: int, job_id: str, record: RunRecord) -> None:
        try:
            rundir.write_off(run_dir, job_id, record, self._poke_socket)
        except OSError as err:
            # It has ended, and the next jobletd finds that nobody saw how. The other jobs need us.
            say(f"job {job_id}: {err}")

    def _run_record(self, job: Job) -> RunRecord | None:
        try:
            return run.decode(procfs.read_bytes("run", job.held.run_dir))
        except FileNotFoundError:
            return None

    def _forget(self, job: Job) -> None:
        self._by_first.pop(job.first_pid, None)
        for fd in job.held.numbers():
            os.close(fd)
        if job.status_w >= 0:
            os.close(job.status_w)

    def _adopt_living(self) -> None:
        for job_id in os.listdir(RUN_JOBS):
            if not self._adopt(job_id):
                # What it left is to be seen now: its exit record, or nothing.
                self._adopt(job_id)

    def _adopt(self, job_id: str) -> bool:
        """Watch a job's supervisor if there is one; False: it ended while we looked."""
        try:
            directory = os.open(f"{RUN_JOBS}/{job_id}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                record = run.decode(procfs.read_bytes("run", directory))
                if rundir.is_recorded(directory):
                    # its supervisor may be at work for another job by now
                    return True
                pidfd = rundir.open_process(record.supervisor)
                if pidfd < 0 and rundir.is_recorded(directory):
                    # it wrote that between the two looks, and ended
                    return True
                if pidfd < 0:
                    say(f"job {job_id}: its supervisor died together with joblet-init")
                    self._write_off(directory, job_id, record)
                    return True
            finally:
                os.close(directory)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except BadRecord as err:
            say(f"job {job_id}: {err}")
            return True
        copies: list[int] = []
        try:
            for number in record.descriptors:
                copies.append(syscalls.pidfd_getfd(pidfd, number))
        except OSError:
            for fd in (*copies, pidfd):
                os.close(fd)
            return False
        job = Job(job_id, supervisor.Held(*copies), pidfd=pidfd)
        self._by_pidfd[pidfd] = job
        self._epoll.register(pidfd, select.EPOLLIN)
        return True


def _refuse(connection: socket.socket, job_id: str, err: OSError) -> None:
    name = str(err.filename or "")
    answer = spawn.Failed(job_id, "fork", err.errno or 0, name, str(err), False)
    try:
        connection.send(answer.encode())
    except OSError:
        # jobletd is gone too; the next one finds that nothing of this job exists
        say(f"job {job_id}: {err}")


def _open_supervisors_cgroup() -> int:
    # systemd removes the cgroup of an active service whose last process has ended, and leaves alone
    # what others make at that place.
    if not os.path.isdir(HOME_CGROUP):
        os.mkdir(HOME_CGROUP)
    return os.open(HOME_CGROUP, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _pipe(opened: list[int], kept: list[int]) -> tuple[int, int]:
    near, far = os.pipe2(os.O_CLOEXEC)
    kept.append(near)
    opened.append(far)
    return near, far


def _pass_status(job: Job) -> None:
    if job.status is None or job.status_w < 0:
        return
    try:
        os.write(job.status_w, job.status.to_bytes(4, "little"))
    except BrokenPipeError:
        # that replacement is dead as well; the next one gets it
        pass
    os.close(job.status_w)
    job.status_w = -1


def _is_child(pid: int) -> bool:
    try:
        fields = procfs.read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except OSError:
        return False
    return int(fields[1]) == os.getpid()


def _is_sealed(log_fd: int) -> bool:
    return not os.fstat(log_fd).st_mode & 0o200


def say(text: str) -> None:
    """One line for the journal."""
    os.write(2, f"<4>joblet-init: {text}\n".encode())


def notify_ready() -> None:
    """READY=1 to the manager, if it asked for it (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto(b"READY=1", address)


def main() -> None:
    """Entry point of the launcher that ExecStart names."""
    if os.environ.get("LISTEN_FDS") != "1":
        sys.exit("joblet-init: no listening socket: start joblet-init.socket")
    # A child must not find what was meant for us.
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)
    os.set_inheritable(LISTEN_FD, False)
    listener = socket.socket(fileno=LISTEN_FD)
    syscalls.set_process_name(b"joblet-init")
    Zygote(listener, trace=os.environ.get("JOBLET_INIT_TRACE") == "1").run()
