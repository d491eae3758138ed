from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Answer(_message.Message):
    __slots__ = ["error", "status"]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    error: Error
    status: Status
    def __init__(self, status: _Optional[_Union[Status, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ...) -> None: ...

class Answers(_message.Message):
    __slots__ = ["answers"]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    answers: _containers.RepeatedCompositeFieldContainer[Answer]
    def __init__(self, answers: _Optional[_Iterable[_Union[Answer, _Mapping]]] = ...) -> None: ...

class DeleteAllRequest(_message.Message):
    __slots__ = ["everybody"]
    EVERYBODY_FIELD_NUMBER: _ClassVar[int]
    everybody: bool
    def __init__(self, everybody: bool = ...) -> None: ...

class DeleteAllResponse(_message.Message):
    __slots__ = ["deleted", "skipped"]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    deleted: int
    skipped: int
    def __init__(self, deleted: _Optional[int] = ..., skipped: _Optional[int] = ...) -> None: ...

class Entries(_message.Message):
    __slots__ = ["items"]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Entry]
    def __init__(self, items: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ...) -> None: ...

class Entry(_message.Message):
    __slots__ = ["name", "value"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: Value
    def __init__(self, name: _Optional[str] = ..., value: _Optional[_Union[Value, _Mapping]] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ["code", "message"]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ["event", "exit_code", "id", "reason", "state", "time_usec"]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    TIME_USEC_FIELD_NUMBER: _ClassVar[int]
    event: str
    exit_code: int
    id: str
    reason: str
    state: str
    time_usec: int
    def __init__(self, event: _Optional[str] = ..., id: _Optional[str] = ..., time_usec: _Optional[int] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., exit_code: _Optional[int] = ...) -> None: ...

class Explanation(_message.Message):
    __slots__ = ["due_usec", "properties", "spec", "state", "steps", "unit"]
    DUE_USEC_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    due_usec: int
    properties: _containers.RepeatedCompositeFieldContainer[Entry]
    spec: _containers.RepeatedCompositeFieldContainer[Entry]
    state: str
    steps: _containers.RepeatedScalarFieldContainer[str]
    unit: str
    def __init__(self, state: _Optional[str] = ..., due_usec: _Optional[int] = ..., spec: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., unit: _Optional[str] = ..., properties: _Optional[_Iterable[_Union[Entry, _Mapping]]] = ..., steps: _Optional[_Iterable[str]] = ...) -> None: ...

class FilesPiece(_message.Message):
    __slots__ = ["tar"]
    TAR_FIELD_NUMBER: _ClassVar[int]
    tar: bytes
    def __init__(self, tar: _Optional[bytes] = ...) -> None: ...

class FilesRequest(_message.Message):
    __slots__ = ["job", "path"]
    JOB_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    job: str
    path: str
    def __init__(self, job: _Optional[str] = ..., path: _Optional[str] = ...) -> None: ...

class HostStatusRequest(_message.Message):
    __slots__ = ["groups", "window_usec"]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_USEC_FIELD_NUMBER: _ClassVar[int]
    groups: _containers.RepeatedScalarFieldContainer[str]
    window_usec: int
    def __init__(self, groups: _Optional[_Iterable[str]] = ..., window_usec: _Optional[int] = ...) -> None: ...

class HostUsage(_message.Message):
    __slots__ = ["cpu_usec", "cpus", "hostname", "load", "max_running_jobs", "memory_available_bytes", "memory_bytes", "running_jobs", "tasks", "version", "waiting_jobs"]
    CPUS_FIELD_NUMBER: _ClassVar[int]
    CPU_USEC_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNNING_JOBS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_AVAILABLE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    RUNNING_JOBS_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WAITING_JOBS_FIELD_NUMBER: _ClassVar[int]
    cpu_usec: int
    cpus: int
    hostname: str
    load: float
    max_running_jobs: int
    memory_available_bytes: int
    memory_bytes: int
    running_jobs: int
    tasks: int
    version: str
    waiting_jobs: int
    def __init__(self, hostname: _Optional[str] = ..., version: _Optional[str] = ..., cpus: _Optional[int] = ..., cpu_usec: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., memory_available_bytes: _Optional[int] = ..., tasks: _Optional[int] = ..., load: _Optional[float] = ..., running_jobs: _Optional[int] = ..., waiting_jobs: _Optional[int] = ..., max_running_jobs: _Optional[int] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ["id"]
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class JobUsage(_message.Message):
    __slots__ = ["args", "command", "cpu_usec", "id", "io_read_bytes", "io_write_bytes", "max_cpu", "max_memory", "memory_bytes", "name", "owner_uid", "started_usec", "tasks"]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    CPU_USEC_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    IO_READ_BYTES_FIELD_NUMBER: _ClassVar[int]
    IO_WRITE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_CPU_FIELD_NUMBER: _ClassVar[int]
    MAX_MEMORY_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    OWNER_UID_FIELD_NUMBER: _ClassVar[int]
    STARTED_USEC_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    args: _containers.RepeatedScalarFieldContainer[str]
    command: str
    cpu_usec: int
    id: str
    io_read_bytes: int
    io_write_bytes: int
    max_cpu: int
    max_memory: int
    memory_bytes: int
    name: str
    owner_uid: int
    started_usec: int
    tasks: int
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., owner_uid: _Optional[int] = ..., started_usec: _Optional[int] = ..., command: _Optional[str] = ..., args: _Optional[_Iterable[str]] = ..., max_cpu: _Optional[int] = ..., max_memory: _Optional[int] = ..., cpu_usec: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., tasks: _Optional[int] = ..., io_read_bytes: _Optional[int] = ..., io_write_bytes: _Optional[int] = ...) -> None: ...

class LogPiece(_message.Message):
    __slots__ = ["after", "data", "lost_bytes", "stream", "time_ns"]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    LOST_BYTES_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    after: int
    data: bytes
    lost_bytes: int
    stream: str
    time_ns: int
    def __init__(self, stream: _Optional[str] = ..., time_ns: _Optional[int] = ..., data: _Optional[bytes] = ..., lost_bytes: _Optional[int] = ..., after: _Optional[int] = ...) -> None: ...

class LogRequest(_message.Message):
    __slots__ = ["follow", "job", "offset", "since_usec", "stream", "tail_lines"]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    SINCE_USEC_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    TAIL_LINES_FIELD_NUMBER: _ClassVar[int]
    follow: bool
    job: str
    offset: int
    since_usec: int
    stream: str
    tail_lines: int
    def __init__(self, job: _Optional[str] = ..., follow: bool = ..., tail_lines: _Optional[int] = ..., since_usec: _Optional[int] = ..., stream: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class MetricsRequest(_message.Message):
    __slots__ = ["after", "follow", "job", "since_usec", "until_usec"]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    SINCE_USEC_FIELD_NUMBER: _ClassVar[int]
    UNTIL_USEC_FIELD_NUMBER: _ClassVar[int]
    after: int
    follow: bool
    job: str
    since_usec: int
    until_usec: int
    def __init__(self, job: _Optional[str] = ..., follow: bool = ..., since_usec: _Optional[int] = ..., until_usec: _Optional[int] = ..., after: _Optional[int] = ...) -> None: ...

class Nothing(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class Page(_message.Message):
    __slots__ = ["jobs", "next"]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Status]
    next: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[Status, _Mapping]]] = ..., next: _Optional[str] = ...) -> None: ...

class Query(_message.Message):
    __slots__ = ["cursor", "limit", "mine", "states"]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    MINE_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    limit: int
    mine: bool
    states: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, states: _Optional[_Iterable[str]] = ..., mine: bool = ..., limit: _Optional[int] = ..., cursor: _Optional[str] = ...) -> None: ...

class References(_message.Message):
    __slots__ = ["jobs"]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, jobs: _Optional[_Iterable[str]] = ...) -> None: ...

class RunPart(_message.Message):
    __slots__ = ["request", "tar"]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    TAR_FIELD_NUMBER: _ClassVar[int]
    request: RunRequest
    tar: bytes
    def __init__(self, request: _Optional[_Union[RunRequest, _Mapping]] = ..., tar: _Optional[bytes] = ...) -> None: ...

class RunRequest(_message.Message):
    __slots__ = ["secrets", "spec", "upload"]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_FIELD_NUMBER: _ClassVar[int]
    secrets: _containers.RepeatedCompositeFieldContainer[Variable]
    spec: Spec
    upload: bool
    def __init__(self, spec: _Optional[_Union[Spec, _Mapping]] = ..., secrets: _Optional[_Iterable[_Union[Variable, _Mapping]]] = ..., upload: bool = ...) -> None: ...

class Spec(_message.Message):
    __slots__ = ["args", "command", "cpu_cores", "cpu_weight", "environment", "init", "io_weight", "max_cpu", "max_io_bps", "max_iops", "max_memory", "max_shm", "max_tasks", "max_tmp", "max_work", "name", "network", "start_at_usec", "stop_grace_usec", "timeout_usec", "user"]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    CPU_CORES_FIELD_NUMBER: _ClassVar[int]
    CPU_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    INIT_FIELD_NUMBER: _ClassVar[int]
    IO_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    MAX_CPU_FIELD_NUMBER: _ClassVar[int]
    MAX_IOPS_FIELD_NUMBER: _ClassVar[int]
    MAX_IO_BPS_FIELD_NUMBER: _ClassVar[int]
    MAX_MEMORY_FIELD_NUMBER: _ClassVar[int]
    MAX_SHM_FIELD_NUMBER: _ClassVar[int]
    MAX_TASKS_FIELD_NUMBER: _ClassVar[int]
    MAX_TMP_FIELD_NUMBER: _ClassVar[int]
    MAX_WORK_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    START_AT_USEC_FIELD_NUMBER: _ClassVar[int]
    STOP_GRACE_USEC_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_USEC_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    args: _containers.RepeatedScalarFieldContainer[str]
    command: str
    cpu_cores: str
    cpu_weight: int
    environment: _containers.RepeatedCompositeFieldContainer[Variable]
    init: bool
    io_weight: int
    max_cpu: int
    max_io_bps: int
    max_iops: int
    max_memory: int
    max_shm: int
    max_tasks: int
    max_tmp: int
    max_work: int
    name: str
    network: str
    start_at_usec: int
    stop_grace_usec: int
    timeout_usec: int
    user: int
    def __init__(self, command: _Optional[str] = ..., args: _Optional[_Iterable[str]] = ..., name: _Optional[str] = ..., environment: _Optional[_Iterable[_Union[Variable, _Mapping]]] = ..., timeout_usec: _Optional[int] = ..., stop_grace_usec: _Optional[int] = ..., start_at_usec: _Optional[int] = ..., max_cpu: _Optional[int] = ..., cpu_weight: _Optional[int] = ..., cpu_cores: _Optional[str] = ..., max_memory: _Optional[int] = ..., max_io_bps: _Optional[int] = ..., max_iops: _Optional[int] = ..., io_weight: _Optional[int] = ..., max_tasks: _Optional[int] = ..., max_work: _Optional[int] = ..., max_tmp: _Optional[int] = ..., max_shm: _Optional[int] = ..., user: _Optional[int] = ..., network: _Optional[str] = ..., init: bool = ...) -> None: ...

class Status(_message.Message):
    __slots__ = ["args", "command", "cpu_cores", "cpu_usec", "cpu_weight", "detail", "due_usec", "environment", "exit_code", "finished_usec", "id", "init", "io_read_bytes", "io_weight", "io_write_bytes", "log_bytes", "log_dropped_bytes", "max_cpu", "max_io_bps", "max_iops", "max_memory", "max_shm", "max_tasks", "max_tmp", "max_work", "memory_peak_bytes", "name", "network", "owner_uid", "path", "queue_usec", "reason", "remote_role", "remote_subject", "run_usec", "secrets", "started_usec", "state", "stop_grace_usec", "submitted_usec", "timeout_usec", "unit", "uploaded", "user"]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    CPU_CORES_FIELD_NUMBER: _ClassVar[int]
    CPU_USEC_FIELD_NUMBER: _ClassVar[int]
    CPU_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    DUE_USEC_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    FINISHED_USEC_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    INIT_FIELD_NUMBER: _ClassVar[int]
    IO_READ_BYTES_FIELD_NUMBER: _ClassVar[int]
    IO_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    IO_WRITE_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOG_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOG_DROPPED_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_CPU_FIELD_NUMBER: _ClassVar[int]
    MAX_IOPS_FIELD_NUMBER: _ClassVar[int]
    MAX_IO_BPS_FIELD_NUMBER: _ClassVar[int]
    MAX_MEMORY_FIELD_NUMBER: _ClassVar[int]
    MAX_SHM_FIELD_NUMBER: _ClassVar[int]
    MAX_TASKS_FIELD_NUMBER: _ClassVar[int]
    MAX_TMP_FIELD_NUMBER: _ClassVar[int]
    MAX_WORK_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PEAK_BYTES_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    OWNER_UID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    QUEUE_USEC_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REMOTE_ROLE_FIELD_NUMBER: _ClassVar[int]
    REMOTE_SUBJECT_FIELD_NUMBER: _ClassVar[int]
    RUN_USEC_FIELD_NUMBER: _ClassVar[int]
    SECRETS_FIELD_NUMBER: _ClassVar[int]
    STARTED_USEC_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STOP_GRACE_USEC_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_USEC_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_USEC_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    UPLOADED_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    args: Words
    command: str
    cpu_cores: str
    cpu_usec: int
    cpu_weight: int
    detail: str
    due_usec: int
    environment: Variables
    exit_code: int
    finished_usec: int
    id: str
    init: bool
    io_read_bytes: int
    io_weight: int
    io_write_bytes: int
    log_bytes: int
    log_dropped_bytes: int
    max_cpu: int
    max_io_bps: int
    max_iops: int
    max_memory: int
    max_shm: int
    max_tasks: int
    max_tmp: int
    max_work: int
    memory_peak_bytes: int
    name: str
    network: str
    owner_uid: int
    path: str
    queue_usec: int
    reason: str
    remote_role: str
    remote_subject: str
    run_usec: int
    secrets: Variables
    started_usec: int
    state: str
    stop_grace_usec: int
    submitted_usec: int
    timeout_usec: int
    unit: str
    uploaded: bool
    user: int
    def __init__(self, id: _Optional[str] = ..., path: _Optional[str] = ..., name: _Optional[str] = ..., state: _Optional[str] = ..., owner_uid: _Optional[int] = ..., remote_subject: _Optional[str] = ..., remote_role: _Optional[str] = ..., unit: _Optional[str] = ..., submitted_usec: _Optional[int] = ..., due_usec: _Optional[int] = ..., started_usec: _Optional[int] = ..., finished_usec: _Optional[int] = ..., queue_usec: _Optional[int] = ..., run_usec: _Optional[int] = ..., reason: _Optional[str] = ..., exit_code: _Optional[int] = ..., detail: _Optional[str] = ..., cpu_usec: _Optional[int] = ..., memory_peak_bytes: _Optional[int] = ..., io_read_bytes: _Optional[int] = ..., io_write_bytes: _Optional[int] = ..., log_bytes: _Optional[int] = ..., log_dropped_bytes: _Optional[int] = ..., command: _Optional[str] = ..., args: _Optional[_Union[Words, _Mapping]] = ..., environment: _Optional[_Union[Variables, _Mapping]] = ..., secrets: _Optional[_Union[Variables, _Mapping]] = ..., uploaded: bool = ..., timeout_usec: _Optional[int] = ..., stop_grace_usec: _Optional[int] = ..., max_cpu: _Optional[int] = ..., cpu_weight: _Optional[int] = ..., cpu_cores: _Optional[str] = ..., max_memory: _Optional[int] = ..., max_io_bps: _Optional[int] = ..., max_iops: _Optional[int] = ..., io_weight: _Optional[int] = ..., max_tasks: _Optional[int] = ..., max_work: _Optional[int] = ..., max_tmp: _Optional[int] = ..., max_shm: _Optional[int] = ..., user: _Optional[int] = ..., network: _Optional[str] = ..., init: bool = ...) -> None: ...

class Told(_message.Message):
    __slots__ = ["json"]
    JSON_FIELD_NUMBER: _ClassVar[int]
    json: bytes
    def __init__(self, json: _Optional[bytes] = ...) -> None: ...

class UpdateRequest(_message.Message):
    __slots__ = ["job", "limits"]
    JOB_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    job: str
    limits: Spec
    def __init__(self, job: _Optional[str] = ..., limits: _Optional[_Union[Spec, _Mapping]] = ...) -> None: ...

class UsageReport(_message.Message):
    __slots__ = ["clock_usec", "host", "jobs"]
    CLOCK_USEC_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    clock_usec: int
    host: HostUsage
    jobs: _containers.RepeatedCompositeFieldContainer[JobUsage]
    def __init__(self, clock_usec: _Optional[int] = ..., host: _Optional[_Union[HostUsage, _Mapping]] = ..., jobs: _Optional[_Iterable[_Union[JobUsage, _Mapping]]] = ...) -> None: ...

class Value(_message.Message):
    __slots__ = ["data", "entries", "flag", "list", "number", "real", "signed", "text"]
    DATA_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    REAL_FIELD_NUMBER: _ClassVar[int]
    SIGNED_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    entries: Entries
    flag: bool
    list: Values
    number: int
    real: float
    signed: int
    text: str
    def __init__(self, text: _Optional[str] = ..., number: _Optional[int] = ..., signed: _Optional[int] = ..., flag: bool = ..., data: _Optional[bytes] = ..., real: _Optional[float] = ..., list: _Optional[_Union[Values, _Mapping]] = ..., entries: _Optional[_Union[Entries, _Mapping]] = ...) -> None: ...

class Values(_message.Message):
    __slots__ = ["items"]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Value]
    def __init__(self, items: _Optional[_Iterable[_Union[Value, _Mapping]]] = ...) -> None: ...

class Variable(_message.Message):
    __slots__ = ["name", "value"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...

class Variables(_message.Message):
    __slots__ = ["items"]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Variable]
    def __init__(self, items: _Optional[_Iterable[_Union[Variable, _Mapping]]] = ...) -> None: ...

class VersionResponse(_message.Message):
    __slots__ = ["version"]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: str
    def __init__(self, version: _Optional[str] = ...) -> None: ...

class WaitRequest(_message.Message):
    __slots__ = ["job", "timeout_usec"]
    JOB_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_USEC_FIELD_NUMBER: _ClassVar[int]
    job: str
    timeout_usec: int
    def __init__(self, job: _Optional[str] = ..., timeout_usec: _Optional[int] = ...) -> None: ...

class Words(_message.Message):
    __slots__ = ["items"]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, items: _Optional[_Iterable[str]] = ...) -> None: ...
