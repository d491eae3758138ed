from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class BuildLogLine(_message.Message):
    __slots__ = ["level", "message", "timestamp"]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    level: str
    message: str
    timestamp: int
    def __init__(self, level: _Optional[str] = ..., message: _Optional[str] = ..., timestamp: _Optional[int] = ...) -> None: ...

class BuildPhaseProgress(_message.Message):
    __slots__ = ["message", "phase_name", "phase_number", "total_phases"]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PHASE_NAME_FIELD_NUMBER: _ClassVar[int]
    PHASE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    TOTAL_PHASES_FIELD_NUMBER: _ClassVar[int]
    message: str
    phase_name: str
    phase_number: int
    total_phases: int
    def __init__(self, phase_number: _Optional[int] = ..., total_phases: _Optional[int] = ..., phase_name: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class BuildResult(_message.Message):
    __slots__ = ["build_duration_ms", "install_path", "message", "runtime_name", "runtime_version", "size_bytes", "success"]
    BUILD_DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    INSTALL_PATH_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_NAME_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_VERSION_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    build_duration_ms: int
    install_path: str
    message: str
    runtime_name: str
    runtime_version: str
    size_bytes: int
    success: bool
    def __init__(self, success: bool = ..., message: _Optional[str] = ..., runtime_name: _Optional[str] = ..., runtime_version: _Optional[str] = ..., install_path: _Optional[str] = ..., size_bytes: _Optional[int] = ..., build_duration_ms: _Optional[int] = ...) -> None: ...

class BuildRuntimeProgress(_message.Message):
    __slots__ = ["log", "phase", "result"]
    LOG_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    log: BuildLogLine
    phase: BuildPhaseProgress
    result: BuildResult
    def __init__(self, phase: _Optional[_Union[BuildPhaseProgress, _Mapping]] = ..., log: _Optional[_Union[BuildLogLine, _Mapping]] = ..., result: _Optional[_Union[BuildResult, _Mapping]] = ...) -> None: ...

class BuildRuntimeRequest(_message.Message):
    __slots__ = ["dry_run", "force_rebuild", "verbose", "yaml_content"]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    FORCE_REBUILD_FIELD_NUMBER: _ClassVar[int]
    VERBOSE_FIELD_NUMBER: _ClassVar[int]
    YAML_CONTENT_FIELD_NUMBER: _ClassVar[int]
    dry_run: bool
    force_rebuild: bool
    verbose: bool
    yaml_content: str
    def __init__(self, yaml_content: _Optional[str] = ..., dry_run: bool = ..., verbose: bool = ..., force_rebuild: bool = ...) -> None: ...

class CPUMetrics(_message.Message):
    __slots__ = ["cores", "idle_time", "io_wait_time", "load_average", "per_core_usage", "steal_time", "system_time", "usage_percent", "user_time"]
    CORES_FIELD_NUMBER: _ClassVar[int]
    IDLE_TIME_FIELD_NUMBER: _ClassVar[int]
    IO_WAIT_TIME_FIELD_NUMBER: _ClassVar[int]
    LOAD_AVERAGE_FIELD_NUMBER: _ClassVar[int]
    PER_CORE_USAGE_FIELD_NUMBER: _ClassVar[int]
    STEAL_TIME_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_TIME_FIELD_NUMBER: _ClassVar[int]
    USAGE_PERCENT_FIELD_NUMBER: _ClassVar[int]
    USER_TIME_FIELD_NUMBER: _ClassVar[int]
    cores: int
    idle_time: float
    io_wait_time: float
    load_average: _containers.RepeatedScalarFieldContainer[float]
    per_core_usage: _containers.RepeatedScalarFieldContainer[float]
    steal_time: float
    system_time: float
    usage_percent: float
    user_time: float
    def __init__(self, cores: _Optional[int] = ..., usage_percent: _Optional[float] = ..., user_time: _Optional[float] = ..., system_time: _Optional[float] = ..., idle_time: _Optional[float] = ..., io_wait_time: _Optional[float] = ..., steal_time: _Optional[float] = ..., load_average: _Optional[_Iterable[float]] = ..., per_core_usage: _Optional[_Iterable[float]] = ...) -> None: ...

class CancelJobRequest(_message.Message):
    __slots__ = ["uuid"]
    UUID_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    def __init__(self, uuid: _Optional[str] = ...) -> None: ...

class CancelJobResponse(_message.Message):
    __slots__ = ["status", "uuid"]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    status: str
    uuid: str
    def __init__(self, uuid: _Optional[str] = ..., status: _Optional[str] = ...) -> None: ...

class CloudInfo(_message.Message):
    __slots__ = ["hypervisor_type", "instance_id", "instance_type", "metadata", "provider", "region", "zone"]
    class MetadataEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    HYPERVISOR_TYPE_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    INSTANCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    hypervisor_type: str
    instance_id: str
    instance_type: str
    metadata: _containers.ScalarMap[str, str]
    provider: str
    region: str
    zone: str
    def __init__(self, provider: _Optional[str] = ..., region: _Optional[str] = ..., zone: _Optional[str] = ..., instance_id: _Optional[str] = ..., instance_type: _Optional[str] = ..., hypervisor_type: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class CreateNetworkRequest(_message.Message):
    __slots__ = ["cidr", "name"]
    CIDR_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    cidr: str
    name: str
    def __init__(self, name: _Optional[str] = ..., cidr: _Optional[str] = ...) -> None: ...

class CreateNetworkResponse(_message.Message):
    __slots__ = ["bridge", "cidr", "name"]
    BRIDGE_FIELD_NUMBER: _ClassVar[int]
    CIDR_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    bridge: str
    cidr: str
    name: str
    def __init__(self, name: _Optional[str] = ..., cidr: _Optional[str] = ..., bridge: _Optional[str] = ...) -> None: ...

class CreateVolumeRequest(_message.Message):
    __slots__ = ["name", "size", "type"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    size: str
    type: str
    def __init__(self, name: _Optional[str] = ..., size: _Optional[str] = ..., type: _Optional[str] = ...) -> None: ...

class CreateVolumeResponse(_message.Message):
    __slots__ = ["name", "path", "size", "type"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    name: str
    path: str
    size: str
    type: str
    def __init__(self, name: _Optional[str] = ..., size: _Optional[str] = ..., type: _Optional[str] = ..., path: _Optional[str] = ...) -> None: ...

class DataChunk(_message.Message):
    __slots__ = ["payload"]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    payload: bytes
    def __init__(self, payload: _Optional[bytes] = ...) -> None: ...

class DeleteAllJobsRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class DeleteAllJobsResponse(_message.Message):
    __slots__ = ["deleted_count", "message", "skipped_count", "success"]
    DELETED_COUNT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    deleted_count: int
    message: str
    skipped_count: int
    success: bool
    def __init__(self, success: bool = ..., message: _Optional[str] = ..., deleted_count: _Optional[int] = ..., skipped_count: _Optional[int] = ...) -> None: ...

class DeleteJobRequest(_message.Message):
    __slots__ = ["uuid"]
    UUID_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    def __init__(self, uuid: _Optional[str] = ...) -> None: ...

class DeleteJobResponse(_message.Message):
    __slots__ = ["message", "success", "uuid"]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    message: str
    success: bool
    uuid: str
    def __init__(self, uuid: _Optional[str] = ..., success: bool = ..., message: _Optional[str] = ...) -> None: ...

class DeviceIOMetrics(_message.Message):
    __slots__ = ["device", "discard_bytes", "discard_ops", "read_bytes", "read_ops", "write_bytes", "write_ops"]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    DISCARD_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISCARD_OPS_FIELD_NUMBER: _ClassVar[int]
    READ_BYTES_FIELD_NUMBER: _ClassVar[int]
    READ_OPS_FIELD_NUMBER: _ClassVar[int]
    WRITE_BYTES_FIELD_NUMBER: _ClassVar[int]
    WRITE_OPS_FIELD_NUMBER: _ClassVar[int]
    device: str
    discard_bytes: int
    discard_ops: int
    read_bytes: int
    read_ops: int
    write_bytes: int
    write_ops: int
    def __init__(self, device: _Optional[str] = ..., read_bytes: _Optional[int] = ..., write_bytes: _Optional[int] = ..., read_ops: _Optional[int] = ..., write_ops: _Optional[int] = ..., discard_bytes: _Optional[int] = ..., discard_ops: _Optional[int] = ...) -> None: ...

class DiskIOMetrics(_message.Message):
    __slots__ = ["device", "io_time", "read_bytes", "read_time", "reads_completed", "utilization", "write_bytes", "write_time", "writes_completed"]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    IO_TIME_FIELD_NUMBER: _ClassVar[int]
    READS_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    READ_BYTES_FIELD_NUMBER: _ClassVar[int]
    READ_TIME_FIELD_NUMBER: _ClassVar[int]
    UTILIZATION_FIELD_NUMBER: _ClassVar[int]
    WRITES_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    WRITE_BYTES_FIELD_NUMBER: _ClassVar[int]
    WRITE_TIME_FIELD_NUMBER: _ClassVar[int]
    device: str
    io_time: int
    read_bytes: int
    read_time: int
    reads_completed: int
    utilization: float
    write_bytes: int
    write_time: int
    writes_completed: int
    def __init__(self, device: _Optional[str] = ..., reads_completed: _Optional[int] = ..., writes_completed: _Optional[int] = ..., read_bytes: _Optional[int] = ..., write_bytes: _Optional[int] = ..., read_time: _Optional[int] = ..., write_time: _Optional[int] = ..., io_time: _Optional[int] = ..., utilization: _Optional[float] = ...) -> None: ...

class DiskMetrics(_message.Message):
    __slots__ = ["device", "filesystem", "free_bytes", "inodes_free", "inodes_total", "inodes_usage_percent", "inodes_used", "mount_point", "total_bytes", "usage_percent", "used_bytes"]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    FILESYSTEM_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    INODES_FREE_FIELD_NUMBER: _ClassVar[int]
    INODES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    INODES_USAGE_PERCENT_FIELD_NUMBER: _ClassVar[int]
    INODES_USED_FIELD_NUMBER: _ClassVar[int]
    MOUNT_POINT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    USAGE_PERCENT_FIELD_NUMBER: _ClassVar[int]
    USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    device: str
    filesystem: str
    free_bytes: int
    inodes_free: int
    inodes_total: int
    inodes_usage_percent: float
    inodes_used: int
    mount_point: str
    total_bytes: int
    usage_percent: float
    used_bytes: int
    def __init__(self, device: _Optional[str] = ..., mount_point: _Optional[str] = ..., filesystem: _Optional[str] = ..., total_bytes: _Optional[int] = ..., used_bytes: _Optional[int] = ..., free_bytes: _Optional[int] = ..., usage_percent: _Optional[float] = ..., inodes_total: _Optional[int] = ..., inodes_used: _Optional[int] = ..., inodes_free: _Optional[int] = ..., inodes_usage_percent: _Optional[float] = ...) -> None: ...

class EmptyRequest(_message.Message):
    __slots__ = []
    def __init__(self) -> None: ...

class FileUpload(_message.Message):
    __slots__ = ["content", "is_directory", "mode", "path"]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    IS_DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    is_directory: bool
    mode: int
    path: str
    def __init__(self, path: _Optional[str] = ..., content: _Optional[bytes] = ..., mode: _Optional[int] = ..., is_directory: bool = ...) -> None: ...

class GetJobLogsRequest(_message.Message):
    __slots__ = ["uuid"]
    UUID_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    def __init__(self, uuid: _Optional[str] = ...) -> None: ...

class GetJobMetricsRequest(_message.Message):
    __slots__ = ["end_time", "job_uuid", "limit", "start_time"]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    JOB_UUID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    end_time: int
    job_uuid: str
    limit: int
    start_time: int
    def __init__(self, job_uuid: _Optional[str] = ..., start_time: _Optional[int] = ..., end_time: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class GetJobStatusRequest(_message.Message):
    __slots__ = ["uuid"]
    UUID_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    def __init__(self, uuid: _Optional[str] = ...) -> None: ...

class GetJobStatusResponse(_message.Message):
    __slots__ = ["args", "command", "cpu_cores", "dependencies", "end_time", "environment", "exit_code", "gpu_count", "gpu_indices", "gpu_memory_mb", "max_cpu", "max_io_bps", "max_memory", "name", "network", "node_id", "runtime", "scheduled_time", "secret_environment", "start_time", "status", "timeout", "uploads", "uuid", "volumes", "work_dir", "workflow_uuid"]
    class EnvironmentEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class SecretEnvironmentEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ARGS_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    CPU_CORES_FIELD_NUMBER: _ClassVar[int]
    DEPENDENCIES_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    GPU_COUNT_FIELD_NUMBER: _ClassVar[int]
    GPU_INDICES_FIELD_NUMBER: _ClassVar[int]
    GPU_MEMORY_MB_FIELD_NUMBER: _ClassVar[int]
    MAX_CPU_FIELD_NUMBER: _ClassVar[int]
    MAX_IO_BPS_FIELD_NUMBER: _ClassVar[int]
    MAX_MEMORY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_TIME_FIELD_NUMBER: _ClassVar[int]
    SECRET_ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    UPLOADS_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    VOLUMES_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_UUID_FIELD_NUMBER: _ClassVar[int]
    WORK_DIR_FIELD_NUMBER: _ClassVar[int]
    args: _containers.RepeatedScalarFieldContainer[str]
    command: str
    cpu_cores: str
    dependencies: _containers.RepeatedScalarFieldContainer[str]
    end_time: str
    environment: _containers.ScalarMap[str, str]
    exit_code: int
    gpu_count: int
    gpu_indices: _containers.RepeatedScalarFieldContainer[int]
    gpu_memory_mb: int
    max_cpu: int
    max_io_bps: int
    max_memory: int
    name: str
    network: str
    node_id: str
    runtime: str
    scheduled_time: str
    secret_environment: _containers.ScalarMap[str, str]
    start_time: str
    status: str
    timeout: str
    uploads: _containers.RepeatedScalarFieldContainer[str]
    uuid: str
    volumes: _containers.RepeatedScalarFieldContainer[str]
    work_dir: str
    workflow_uuid: str
    def __init__(self, uuid: _Optional[str] = ..., name: _Optional[str] = ..., command: _Optional[str] = ..., args: _Optional[_Iterable[str]] = ..., max_cpu: _Optional[int] = ..., cpu_cores: _Optional[str] = ..., max_memory: _Optional[int] = ..., max_io_bps: _Optional[int] = ..., status: _Optional[str] = ..., start_time: _Optional[str] = ..., end_time: _Optional[str] = ..., exit_code: _Optional[int] = ..., scheduled_time: _Optional[str] = ..., environment: _Optional[_Mapping[str, str]] = ..., secret_environment: _Optional[_Mapping[str, str]] = ..., network: _Optional[str] = ..., volumes: _Optional[_Iterable[str]] = ..., runtime: _Optional[str] = ..., work_dir: _Optional[str] = ..., uploads: _Optional[_Iterable[str]] = ..., dependencies: _Optional[_Iterable[str]] = ..., workflow_uuid: _Optional[str] = ..., gpu_indices: _Optional[_Iterable[int]] = ..., gpu_count: _Optional[int] = ..., gpu_memory_mb: _Optional[int] = ..., node_id: _Optional[str] = ..., timeout: _Optional[str] = ...) -> None: ...

class GetJobTelematicsRequest(_message.Message):
    __slots__ = ["end_time", "job_uuid", "limit", "start_time", "types"]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    JOB_UUID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    end_time: int
    job_uuid: str
    limit: int
    start_time: int
    types: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_uuid: _Optional[str] = ..., types: _Optional[_Iterable[str]] = ..., start_time: _Optional[int] = ..., end_time: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class GetRuntimeInfoRequest(_message.Message):
    __slots__ = ["runtime"]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    runtime: str
    def __init__(self, runtime: _Optional[str] = ...) -> None: ...

class GetRuntimeInfoResponse(_message.Message):
    __slots__ = ["found", "runtime"]
    FOUND_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    found: bool
    runtime: RuntimeInfo
    def __init__(self, runtime: _Optional[_Union[RuntimeInfo, _Mapping]] = ..., found: bool = ...) -> None: ...

class GetTelemetryRequest(_message.Message):
    __slots__ = ["end_time", "job_uuid", "limit", "start_time", "types"]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    JOB_UUID_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    end_time: int
    job_uuid: str
    limit: int
    start_time: int
    types: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_uuid: _Optional[str] = ..., types: _Optional[_Iterable[str]] = ..., start_time: _Optional[int] = ..., end_time: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class GetWorkflowJobsRequest(_message.Message):
    __slots__ = ["workflow_uuid"]
    WORKFLOW_UUID_FIELD_NUMBER: _ClassVar[int]
    workflow_uuid: str
    def __init__(self, workflow_uuid: _Optional[str] = ...) -> None: ...

class GetWorkflowJobsResponse(_message.Message):
    __slots__ = ["jobs"]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[WorkflowJob]
    def __init__(self, jobs: _Optional[_Iterable[_Union[WorkflowJob, _Mapping]]] = ...) -> None: ...

class GetWorkflowStatusRequest(_message.Message):
    __slots__ = ["workflow_uuid"]
    WORKFLOW_UUID_FIELD_NUMBER: _ClassVar[int]
    workflow_uuid: str
    def __init__(self, workflow_uuid: _Optional[str] = ...) -> None: ...

class GetWorkflowStatusResponse(_message.Message):
    __slots__ = ["jobs", "workflow"]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[WorkflowJob]
    workflow: WorkflowInfo
    def __init__(self, workflow: _Optional[_Union[WorkflowInfo, _Mapping]] = ..., jobs: _Optional[_Iterable[_Union[WorkflowJob, _Mapping]]] = ...) -> None: ...

class GetWorkflowStatusResponseV1(_message.Message):
    __slots__ = ["jobs", "workflow"]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[WorkflowJob]
    workflow: WorkflowInfoV1
    def __init__(self, workflow: _Optional[_Union[WorkflowInfoV1, _Mapping]] = ..., jobs: _Optional[_Iterable[_Union[WorkflowJob, _Mapping]]] = ...) -> None: ...

class HostInfo(_message.Message):
    __slots__ = ["architecture", "boot_time", "cpu_count", "hostname", "kernel_arch", "kernel_version", "mac_addresses", "node_id", "os", "platform", "platform_family", "platform_version", "server_ips", "total_memory", "uptime"]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    BOOT_TIME_FIELD_NUMBER: _ClassVar[int]
    CPU_COUNT_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    KERNEL_ARCH_FIELD_NUMBER: _ClassVar[int]
    KERNEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    MAC_ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    OS_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FAMILY_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_VERSION_FIELD_NUMBER: _ClassVar[int]
    SERVER_IPS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_MEMORY_FIELD_NUMBER: _ClassVar[int]
    UPTIME_FIELD_NUMBER: _ClassVar[int]
    architecture: str
    boot_time: str
    cpu_count: int
    hostname: str
    kernel_arch: str
    kernel_version: str
    mac_addresses: _containers.RepeatedScalarFieldContainer[str]
    node_id: str
    os: str
    platform: str
    platform_family: str
    platform_version: str
    server_ips: _containers.RepeatedScalarFieldContainer[str]
    total_memory: int
    uptime: int
    def __init__(self, hostname: _Optional[str] = ..., os: _Optional[str] = ..., platform: _Optional[str] = ..., platform_family: _Optional[str] = ..., platform_version: _Optional[str] = ..., kernel_version: _Optional[str] = ..., kernel_arch: _Optional[str] = ..., architecture: _Optional[str] = ..., cpu_count: _Optional[int] = ..., total_memory: _Optional[int] = ..., boot_time: _Optional[str] = ..., uptime: _Optional[int] = ..., node_id: _Optional[str] = ..., server_ips: _Optional[_Iterable[str]] = ..., mac_addresses: _Optional[_Iterable[str]] = ...) -> None: ...

class IOMetrics(_message.Message):
    __slots__ = ["disk_io", "read_bytes", "read_rate", "total_reads", "total_writes", "write_bytes", "write_rate"]
    DISK_IO_FIELD_NUMBER: _ClassVar[int]
    READ_BYTES_FIELD_NUMBER: _ClassVar[int]
    READ_RATE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_READS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_WRITES_FIELD_NUMBER: _ClassVar[int]
    WRITE_BYTES_FIELD_NUMBER: _ClassVar[int]
    WRITE_RATE_FIELD_NUMBER: _ClassVar[int]
    disk_io: _containers.RepeatedCompositeFieldContainer[DiskIOMetrics]
    read_bytes: int
    read_rate: float
    total_reads: int
    total_writes: int
    write_bytes: int
    write_rate: float
    def __init__(self, total_reads: _Optional[int] = ..., total_writes: _Optional[int] = ..., read_bytes: _Optional[int] = ..., write_bytes: _Optional[int] = ..., read_rate: _Optional[float] = ..., write_rate: _Optional[float] = ..., disk_io: _Optional[_Iterable[_Union[DiskIOMetrics, _Mapping]]] = ...) -> None: ...

class InstallRuntimeFromLocalRequest(_message.Message):
    __slots__ = ["files", "force_reinstall", "runtime_spec"]
    FILES_FIELD_NUMBER: _ClassVar[int]
    FORCE_REINSTALL_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_SPEC_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[RuntimeFile]
    force_reinstall: bool
    runtime_spec: str
    def __init__(self, runtime_spec: _Optional[str] = ..., files: _Optional[_Iterable[_Union[RuntimeFile, _Mapping]]] = ..., force_reinstall: bool = ...) -> None: ...

class InstallRuntimeRequest(_message.Message):
    __slots__ = ["branch", "force_reinstall", "path", "registry_url", "repository", "runtime_spec"]
    BRANCH_FIELD_NUMBER: _ClassVar[int]
    FORCE_REINSTALL_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    REGISTRY_URL_FIELD_NUMBER: _ClassVar[int]
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_SPEC_FIELD_NUMBER: _ClassVar[int]
    branch: str
    force_reinstall: bool
    path: str
    registry_url: str
    repository: str
    runtime_spec: str
    def __init__(self, runtime_spec: _Optional[str] = ..., repository: _Optional[str] = ..., branch: _Optional[str] = ..., path: _Optional[str] = ..., force_reinstall: bool = ..., registry_url: _Optional[str] = ...) -> None: ...

class InstallRuntimeResponse(_message.Message):
    __slots__ = ["build_job_uuid", "message", "repository", "resolved_path", "runtime_spec", "status"]
    BUILD_JOB_UUID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REPOSITORY_FIELD_NUMBER: _ClassVar[int]
    RESOLVED_PATH_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_SPEC_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    build_job_uuid: str
    message: str
    repository: str
    resolved_path: str
    runtime_spec: str
    status: str
    def __init__(self, build_job_uuid: _Optional[str] = ..., runtime_spec: _Optional[str] = ..., status: _Optional[str] = ..., message: _Optional[str] = ..., repository: _Optional[str] = ..., resolved_path: _Optional[str] = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ["args", "command", "cpu_cores", "end_time", "environment", "exit_code", "gpu_count", "gpu_indices", "gpu_memory_mb", "max_cpu", "max_io_bps", "max_memory", "name", "node_id", "runtime", "scheduled_time", "secret_environment", "start_time", "status", "timeout", "uuid"]
    class EnvironmentEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class SecretEnvironmentEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ARGS_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    CPU_CORES_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    GPU_COUNT_FIELD_NUMBER: _ClassVar[int]
    GPU_INDICES_FIELD_NUMBER: _ClassVar[int]
    GPU_MEMORY_MB_FIELD_NUMBER: _ClassVar[int]
    MAX_CPU_FIELD_NUMBER: _ClassVar[int]
    MAX_IO_BPS_FIELD_NUMBER: _ClassVar[int]
    MAX_MEMORY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_TIME_FIELD_NUMBER: _ClassVar[int]
    SECRET_ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    args: _containers.RepeatedScalarFieldContainer[str]
    command: str
    cpu_cores: str
    end_time: str
    environment: _containers.ScalarMap[str, str]
    exit_code: int
    gpu_count: int
    gpu_indices: _containers.RepeatedScalarFieldContainer[int]
    gpu_memory_mb: int
    max_cpu: int
    max_io_bps: int
    max_memory: int
    name: str
    node_id: str
    runtime: str
    scheduled_time: str
    secret_environment: _containers.ScalarMap[str, str]
    start_time: str
    status: str
    timeout: str
    uuid: str
    def __init__(self, uuid: _Optional[str] = ..., name: _Optional[str] = ..., command: _Optional[str] = ..., args: _Optional[_Iterable[str]] = ..., max_cpu: _Optional[int] = ..., cpu_cores: _Optional[str] = ..., max_memory: _Optional[int] = ..., max_io_bps: _Optional[int] = ..., status: _Optional[str] = ..., start_time: _Optional[str] = ..., end_time: _Optional[str] = ..., exit_code: _Optional[int] = ..., scheduled_time: _Optional[str] = ..., runtime: _Optional[str] = ..., environment: _Optional[_Mapping[str, str]] = ..., secret_environment: _Optional[_Mapping[str, str]] = ..., gpu_indices: _Optional[_Iterable[int]] = ..., gpu_count: _Optional[int] = ..., gpu_memory_mb: _Optional[int] = ..., node_id: _Optional[str] = ..., timeout: _Optional[str] = ...) -> None: ...

class JobCPUMetrics(_message.Message):
    __slots__ = ["nr_periods", "nr_throttled", "pressure_full10", "pressure_full300", "pressure_full60", "pressure_some10", "pressure_some300", "pressure_some60", "system_usec", "throttle_percent", "throttled_usec", "usage_percent", "usage_usec", "user_usec"]
    NR_PERIODS_FIELD_NUMBER: _ClassVar[int]
    NR_THROTTLED_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_FULL10_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_FULL300_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_FULL60_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_SOME10_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_SOME300_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_SOME60_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_USEC_FIELD_NUMBER: _ClassVar[int]
    THROTTLED_USEC_FIELD_NUMBER: _ClassVar[int]
    THROTTLE_PERCENT_FIELD_NUMBER: _ClassVar[int]
    USAGE_PERCENT_FIELD_NUMBER: _ClassVar[int]
    USAGE_USEC_FIELD_NUMBER: _ClassVar[int]
    USER_USEC_FIELD_NUMBER: _ClassVar[int]
    nr_periods: int
    nr_throttled: int
    pressure_full10: float
    pressure_full300: float
    pressure_full60: float
    pressure_some10: float
    pressure_some300: float
    pressure_some60: float
    system_usec: int
    throttle_percent: float
    throttled_usec: int
    usage_percent: float
    usage_usec: int
    user_usec: int
    def __init__(self, usage_usec: _Optional[int] = ..., user_usec: _Optional[int] = ..., system_usec: _Optional[int] = ..., nr_periods: _Optional[int] = ..., nr_throttled: _Optional[int] = ..., throttled_usec: _Optional[int] = ..., usage_percent: _Optional[float] = ..., throttle_percent: _Optional[float] = ..., pressure_some10: _Optional[float] = ..., pressure_some60: _Optional[float] = ..., pressure_some300: _Optional[float] = ..., pressure_full10: _Optional[float] = ..., pressure_full60: _Optional[float] = ..., pressure_full300: _Optional[float] = ...) -> None: ...

class JobGPUMetrics(_message.Message):
    __slots__ = ["compute_capability", "compute_mode", "decoder_util", "driver_version", "ecc_errors_double", "ecc_errors_single", "encoder_util", "fan_speed", "index", "memory_clock", "memory_free", "memory_percent", "memory_total", "memory_used", "name", "pcie_throughput_rx", "pcie_throughput_tx", "power_draw", "power_limit", "processes_count", "processes_memory", "retired_pages", "sm_clock", "temperature", "temperature_memory", "throttle_reasons", "utilization", "uuid", "xid_errors"]
    COMPUTE_CAPABILITY_FIELD_NUMBER: _ClassVar[int]
    COMPUTE_MODE_FIELD_NUMBER: _ClassVar[int]
    DECODER_UTIL_FIELD_NUMBER: _ClassVar[int]
    DRIVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    ECC_ERRORS_DOUBLE_FIELD_NUMBER: _ClassVar[int]
    ECC_ERRORS_SINGLE_FIELD_NUMBER: _ClassVar[int]
    ENCODER_UTIL_FIELD_NUMBER: _ClassVar[int]
    FAN_SPEED_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    MEMORY_CLOCK_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FREE_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_TOTAL_FIELD_NUMBER: _ClassVar[int]
    MEMORY_USED_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PCIE_THROUGHPUT_RX_FIELD_NUMBER: _ClassVar[int]
    PCIE_THROUGHPUT_TX_FIELD_NUMBER: _ClassVar[int]
    POWER_DRAW_FIELD_NUMBER: _ClassVar[int]
    POWER_LIMIT_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_COUNT_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_MEMORY_FIELD_NUMBER: _ClassVar[int]
    RETIRED_PAGES_FIELD_NUMBER: _ClassVar[int]
    SM_CLOCK_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_MEMORY_FIELD_NUMBER: _ClassVar[int]
    THROTTLE_REASONS_FIELD_NUMBER: _ClassVar[int]
    UTILIZATION_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    XID_ERRORS_FIELD_NUMBER: _ClassVar[int]
    compute_capability: str
    compute_mode: str
    decoder_util: float
    driver_version: str
    ecc_errors_double: int
    ecc_errors_single: int
    encoder_util: float
    fan_speed: float
    index: int
    memory_clock: int
    memory_free: int
    memory_percent: float
    memory_total: int
    memory_used: int
    name: str
    pcie_throughput_rx: float
    pcie_throughput_tx: float
    power_draw: float
    power_limit: float
    processes_count: int
    processes_memory: int
    retired_pages: int
    sm_clock: int
    temperature: float
    temperature_memory: float
    throttle_reasons: int
    utilization: float
    uuid: str
    xid_errors: int
    def __init__(self, index: _Optional[int] = ..., uuid: _Optional[str] = ..., name: _Optional[str] = ..., compute_capability: _Optional[str] = ..., driver_version: _Optional[str] = ..., utilization: _Optional[float] = ..., memory_used: _Optional[int] = ..., memory_total: _Optional[int] = ..., memory_free: _Optional[int] = ..., memory_percent: _Optional[float] = ..., encoder_util: _Optional[float] = ..., decoder_util: _Optional[float] = ..., sm_clock: _Optional[int] = ..., memory_clock: _Optional[int] = ..., pcie_throughput_rx: _Optional[float] = ..., pcie_throughput_tx: _Optional[float] = ..., temperature: _Optional[float] = ..., temperature_memory: _Optional[float] = ..., power_draw: _Optional[float] = ..., power_limit: _Optional[float] = ..., fan_speed: _Optional[float] = ..., ecc_errors_single: _Optional[int] = ..., ecc_errors_double: _Optional[int] = ..., xid_errors: _Optional[int] = ..., retired_pages: _Optional[int] = ..., throttle_reasons: _Optional[int] = ..., processes_count: _Optional[int] = ..., processes_memory: _Optional[int] = ..., compute_mode: _Optional[str] = ...) -> None: ...

class JobIOMetrics(_message.Message):
    __slots__ = ["devices", "pressure_full10", "pressure_full300", "pressure_full60", "pressure_some10", "pressure_some300", "pressure_some60", "read_bps", "read_iops", "total_discard_bytes", "total_discard_ops", "total_read_bytes", "total_read_ops", "total_write_bytes", "total_write_ops", "write_bps", "write_iops"]
    class DevicesEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: DeviceIOMetrics
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[DeviceIOMetrics, _Mapping]] = ...) -> None: ...
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_FULL10_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_FULL300_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_FULL60_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_SOME10_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_SOME300_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_SOME60_FIELD_NUMBER: _ClassVar[int]
    READ_BPS_FIELD_NUMBER: _ClassVar[int]
    READ_IOPS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_DISCARD_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_DISCARD_OPS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_READ_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_READ_OPS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_WRITE_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_WRITE_OPS_FIELD_NUMBER: _ClassVar[int]
    WRITE_BPS_FIELD_NUMBER: _ClassVar[int]
    WRITE_IOPS_FIELD_NUMBER: _ClassVar[int]
    devices: _containers.MessageMap[str, DeviceIOMetrics]
    pressure_full10: float
    pressure_full300: float
    pressure_full60: float
    pressure_some10: float
    pressure_some300: float
    pressure_some60: float
    read_bps: float
    read_iops: float
    total_discard_bytes: int
    total_discard_ops: int
    total_read_bytes: int
    total_read_ops: int
    total_write_bytes: int
    total_write_ops: int
    write_bps: float
    write_iops: float
    def __init__(self, devices: _Optional[_Mapping[str, DeviceIOMetrics]] = ..., total_read_bytes: _Optional[int] = ..., total_write_bytes: _Optional[int] = ..., total_read_ops: _Optional[int] = ..., total_write_ops: _Optional[int] = ..., total_discard_bytes: _Optional[int] = ..., total_discard_ops: _Optional[int] = ..., read_bps: _Optional[float] = ..., write_bps: _Optional[float] = ..., read_iops: _Optional[float] = ..., write_iops: _Optional[float] = ..., pressure_some10: _Optional[float] = ..., pressure_some60: _Optional[float] = ..., pressure_some300: _Optional[float] = ..., pressure_full10: _Optional[float] = ..., pressure_full60: _Optional[float] = ..., pressure_full300: _Optional[float] = ...) -> None: ...

class JobMemoryMetrics(_message.Message):
    __slots__ = ["anon", "current", "file", "file_dirty", "file_mapped", "file_writeback", "kernel_stack", "max", "oom_events", "oom_kill", "pg_fault", "pg_maj_fault", "pressure_full10", "pressure_full300", "pressure_full60", "pressure_some10", "pressure_some300", "pressure_some60", "shmem", "slab", "sock", "usage_percent"]
    ANON_FIELD_NUMBER: _ClassVar[int]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    FILE_DIRTY_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    FILE_MAPPED_FIELD_NUMBER: _ClassVar[int]
    FILE_WRITEBACK_FIELD_NUMBER: _ClassVar[int]
    KERNEL_STACK_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    OOM_EVENTS_FIELD_NUMBER: _ClassVar[int]
    OOM_KILL_FIELD_NUMBER: _ClassVar[int]
    PG_FAULT_FIELD_NUMBER: _ClassVar[int]
    PG_MAJ_FAULT_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_FULL10_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_FULL300_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_FULL60_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_SOME10_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_SOME300_FIELD_NUMBER: _ClassVar[int]
    PRESSURE_SOME60_FIELD_NUMBER: _ClassVar[int]
    SHMEM_FIELD_NUMBER: _ClassVar[int]
    SLAB_FIELD_NUMBER: _ClassVar[int]
    SOCK_FIELD_NUMBER: _ClassVar[int]
    USAGE_PERCENT_FIELD_NUMBER: _ClassVar[int]
    anon: int
    current: int
    file: int
    file_dirty: int
    file_mapped: int
    file_writeback: int
    kernel_stack: int
    max: int
    oom_events: int
    oom_kill: int
    pg_fault: int
    pg_maj_fault: int
    pressure_full10: float
    pressure_full300: float
    pressure_full60: float
    pressure_some10: float
    pressure_some300: float
    pressure_some60: float
    shmem: int
    slab: int
    sock: int
    usage_percent: float
    def __init__(self, current: _Optional[int] = ..., max: _Optional[int] = ..., usage_percent: _Optional[float] = ..., anon: _Optional[int] = ..., file: _Optional[int] = ..., kernel_stack: _Optional[int] = ..., slab: _Optional[int] = ..., sock: _Optional[int] = ..., shmem: _Optional[int] = ..., file_mapped: _Optional[int] = ..., file_dirty: _Optional[int] = ..., file_writeback: _Optional[int] = ..., pg_fault: _Optional[int] = ..., pg_maj_fault: _Optional[int] = ..., oom_events: _Optional[int] = ..., oom_kill: _Optional[int] = ..., pressure_some10: _Optional[float] = ..., pressure_some60: _Optional[float] = ..., pressure_some300: _Optional[float] = ..., pressure_full10: _Optional[float] = ..., pressure_full60: _Optional[float] = ..., pressure_full300: _Optional[float] = ...) -> None: ...

class JobMetricsAggregate(_message.Message):
    __slots__ = ["avg", "max", "min", "p50", "p95", "p99"]
    AVG_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    MIN_FIELD_NUMBER: _ClassVar[int]
    P50_FIELD_NUMBER: _ClassVar[int]
    P95_FIELD_NUMBER: _ClassVar[int]
    P99_FIELD_NUMBER: _ClassVar[int]
    avg: float
    max: float
    min: float
    p50: float
    p95: float
    p99: float
    def __init__(self, min: _Optional[float] = ..., max: _Optional[float] = ..., avg: _Optional[float] = ..., p50: _Optional[float] = ..., p95: _Optional[float] = ..., p99: _Optional[float] = ...) -> None: ...

class JobMetricsEvent(_message.Message):
    __slots__ = ["cpu_percent", "disk_read_bytes", "disk_write_bytes", "gpu_memory_bytes", "gpu_percent", "job_uuid", "memory_bytes", "memory_limit", "net_recv_bytes", "net_sent_bytes", "timestamp"]
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    DISK_READ_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISK_WRITE_BYTES_FIELD_NUMBER: _ClassVar[int]
    GPU_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    GPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    JOB_UUID_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_LIMIT_FIELD_NUMBER: _ClassVar[int]
    NET_RECV_BYTES_FIELD_NUMBER: _ClassVar[int]
    NET_SENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    cpu_percent: float
    disk_read_bytes: int
    disk_write_bytes: int
    gpu_memory_bytes: int
    gpu_percent: float
    job_uuid: str
    memory_bytes: int
    memory_limit: int
    net_recv_bytes: int
    net_sent_bytes: int
    timestamp: int
    def __init__(self, timestamp: _Optional[int] = ..., job_uuid: _Optional[str] = ..., cpu_percent: _Optional[float] = ..., memory_bytes: _Optional[int] = ..., memory_limit: _Optional[int] = ..., disk_read_bytes: _Optional[int] = ..., disk_write_bytes: _Optional[int] = ..., net_recv_bytes: _Optional[int] = ..., net_sent_bytes: _Optional[int] = ..., gpu_percent: _Optional[float] = ..., gpu_memory_bytes: _Optional[int] = ...) -> None: ...

class JobMetricsHistoryRequest(_message.Message):
    __slots__ = ["from_timestamp", "to_timestamp", "uuid"]
    FROM_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    TO_TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    from_timestamp: int
    to_timestamp: int
    uuid: str
    def __init__(self, uuid: _Optional[str] = ..., from_timestamp: _Optional[int] = ..., to_timestamp: _Optional[int] = ...) -> None: ...

class JobMetricsHistoryResponse(_message.Message):
    __slots__ = ["samples"]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    samples: _containers.RepeatedCompositeFieldContainer[JobMetricsSample]
    def __init__(self, samples: _Optional[_Iterable[_Union[JobMetricsSample, _Mapping]]] = ...) -> None: ...

class JobMetricsSample(_message.Message):
    __slots__ = ["cgroup_path", "cpu", "gpu", "gpu_allocation", "io", "job_id", "limits", "memory", "network", "process", "sample_interval_seconds", "timestamp"]
    CGROUP_PATH_FIELD_NUMBER: _ClassVar[int]
    CPU_FIELD_NUMBER: _ClassVar[int]
    GPU_ALLOCATION_FIELD_NUMBER: _ClassVar[int]
    GPU_FIELD_NUMBER: _ClassVar[int]
    IO_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_INTERVAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    cgroup_path: str
    cpu: JobCPUMetrics
    gpu: _containers.RepeatedCompositeFieldContainer[JobGPUMetrics]
    gpu_allocation: _containers.RepeatedScalarFieldContainer[int]
    io: JobIOMetrics
    job_id: str
    limits: JobResourceLimits
    memory: JobMemoryMetrics
    network: JobNetworkMetrics
    process: JobProcessMetrics
    sample_interval_seconds: int
    timestamp: int
    def __init__(self, job_id: _Optional[str] = ..., timestamp: _Optional[int] = ..., sample_interval_seconds: _Optional[int] = ..., cpu: _Optional[_Union[JobCPUMetrics, _Mapping]] = ..., memory: _Optional[_Union[JobMemoryMetrics, _Mapping]] = ..., io: _Optional[_Union[JobIOMetrics, _Mapping]] = ..., network: _Optional[_Union[JobNetworkMetrics, _Mapping]] = ..., process: _Optional[_Union[JobProcessMetrics, _Mapping]] = ..., gpu: _Optional[_Iterable[_Union[JobGPUMetrics, _Mapping]]] = ..., cgroup_path: _Optional[str] = ..., limits: _Optional[_Union[JobResourceLimits, _Mapping]] = ..., gpu_allocation: _Optional[_Iterable[int]] = ...) -> None: ...

class JobMetricsSummaryRequest(_message.Message):
    __slots__ = ["period_seconds", "uuid"]
    PERIOD_SECONDS_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    period_seconds: int
    uuid: str
    def __init__(self, uuid: _Optional[str] = ..., period_seconds: _Optional[int] = ...) -> None: ...

class JobMetricsSummaryResponse(_message.Message):
    __slots__ = ["cpu", "io", "memory", "network"]
    CPU_FIELD_NUMBER: _ClassVar[int]
    IO_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    cpu: JobMetricsAggregate
    io: JobMetricsAggregate
    memory: JobMetricsAggregate
    network: JobMetricsAggregate
    def __init__(self, cpu: _Optional[_Union[JobMetricsAggregate, _Mapping]] = ..., memory: _Optional[_Union[JobMetricsAggregate, _Mapping]] = ..., io: _Optional[_Union[JobMetricsAggregate, _Mapping]] = ..., network: _Optional[_Union[JobMetricsAggregate, _Mapping]] = ...) -> None: ...

class JobNetworkMetrics(_message.Message):
    __slots__ = ["interfaces", "rx_bps", "total_rx_bytes", "total_rx_dropped", "total_rx_errors", "total_rx_packets", "total_tx_bytes", "total_tx_dropped", "total_tx_errors", "total_tx_packets", "tx_bps"]
    class InterfacesEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: NetworkInterfaceMetrics
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[NetworkInterfaceMetrics, _Mapping]] = ...) -> None: ...
    INTERFACES_FIELD_NUMBER: _ClassVar[int]
    RX_BPS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_RX_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_RX_DROPPED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_RX_ERRORS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_RX_PACKETS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TX_BYTES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TX_DROPPED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TX_ERRORS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_TX_PACKETS_FIELD_NUMBER: _ClassVar[int]
    TX_BPS_FIELD_NUMBER: _ClassVar[int]
    interfaces: _containers.MessageMap[str, NetworkInterfaceMetrics]
    rx_bps: float
    total_rx_bytes: int
    total_rx_dropped: int
    total_rx_errors: int
    total_rx_packets: int
    total_tx_bytes: int
    total_tx_dropped: int
    total_tx_errors: int
    total_tx_packets: int
    tx_bps: float
    def __init__(self, interfaces: _Optional[_Mapping[str, NetworkInterfaceMetrics]] = ..., total_rx_bytes: _Optional[int] = ..., total_tx_bytes: _Optional[int] = ..., total_rx_packets: _Optional[int] = ..., total_tx_packets: _Optional[int] = ..., total_rx_errors: _Optional[int] = ..., total_tx_errors: _Optional[int] = ..., total_rx_dropped: _Optional[int] = ..., total_tx_dropped: _Optional[int] = ..., rx_bps: _Optional[float] = ..., tx_bps: _Optional[float] = ...) -> None: ...

class JobProcessMetrics(_message.Message):
    __slots__ = ["current", "events", "max", "max_fds", "open_fds", "running", "sleeping", "stopped", "threads", "zombie"]
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    MAX_FDS_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    OPEN_FDS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    SLEEPING_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    THREADS_FIELD_NUMBER: _ClassVar[int]
    ZOMBIE_FIELD_NUMBER: _ClassVar[int]
    current: int
    events: int
    max: int
    max_fds: int
    open_fds: int
    running: int
    sleeping: int
    stopped: int
    threads: int
    zombie: int
    def __init__(self, current: _Optional[int] = ..., max: _Optional[int] = ..., events: _Optional[int] = ..., threads: _Optional[int] = ..., running: _Optional[int] = ..., sleeping: _Optional[int] = ..., stopped: _Optional[int] = ..., zombie: _Optional[int] = ..., open_fds: _Optional[int] = ..., max_fds: _Optional[int] = ...) -> None: ...

class JobRequirement(_message.Message):
    __slots__ = ["expression", "job_uuid", "status"]
    EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    JOB_UUID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    expression: str
    job_uuid: str
    status: str
    def __init__(self, job_uuid: _Optional[str] = ..., status: _Optional[str] = ..., expression: _Optional[str] = ...) -> None: ...

class JobResourceLimits(_message.Message):
    __slots__ = ["cpu", "io", "memory"]
    CPU_FIELD_NUMBER: _ClassVar[int]
    IO_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    cpu: int
    io: int
    memory: int
    def __init__(self, cpu: _Optional[int] = ..., memory: _Optional[int] = ..., io: _Optional[int] = ...) -> None: ...

class Jobs(_message.Message):
    __slots__ = ["jobs"]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ...) -> None: ...

class ListRuntimesResponse(_message.Message):
    __slots__ = ["runtimes"]
    RUNTIMES_FIELD_NUMBER: _ClassVar[int]
    runtimes: _containers.RepeatedCompositeFieldContainer[RuntimeInfo]
    def __init__(self, runtimes: _Optional[_Iterable[_Union[RuntimeInfo, _Mapping]]] = ...) -> None: ...

class ListWorkflowsRequest(_message.Message):
    __slots__ = ["include_completed"]
    INCLUDE_COMPLETED_FIELD_NUMBER: _ClassVar[int]
    include_completed: bool
    def __init__(self, include_completed: bool = ...) -> None: ...

class ListWorkflowsResponse(_message.Message):
    __slots__ = ["workflows"]
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    workflows: _containers.RepeatedCompositeFieldContainer[WorkflowInfo]
    def __init__(self, workflows: _Optional[_Iterable[_Union[WorkflowInfo, _Mapping]]] = ...) -> None: ...

class ListWorkflowsResponseV1(_message.Message):
    __slots__ = ["workflows"]
    WORKFLOWS_FIELD_NUMBER: _ClassVar[int]
    workflows: _containers.RepeatedCompositeFieldContainer[WorkflowInfoV1]
    def __init__(self, workflows: _Optional[_Iterable[_Union[WorkflowInfoV1, _Mapping]]] = ...) -> None: ...

class MemoryMetrics(_message.Message):
    __slots__ = ["available_bytes", "buffered_bytes", "cached_bytes", "free_bytes", "swap_free", "swap_total", "swap_used", "total_bytes", "usage_percent", "used_bytes"]
    AVAILABLE_BYTES_FIELD_NUMBER: _ClassVar[int]
    BUFFERED_BYTES_FIELD_NUMBER: _ClassVar[int]
    CACHED_BYTES_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SWAP_FREE_FIELD_NUMBER: _ClassVar[int]
    SWAP_TOTAL_FIELD_NUMBER: _ClassVar[int]
    SWAP_USED_FIELD_NUMBER: _ClassVar[int]
    TOTAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    USAGE_PERCENT_FIELD_NUMBER: _ClassVar[int]
    USED_BYTES_FIELD_NUMBER: _ClassVar[int]
    available_bytes: int
    buffered_bytes: int
    cached_bytes: int
    free_bytes: int
    swap_free: int
    swap_total: int
    swap_used: int
    total_bytes: int
    usage_percent: float
    used_bytes: int
    def __init__(self, total_bytes: _Optional[int] = ..., used_bytes: _Optional[int] = ..., free_bytes: _Optional[int] = ..., available_bytes: _Optional[int] = ..., usage_percent: _Optional[float] = ..., cached_bytes: _Optional[int] = ..., buffered_bytes: _Optional[int] = ..., swap_total: _Optional[int] = ..., swap_used: _Optional[int] = ..., swap_free: _Optional[int] = ...) -> None: ...

class Network(_message.Message):
    __slots__ = ["bridge", "cidr", "job_count", "name"]
    BRIDGE_FIELD_NUMBER: _ClassVar[int]
    CIDR_FIELD_NUMBER: _ClassVar[int]
    JOB_COUNT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    bridge: str
    cidr: str
    job_count: int
    name: str
    def __init__(self, name: _Optional[str] = ..., cidr: _Optional[str] = ..., bridge: _Optional[str] = ..., job_count: _Optional[int] = ...) -> None: ...

class NetworkInterfaceMetrics(_message.Message):
    __slots__ = ["interface", "rx_bytes", "rx_dropped", "rx_errors", "rx_packets", "tx_bytes", "tx_dropped", "tx_errors", "tx_packets"]
    INTERFACE_FIELD_NUMBER: _ClassVar[int]
    RX_BYTES_FIELD_NUMBER: _ClassVar[int]
    RX_DROPPED_FIELD_NUMBER: _ClassVar[int]
    RX_ERRORS_FIELD_NUMBER: _ClassVar[int]
    RX_PACKETS_FIELD_NUMBER: _ClassVar[int]
    TX_BYTES_FIELD_NUMBER: _ClassVar[int]
    TX_DROPPED_FIELD_NUMBER: _ClassVar[int]
    TX_ERRORS_FIELD_NUMBER: _ClassVar[int]
    TX_PACKETS_FIELD_NUMBER: _ClassVar[int]
    interface: str
    rx_bytes: int
    rx_dropped: int
    rx_errors: int
    rx_packets: int
    tx_bytes: int
    tx_dropped: int
    tx_errors: int
    tx_packets: int
    def __init__(self, interface: _Optional[str] = ..., rx_bytes: _Optional[int] = ..., tx_bytes: _Optional[int] = ..., rx_packets: _Optional[int] = ..., tx_packets: _Optional[int] = ..., rx_errors: _Optional[int] = ..., tx_errors: _Optional[int] = ..., rx_dropped: _Optional[int] = ..., tx_dropped: _Optional[int] = ...) -> None: ...

class NetworkMetrics(_message.Message):
    __slots__ = ["bytes_received", "bytes_sent", "drops_in", "drops_out", "errors_in", "errors_out", "interface", "ip_addresses", "mac_address", "packets_received", "packets_sent", "receive_rate", "transmit_rate"]
    BYTES_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    BYTES_SENT_FIELD_NUMBER: _ClassVar[int]
    DROPS_IN_FIELD_NUMBER: _ClassVar[int]
    DROPS_OUT_FIELD_NUMBER: _ClassVar[int]
    ERRORS_IN_FIELD_NUMBER: _ClassVar[int]
    ERRORS_OUT_FIELD_NUMBER: _ClassVar[int]
    INTERFACE_FIELD_NUMBER: _ClassVar[int]
    IP_ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    MAC_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    PACKETS_RECEIVED_FIELD_NUMBER: _ClassVar[int]
    PACKETS_SENT_FIELD_NUMBER: _ClassVar[int]
    RECEIVE_RATE_FIELD_NUMBER: _ClassVar[int]
    TRANSMIT_RATE_FIELD_NUMBER: _ClassVar[int]
    bytes_received: int
    bytes_sent: int
    drops_in: int
    drops_out: int
    errors_in: int
    errors_out: int
    interface: str
    ip_addresses: _containers.RepeatedScalarFieldContainer[str]
    mac_address: str
    packets_received: int
    packets_sent: int
    receive_rate: float
    transmit_rate: float
    def __init__(self, interface: _Optional[str] = ..., bytes_received: _Optional[int] = ..., bytes_sent: _Optional[int] = ..., packets_received: _Optional[int] = ..., packets_sent: _Optional[int] = ..., errors_in: _Optional[int] = ..., errors_out: _Optional[int] = ..., drops_in: _Optional[int] = ..., drops_out: _Optional[int] = ..., receive_rate: _Optional[float] = ..., transmit_rate: _Optional[float] = ..., ip_addresses: _Optional[_Iterable[str]] = ..., mac_address: _Optional[str] = ...) -> None: ...

class Networks(_message.Message):
    __slots__ = ["networks"]
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    networks: _containers.RepeatedCompositeFieldContainer[Network]
    def __init__(self, networks: _Optional[_Iterable[_Union[Network, _Mapping]]] = ...) -> None: ...

class ProcessInfo(_message.Message):
    __slots__ = ["command", "cpu_percent", "memory_bytes", "memory_percent", "name", "pid", "ppid", "start_time", "status", "user"]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_PERCENT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PPID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    command: str
    cpu_percent: float
    memory_bytes: int
    memory_percent: float
    name: str
    pid: int
    ppid: int
    start_time: str
    status: str
    user: str
    def __init__(self, pid: _Optional[int] = ..., ppid: _Optional[int] = ..., name: _Optional[str] = ..., command: _Optional[str] = ..., cpu_percent: _Optional[float] = ..., memory_percent: _Optional[float] = ..., memory_bytes: _Optional[int] = ..., status: _Optional[str] = ..., start_time: _Optional[str] = ..., user: _Optional[str] = ...) -> None: ...

class ProcessMetrics(_message.Message):
    __slots__ = ["running_processes", "sleeping_processes", "stopped_processes", "top_by_cpu", "top_by_memory", "total_processes", "total_threads", "zombie_processes"]
    RUNNING_PROCESSES_FIELD_NUMBER: _ClassVar[int]
    SLEEPING_PROCESSES_FIELD_NUMBER: _ClassVar[int]
    STOPPED_PROCESSES_FIELD_NUMBER: _ClassVar[int]
    TOP_BY_CPU_FIELD_NUMBER: _ClassVar[int]
    TOP_BY_MEMORY_FIELD_NUMBER: _ClassVar[int]
    TOTAL_PROCESSES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_THREADS_FIELD_NUMBER: _ClassVar[int]
    ZOMBIE_PROCESSES_FIELD_NUMBER: _ClassVar[int]
    running_processes: int
    sleeping_processes: int
    stopped_processes: int
    top_by_cpu: _containers.RepeatedCompositeFieldContainer[ProcessInfo]
    top_by_memory: _containers.RepeatedCompositeFieldContainer[ProcessInfo]
    total_processes: int
    total_threads: int
    zombie_processes: int
    def __init__(self, total_processes: _Optional[int] = ..., running_processes: _Optional[int] = ..., sleeping_processes: _Optional[int] = ..., stopped_processes: _Optional[int] = ..., zombie_processes: _Optional[int] = ..., total_threads: _Optional[int] = ..., top_by_cpu: _Optional[_Iterable[_Union[ProcessInfo, _Mapping]]] = ..., top_by_memory: _Optional[_Iterable[_Union[ProcessInfo, _Mapping]]] = ...) -> None: ...

class RemoveNetworkRequest(_message.Message):
    __slots__ = ["name"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RemoveNetworkResponse(_message.Message):
    __slots__ = ["message", "success"]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    message: str
    success: bool
    def __init__(self, success: bool = ..., message: _Optional[str] = ...) -> None: ...

class RemoveRuntimeRequest(_message.Message):
    __slots__ = ["runtime"]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    runtime: str
    def __init__(self, runtime: _Optional[str] = ...) -> None: ...

class RemoveRuntimeResponse(_message.Message):
    __slots__ = ["freed_space_bytes", "message", "success"]
    FREED_SPACE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    freed_space_bytes: int
    message: str
    success: bool
    def __init__(self, success: bool = ..., message: _Optional[str] = ..., freed_space_bytes: _Optional[int] = ...) -> None: ...

class RemoveVolumeRequest(_message.Message):
    __slots__ = ["name"]
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class RemoveVolumeResponse(_message.Message):
    __slots__ = ["message", "success"]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    message: str
    success: bool
    def __init__(self, success: bool = ..., message: _Optional[str] = ...) -> None: ...

class RunJobRequest(_message.Message):
    __slots__ = ["args", "command", "cpu_cores", "environment", "gpu_count", "gpu_memory_mb", "job_uuid", "max_cpu", "max_io_bps", "max_memory", "name", "network", "requirements", "runtime", "schedule", "secret_environment", "timeout", "uploads", "volumes", "work_dir", "workflow_uuid"]
    class EnvironmentEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class SecretEnvironmentEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    ARGS_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    CPU_CORES_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    GPU_COUNT_FIELD_NUMBER: _ClassVar[int]
    GPU_MEMORY_MB_FIELD_NUMBER: _ClassVar[int]
    JOB_UUID_FIELD_NUMBER: _ClassVar[int]
    MAX_CPU_FIELD_NUMBER: _ClassVar[int]
    MAX_IO_BPS_FIELD_NUMBER: _ClassVar[int]
    MAX_MEMORY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NETWORK_FIELD_NUMBER: _ClassVar[int]
    REQUIREMENTS_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    SCHEDULE_FIELD_NUMBER: _ClassVar[int]
    SECRET_ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    UPLOADS_FIELD_NUMBER: _ClassVar[int]
    VOLUMES_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_UUID_FIELD_NUMBER: _ClassVar[int]
    WORK_DIR_FIELD_NUMBER: _ClassVar[int]
    args: _containers.RepeatedScalarFieldContainer[str]
    command: str
    cpu_cores: str
    environment: _containers.ScalarMap[str, str]
    gpu_count: int
    gpu_memory_mb: int
    job_uuid: str
    max_cpu: int
    max_io_bps: int
    max_memory: int
    name: str
    network: str
    requirements: _containers.RepeatedCompositeFieldContainer[JobRequirement]
    runtime: str
    schedule: str
    secret_environment: _containers.ScalarMap[str, str]
    timeout: str
    uploads: _containers.RepeatedCompositeFieldContainer[FileUpload]
    volumes: _containers.RepeatedScalarFieldContainer[str]
    work_dir: str
    workflow_uuid: str
    def __init__(self, name: _Optional[str] = ..., command: _Optional[str] = ..., args: _Optional[_Iterable[str]] = ..., max_cpu: _Optional[int] = ..., cpu_cores: _Optional[str] = ..., max_memory: _Optional[int] = ..., max_io_bps: _Optional[int] = ..., uploads: _Optional[_Iterable[_Union[FileUpload, _Mapping]]] = ..., schedule: _Optional[str] = ..., network: _Optional[str] = ..., volumes: _Optional[_Iterable[str]] = ..., runtime: _Optional[str] = ..., work_dir: _Optional[str] = ..., environment: _Optional[_Mapping[str, str]] = ..., workflow_uuid: _Optional[str] = ..., job_uuid: _Optional[str] = ..., requirements: _Optional[_Iterable[_Union[JobRequirement, _Mapping]]] = ..., secret_environment: _Optional[_Mapping[str, str]] = ..., gpu_count: _Optional[int] = ..., gpu_memory_mb: _Optional[int] = ..., timeout: _Optional[str] = ...) -> None: ...

class RunJobResponse(_message.Message):
    __slots__ = ["args", "command", "cpu_cores", "end_time", "exit_code", "job_uuid", "max_cpu", "max_io_bps", "max_memory", "scheduled_time", "start_time", "status"]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    CPU_CORES_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    JOB_UUID_FIELD_NUMBER: _ClassVar[int]
    MAX_CPU_FIELD_NUMBER: _ClassVar[int]
    MAX_IO_BPS_FIELD_NUMBER: _ClassVar[int]
    MAX_MEMORY_FIELD_NUMBER: _ClassVar[int]
    SCHEDULED_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    args: _containers.RepeatedScalarFieldContainer[str]
    command: str
    cpu_cores: str
    end_time: str
    exit_code: int
    job_uuid: str
    max_cpu: int
    max_io_bps: int
    max_memory: int
    scheduled_time: str
    start_time: str
    status: str
    def __init__(self, job_uuid: _Optional[str] = ..., status: _Optional[str] = ..., command: _Optional[str] = ..., args: _Optional[_Iterable[str]] = ..., max_cpu: _Optional[int] = ..., cpu_cores: _Optional[str] = ..., max_memory: _Optional[int] = ..., max_io_bps: _Optional[int] = ..., start_time: _Optional[str] = ..., end_time: _Optional[str] = ..., exit_code: _Optional[int] = ..., scheduled_time: _Optional[str] = ...) -> None: ...

class RunWorkflowRequest(_message.Message):
    __slots__ = ["job_order", "total_jobs", "workflow", "workflow_files", "yaml_content"]
    JOB_ORDER_FIELD_NUMBER: _ClassVar[int]
    TOTAL_JOBS_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FILES_FIELD_NUMBER: _ClassVar[int]
    YAML_CONTENT_FIELD_NUMBER: _ClassVar[int]
    job_order: _containers.RepeatedScalarFieldContainer[str]
    total_jobs: int
    workflow: str
    workflow_files: _containers.RepeatedCompositeFieldContainer[FileUpload]
    yaml_content: str
    def __init__(self, workflow: _Optional[str] = ..., total_jobs: _Optional[int] = ..., job_order: _Optional[_Iterable[str]] = ..., yaml_content: _Optional[str] = ..., workflow_files: _Optional[_Iterable[_Union[FileUpload, _Mapping]]] = ...) -> None: ...

class RunWorkflowResponse(_message.Message):
    __slots__ = ["status", "workflow_uuid"]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_UUID_FIELD_NUMBER: _ClassVar[int]
    status: str
    workflow_uuid: str
    def __init__(self, workflow_uuid: _Optional[str] = ..., status: _Optional[str] = ...) -> None: ...

class RuntimeBuildInfo(_message.Message):
    __slots__ = ["built_at", "built_with", "platform"]
    BUILT_AT_FIELD_NUMBER: _ClassVar[int]
    BUILT_WITH_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    built_at: str
    built_with: str
    platform: str
    def __init__(self, built_at: _Optional[str] = ..., built_with: _Optional[str] = ..., platform: _Optional[str] = ...) -> None: ...

class RuntimeFile(_message.Message):
    __slots__ = ["content", "executable", "path"]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    EXECUTABLE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    content: bytes
    executable: bool
    path: str
    def __init__(self, path: _Optional[str] = ..., content: _Optional[bytes] = ..., executable: bool = ...) -> None: ...

class RuntimeInfo(_message.Message):
    __slots__ = ["available", "build_info", "description", "environment", "language", "language_version", "libraries", "name", "original_yaml", "packages", "requirements", "size_bytes", "version"]
    class EnvironmentEntry(_message.Message):
        __slots__ = ["key", "value"]
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    BUILD_INFO_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_VERSION_FIELD_NUMBER: _ClassVar[int]
    LIBRARIES_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_YAML_FIELD_NUMBER: _ClassVar[int]
    PACKAGES_FIELD_NUMBER: _ClassVar[int]
    REQUIREMENTS_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    available: bool
    build_info: RuntimeBuildInfo
    description: str
    environment: _containers.ScalarMap[str, str]
    language: str
    language_version: str
    libraries: _containers.RepeatedScalarFieldContainer[str]
    name: str
    original_yaml: str
    packages: _containers.RepeatedScalarFieldContainer[str]
    requirements: RuntimeRequirements
    size_bytes: int
    version: str
    def __init__(self, name: _Optional[str] = ..., language: _Optional[str] = ..., version: _Optional[str] = ..., description: _Optional[str] = ..., size_bytes: _Optional[int] = ..., packages: _Optional[_Iterable[str]] = ..., available: bool = ..., requirements: _Optional[_Union[RuntimeRequirements, _Mapping]] = ..., language_version: _Optional[str] = ..., libraries: _Optional[_Iterable[str]] = ..., environment: _Optional[_Mapping[str, str]] = ..., build_info: _Optional[_Union[RuntimeBuildInfo, _Mapping]] = ..., original_yaml: _Optional[str] = ...) -> None: ...

class RuntimeInstallationChunk(_message.Message):
    __slots__ = ["log", "progress", "result"]
    LOG_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    log: RuntimeInstallationLog
    progress: RuntimeInstallationProgress
    result: RuntimeInstallationResult
    def __init__(self, progress: _Optional[_Union[RuntimeInstallationProgress, _Mapping]] = ..., log: _Optional[_Union[RuntimeInstallationLog, _Mapping]] = ..., result: _Optional[_Union[RuntimeInstallationResult, _Mapping]] = ...) -> None: ...

class RuntimeInstallationLog(_message.Message):
    __slots__ = ["data"]
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class RuntimeInstallationProgress(_message.Message):
    __slots__ = ["message", "step", "total_steps"]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    TOTAL_STEPS_FIELD_NUMBER: _ClassVar[int]
    message: str
    step: int
    total_steps: int
    def __init__(self, message: _Optional[str] = ..., step: _Optional[int] = ..., total_steps: _Optional[int] = ...) -> None: ...

class RuntimeInstallationResult(_message.Message):
    __slots__ = ["install_path", "message", "runtime_spec", "success"]
    INSTALL_PATH_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_SPEC_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    install_path: str
    message: str
    runtime_spec: str
    success: bool
    def __init__(self, success: bool = ..., message: _Optional[str] = ..., runtime_spec: _Optional[str] = ..., install_path: _Optional[str] = ...) -> None: ...

class RuntimeRequirements(_message.Message):
    __slots__ = ["architectures", "gpu"]
    ARCHITECTURES_FIELD_NUMBER: _ClassVar[int]
    GPU_FIELD_NUMBER: _ClassVar[int]
    architectures: _containers.RepeatedScalarFieldContainer[str]
    gpu: bool
    def __init__(self, architectures: _Optional[_Iterable[str]] = ..., gpu: bool = ...) -> None: ...

class RuntimeSpecInfo(_message.Message):
    __slots__ = ["architecture", "language", "variants", "version"]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    VARIANTS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    architecture: str
    language: str
    variants: _containers.RepeatedScalarFieldContainer[str]
    version: str
    def __init__(self, language: _Optional[str] = ..., version: _Optional[str] = ..., variants: _Optional[_Iterable[str]] = ..., architecture: _Optional[str] = ...) -> None: ...

class RuntimeYAMLInfo(_message.Message):
    __slots__ = ["description", "has_hooks", "language", "language_version", "name", "npm_packages", "pip_packages", "requires_gpu", "version"]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    HAS_HOOKS_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_VERSION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    NPM_PACKAGES_FIELD_NUMBER: _ClassVar[int]
    PIP_PACKAGES_FIELD_NUMBER: _ClassVar[int]
    REQUIRES_GPU_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    description: str
    has_hooks: bool
    language: str
    language_version: str
    name: str
    npm_packages: _containers.RepeatedScalarFieldContainer[str]
    pip_packages: _containers.RepeatedScalarFieldContainer[str]
    requires_gpu: bool
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., language: _Optional[str] = ..., language_version: _Optional[str] = ..., description: _Optional[str] = ..., pip_packages: _Optional[_Iterable[str]] = ..., npm_packages: _Optional[_Iterable[str]] = ..., has_hooks: bool = ..., requires_gpu: bool = ...) -> None: ...

class ServerVersionInfo(_message.Message):
    __slots__ = ["build_date", "component", "git_commit", "git_tag", "go_version", "platform", "proto_commit", "proto_tag", "version"]
    BUILD_DATE_FIELD_NUMBER: _ClassVar[int]
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    GIT_COMMIT_FIELD_NUMBER: _ClassVar[int]
    GIT_TAG_FIELD_NUMBER: _ClassVar[int]
    GO_VERSION_FIELD_NUMBER: _ClassVar[int]
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    PROTO_COMMIT_FIELD_NUMBER: _ClassVar[int]
    PROTO_TAG_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    build_date: str
    component: str
    git_commit: str
    git_tag: str
    go_version: str
    platform: str
    proto_commit: str
    proto_tag: str
    version: str
    def __init__(self, version: _Optional[str] = ..., git_commit: _Optional[str] = ..., git_tag: _Optional[str] = ..., build_date: _Optional[str] = ..., component: _Optional[str] = ..., go_version: _Optional[str] = ..., platform: _Optional[str] = ..., proto_commit: _Optional[str] = ..., proto_tag: _Optional[str] = ...) -> None: ...

class StopJobRequest(_message.Message):
    __slots__ = ["uuid"]
    UUID_FIELD_NUMBER: _ClassVar[int]
    uuid: str
    def __init__(self, uuid: _Optional[str] = ...) -> None: ...

class StopJobResponse(_message.Message):
    __slots__ = ["end_time", "exit_code", "status", "uuid"]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    end_time: str
    exit_code: int
    status: str
    uuid: str
    def __init__(self, uuid: _Optional[str] = ..., status: _Optional[str] = ..., end_time: _Optional[str] = ..., exit_code: _Optional[int] = ...) -> None: ...

class StreamJobMetricsRequest(_message.Message):
    __slots__ = ["job_uuid"]
    JOB_UUID_FIELD_NUMBER: _ClassVar[int]
    job_uuid: str
    def __init__(self, job_uuid: _Optional[str] = ...) -> None: ...

class StreamJobTelematicsRequest(_message.Message):
    __slots__ = ["job_uuid", "types"]
    JOB_UUID_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    job_uuid: str
    types: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_uuid: _Optional[str] = ..., types: _Optional[_Iterable[str]] = ...) -> None: ...

class StreamMetricsRequest(_message.Message):
    __slots__ = ["interval_seconds", "metric_types"]
    INTERVAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    METRIC_TYPES_FIELD_NUMBER: _ClassVar[int]
    interval_seconds: int
    metric_types: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, interval_seconds: _Optional[int] = ..., metric_types: _Optional[_Iterable[str]] = ...) -> None: ...

class StreamTelemetryRequest(_message.Message):
    __slots__ = ["job_uuid", "types"]
    JOB_UUID_FIELD_NUMBER: _ClassVar[int]
    TYPES_FIELD_NUMBER: _ClassVar[int]
    job_uuid: str
    types: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, job_uuid: _Optional[str] = ..., types: _Optional[_Iterable[str]] = ...) -> None: ...

class SystemMetricsResponse(_message.Message):
    __slots__ = ["cloud", "cpu", "disks", "host", "io", "memory", "networks", "processes", "timestamp"]
    CLOUD_FIELD_NUMBER: _ClassVar[int]
    CPU_FIELD_NUMBER: _ClassVar[int]
    DISKS_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    IO_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    cloud: CloudInfo
    cpu: CPUMetrics
    disks: _containers.RepeatedCompositeFieldContainer[DiskMetrics]
    host: HostInfo
    io: IOMetrics
    memory: MemoryMetrics
    networks: _containers.RepeatedCompositeFieldContainer[NetworkMetrics]
    processes: ProcessMetrics
    timestamp: str
    def __init__(self, timestamp: _Optional[str] = ..., host: _Optional[_Union[HostInfo, _Mapping]] = ..., cpu: _Optional[_Union[CPUMetrics, _Mapping]] = ..., memory: _Optional[_Union[MemoryMetrics, _Mapping]] = ..., disks: _Optional[_Iterable[_Union[DiskMetrics, _Mapping]]] = ..., networks: _Optional[_Iterable[_Union[NetworkMetrics, _Mapping]]] = ..., io: _Optional[_Union[IOMetrics, _Mapping]] = ..., processes: _Optional[_Union[ProcessMetrics, _Mapping]] = ..., cloud: _Optional[_Union[CloudInfo, _Mapping]] = ...) -> None: ...

class SystemStatusResponse(_message.Message):
    __slots__ = ["available", "cloud", "cpu", "disks", "host", "io", "memory", "networks", "processes", "server_version", "timestamp"]
    AVAILABLE_FIELD_NUMBER: _ClassVar[int]
    CLOUD_FIELD_NUMBER: _ClassVar[int]
    CPU_FIELD_NUMBER: _ClassVar[int]
    DISKS_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    IO_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    NETWORKS_FIELD_NUMBER: _ClassVar[int]
    PROCESSES_FIELD_NUMBER: _ClassVar[int]
    SERVER_VERSION_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    available: bool
    cloud: CloudInfo
    cpu: CPUMetrics
    disks: _containers.RepeatedCompositeFieldContainer[DiskMetrics]
    host: HostInfo
    io: IOMetrics
    memory: MemoryMetrics
    networks: _containers.RepeatedCompositeFieldContainer[NetworkMetrics]
    processes: ProcessMetrics
    server_version: ServerVersionInfo
    timestamp: str
    def __init__(self, timestamp: _Optional[str] = ..., available: bool = ..., host: _Optional[_Union[HostInfo, _Mapping]] = ..., cpu: _Optional[_Union[CPUMetrics, _Mapping]] = ..., memory: _Optional[_Union[MemoryMetrics, _Mapping]] = ..., disks: _Optional[_Iterable[_Union[DiskMetrics, _Mapping]]] = ..., networks: _Optional[_Iterable[_Union[NetworkMetrics, _Mapping]]] = ..., io: _Optional[_Union[IOMetrics, _Mapping]] = ..., processes: _Optional[_Union[ProcessMetrics, _Mapping]] = ..., cloud: _Optional[_Union[CloudInfo, _Mapping]] = ..., server_version: _Optional[_Union[ServerVersionInfo, _Mapping]] = ...) -> None: ...

class TelematicsAcceptData(_message.Message):
    __slots__ = ["dst_addr", "dst_port", "pid", "protocol", "src_addr", "src_port"]
    DST_ADDR_FIELD_NUMBER: _ClassVar[int]
    DST_PORT_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    SRC_ADDR_FIELD_NUMBER: _ClassVar[int]
    SRC_PORT_FIELD_NUMBER: _ClassVar[int]
    dst_addr: str
    dst_port: int
    pid: int
    protocol: str
    src_addr: str
    src_port: int
    def __init__(self, pid: _Optional[int] = ..., src_addr: _Optional[str] = ..., src_port: _Optional[int] = ..., dst_addr: _Optional[str] = ..., dst_port: _Optional[int] = ..., protocol: _Optional[str] = ...) -> None: ...

class TelematicsConnectData(_message.Message):
    __slots__ = ["dst_addr", "dst_port", "pid", "protocol", "src_addr", "src_port"]
    DST_ADDR_FIELD_NUMBER: _ClassVar[int]
    DST_PORT_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    SRC_ADDR_FIELD_NUMBER: _ClassVar[int]
    SRC_PORT_FIELD_NUMBER: _ClassVar[int]
    dst_addr: str
    dst_port: int
    pid: int
    protocol: str
    src_addr: str
    src_port: int
    def __init__(self, pid: _Optional[int] = ..., dst_addr: _Optional[str] = ..., dst_port: _Optional[int] = ..., protocol: _Optional[str] = ..., src_addr: _Optional[str] = ..., src_port: _Optional[int] = ...) -> None: ...

class TelematicsEvent(_message.Message):
    __slots__ = ["accept", "connect", "exec", "file", "job_uuid", "mmap", "mprotect", "socket_data", "timestamp", "type"]
    ACCEPT_FIELD_NUMBER: _ClassVar[int]
    CONNECT_FIELD_NUMBER: _ClassVar[int]
    EXEC_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    JOB_UUID_FIELD_NUMBER: _ClassVar[int]
    MMAP_FIELD_NUMBER: _ClassVar[int]
    MPROTECT_FIELD_NUMBER: _ClassVar[int]
    SOCKET_DATA_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    accept: TelematicsAcceptData
    connect: TelematicsConnectData
    exec: TelematicsExecData
    file: TelematicsFileData
    job_uuid: str
    mmap: TelematicsMmapData
    mprotect: TelematicsMprotectData
    socket_data: TelematicsSocketDataData
    timestamp: int
    type: str
    def __init__(self, timestamp: _Optional[int] = ..., job_uuid: _Optional[str] = ..., type: _Optional[str] = ..., exec: _Optional[_Union[TelematicsExecData, _Mapping]] = ..., connect: _Optional[_Union[TelematicsConnectData, _Mapping]] = ..., accept: _Optional[_Union[TelematicsAcceptData, _Mapping]] = ..., file: _Optional[_Union[TelematicsFileData, _Mapping]] = ..., mmap: _Optional[_Union[TelematicsMmapData, _Mapping]] = ..., mprotect: _Optional[_Union[TelematicsMprotectData, _Mapping]] = ..., socket_data: _Optional[_Union[TelematicsSocketDataData, _Mapping]] = ...) -> None: ...

class TelematicsExecData(_message.Message):
    __slots__ = ["args", "binary", "exit_code", "pid", "ppid"]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    BINARY_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PPID_FIELD_NUMBER: _ClassVar[int]
    args: _containers.RepeatedScalarFieldContainer[str]
    binary: str
    exit_code: int
    pid: int
    ppid: int
    def __init__(self, pid: _Optional[int] = ..., ppid: _Optional[int] = ..., binary: _Optional[str] = ..., args: _Optional[_Iterable[str]] = ..., exit_code: _Optional[int] = ...) -> None: ...

class TelematicsFileData(_message.Message):
    __slots__ = ["bytes", "flags", "operation", "path", "pid"]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    bytes: int
    flags: int
    operation: str
    path: str
    pid: int
    def __init__(self, pid: _Optional[int] = ..., path: _Optional[str] = ..., operation: _Optional[str] = ..., bytes: _Optional[int] = ..., flags: _Optional[int] = ...) -> None: ...

class TelematicsMmapData(_message.Message):
    __slots__ = ["addr", "file_path", "flags", "length", "pid", "prot"]
    ADDR_FIELD_NUMBER: _ClassVar[int]
    FILE_PATH_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PROT_FIELD_NUMBER: _ClassVar[int]
    addr: int
    file_path: str
    flags: int
    length: int
    pid: int
    prot: int
    def __init__(self, pid: _Optional[int] = ..., addr: _Optional[int] = ..., length: _Optional[int] = ..., prot: _Optional[int] = ..., flags: _Optional[int] = ..., file_path: _Optional[str] = ...) -> None: ...

class TelematicsMprotectData(_message.Message):
    __slots__ = ["addr", "length", "pid", "prot"]
    ADDR_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PROT_FIELD_NUMBER: _ClassVar[int]
    addr: int
    length: int
    pid: int
    prot: int
    def __init__(self, pid: _Optional[int] = ..., addr: _Optional[int] = ..., length: _Optional[int] = ..., prot: _Optional[int] = ...) -> None: ...

class TelematicsSocketDataData(_message.Message):
    __slots__ = ["bytes", "direction", "dst_addr", "dst_port", "pid", "protocol", "src_addr", "src_port"]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    DST_ADDR_FIELD_NUMBER: _ClassVar[int]
    DST_PORT_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    SRC_ADDR_FIELD_NUMBER: _ClassVar[int]
    SRC_PORT_FIELD_NUMBER: _ClassVar[int]
    bytes: int
    direction: str
    dst_addr: str
    dst_port: int
    pid: int
    protocol: str
    src_addr: str
    src_port: int
    def __init__(self, pid: _Optional[int] = ..., direction: _Optional[str] = ..., dst_addr: _Optional[str] = ..., dst_port: _Optional[int] = ..., src_addr: _Optional[str] = ..., src_port: _Optional[int] = ..., protocol: _Optional[str] = ..., bytes: _Optional[int] = ...) -> None: ...

class TelemetryConnectData(_message.Message):
    __slots__ = ["address", "local_address", "local_port", "pid", "port", "protocol"]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LOCAL_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    LOCAL_PORT_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    address: str
    local_address: str
    local_port: int
    pid: int
    port: int
    protocol: str
    def __init__(self, pid: _Optional[int] = ..., address: _Optional[str] = ..., port: _Optional[int] = ..., protocol: _Optional[str] = ..., local_address: _Optional[str] = ..., local_port: _Optional[int] = ...) -> None: ...

class TelemetryEvent(_message.Message):
    __slots__ = ["connect", "exec", "file", "job_id", "metrics", "timestamp", "type"]
    CONNECT_FIELD_NUMBER: _ClassVar[int]
    EXEC_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    connect: TelemetryConnectData
    exec: TelemetryExecData
    file: TelemetryFileData
    job_id: str
    metrics: TelemetryMetricsData
    timestamp: int
    type: str
    def __init__(self, timestamp: _Optional[int] = ..., job_id: _Optional[str] = ..., type: _Optional[str] = ..., metrics: _Optional[_Union[TelemetryMetricsData, _Mapping]] = ..., exec: _Optional[_Union[TelemetryExecData, _Mapping]] = ..., connect: _Optional[_Union[TelemetryConnectData, _Mapping]] = ..., file: _Optional[_Union[TelemetryFileData, _Mapping]] = ...) -> None: ...

class TelemetryExecData(_message.Message):
    __slots__ = ["args", "binary", "exit_code", "pid", "ppid"]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    BINARY_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    PPID_FIELD_NUMBER: _ClassVar[int]
    args: _containers.RepeatedScalarFieldContainer[str]
    binary: str
    exit_code: int
    pid: int
    ppid: int
    def __init__(self, pid: _Optional[int] = ..., binary: _Optional[str] = ..., args: _Optional[_Iterable[str]] = ..., exit_code: _Optional[int] = ..., ppid: _Optional[int] = ...) -> None: ...

class TelemetryFileData(_message.Message):
    __slots__ = ["bytes", "operation", "path", "pid"]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    bytes: int
    operation: str
    path: str
    pid: int
    def __init__(self, pid: _Optional[int] = ..., path: _Optional[str] = ..., operation: _Optional[str] = ..., bytes: _Optional[int] = ...) -> None: ...

class TelemetryMetricsData(_message.Message):
    __slots__ = ["cpu_percent", "disk_read_bytes", "disk_write_bytes", "gpu_memory_bytes", "gpu_percent", "memory_bytes", "memory_limit", "net_recv_bytes", "net_sent_bytes"]
    CPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    DISK_READ_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISK_WRITE_BYTES_FIELD_NUMBER: _ClassVar[int]
    GPU_MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    GPU_PERCENT_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    MEMORY_LIMIT_FIELD_NUMBER: _ClassVar[int]
    NET_RECV_BYTES_FIELD_NUMBER: _ClassVar[int]
    NET_SENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    cpu_percent: float
    disk_read_bytes: int
    disk_write_bytes: int
    gpu_memory_bytes: int
    gpu_percent: float
    memory_bytes: int
    memory_limit: int
    net_recv_bytes: int
    net_sent_bytes: int
    def __init__(self, cpu_percent: _Optional[float] = ..., memory_bytes: _Optional[int] = ..., memory_limit: _Optional[int] = ..., disk_read_bytes: _Optional[int] = ..., disk_write_bytes: _Optional[int] = ..., net_recv_bytes: _Optional[int] = ..., net_sent_bytes: _Optional[int] = ..., gpu_percent: _Optional[float] = ..., gpu_memory_bytes: _Optional[int] = ...) -> None: ...

class TestRuntimeRequest(_message.Message):
    __slots__ = ["runtime"]
    RUNTIME_FIELD_NUMBER: _ClassVar[int]
    runtime: str
    def __init__(self, runtime: _Optional[str] = ...) -> None: ...

class TestRuntimeResponse(_message.Message):
    __slots__ = ["error", "exit_code", "output", "success"]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    error: str
    exit_code: int
    output: str
    success: bool
    def __init__(self, success: bool = ..., output: _Optional[str] = ..., error: _Optional[str] = ..., exit_code: _Optional[int] = ...) -> None: ...

class Timestamp(_message.Message):
    __slots__ = ["nanos", "seconds"]
    NANOS_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    nanos: int
    seconds: int
    def __init__(self, seconds: _Optional[int] = ..., nanos: _Optional[int] = ...) -> None: ...

class ValidateRuntimeSpecRequest(_message.Message):
    __slots__ = ["runtime_spec"]
    RUNTIME_SPEC_FIELD_NUMBER: _ClassVar[int]
    runtime_spec: str
    def __init__(self, runtime_spec: _Optional[str] = ...) -> None: ...

class ValidateRuntimeSpecResponse(_message.Message):
    __slots__ = ["message", "normalized_spec", "spec_info", "valid"]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NORMALIZED_SPEC_FIELD_NUMBER: _ClassVar[int]
    SPEC_INFO_FIELD_NUMBER: _ClassVar[int]
    VALID_FIELD_NUMBER: _ClassVar[int]
    message: str
    normalized_spec: str
    spec_info: RuntimeSpecInfo
    valid: bool
    def __init__(self, valid: bool = ..., message: _Optional[str] = ..., normalized_spec: _Optional[str] = ..., spec_info: _Optional[_Union[RuntimeSpecInfo, _Mapping]] = ...) -> None: ...

class ValidateRuntimeYAMLRequest(_message.Message):
    __slots__ = ["yaml_content"]
    YAML_CONTENT_FIELD_NUMBER: _ClassVar[int]
    yaml_content: str
    def __init__(self, yaml_content: _Optional[str] = ...) -> None: ...

class ValidateRuntimeYAMLResponse(_message.Message):
    __slots__ = ["errors", "message", "spec_info", "valid", "warnings"]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SPEC_INFO_FIELD_NUMBER: _ClassVar[int]
    VALID_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    errors: _containers.RepeatedScalarFieldContainer[str]
    message: str
    spec_info: RuntimeYAMLInfo
    valid: bool
    warnings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, valid: bool = ..., message: _Optional[str] = ..., errors: _Optional[_Iterable[str]] = ..., warnings: _Optional[_Iterable[str]] = ..., spec_info: _Optional[_Union[RuntimeYAMLInfo, _Mapping]] = ...) -> None: ...

class Volume(_message.Message):
    __slots__ = ["created_time", "job_count", "name", "path", "size", "type"]
    CREATED_TIME_FIELD_NUMBER: _ClassVar[int]
    JOB_COUNT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    created_time: str
    job_count: int
    name: str
    path: str
    size: str
    type: str
    def __init__(self, name: _Optional[str] = ..., size: _Optional[str] = ..., type: _Optional[str] = ..., path: _Optional[str] = ..., created_time: _Optional[str] = ..., job_count: _Optional[int] = ...) -> None: ...

class Volumes(_message.Message):
    __slots__ = ["volumes"]
    VOLUMES_FIELD_NUMBER: _ClassVar[int]
    volumes: _containers.RepeatedCompositeFieldContainer[Volume]
    def __init__(self, volumes: _Optional[_Iterable[_Union[Volume, _Mapping]]] = ...) -> None: ...

class WorkflowInfo(_message.Message):
    __slots__ = ["canceled_jobs", "completed_at", "completed_jobs", "created_at", "failed_jobs", "started_at", "status", "total_jobs", "uuid", "yaml_content"]
    CANCELED_JOBS_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_AT_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_JOBS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    FAILED_JOBS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_JOBS_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    YAML_CONTENT_FIELD_NUMBER: _ClassVar[int]
    canceled_jobs: int
    completed_at: Timestamp
    completed_jobs: int
    created_at: Timestamp
    failed_jobs: int
    started_at: Timestamp
    status: str
    total_jobs: int
    uuid: str
    yaml_content: str
    def __init__(self, uuid: _Optional[str] = ..., status: _Optional[str] = ..., total_jobs: _Optional[int] = ..., completed_jobs: _Optional[int] = ..., failed_jobs: _Optional[int] = ..., canceled_jobs: _Optional[int] = ..., created_at: _Optional[_Union[Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[Timestamp, _Mapping]] = ..., completed_at: _Optional[_Union[Timestamp, _Mapping]] = ..., yaml_content: _Optional[str] = ...) -> None: ...

class WorkflowInfoV1(_message.Message):
    __slots__ = ["canceled_jobs", "completed_at", "completed_jobs", "created_at", "failed_jobs", "started_at", "status", "total_jobs", "uuid", "workflow", "yaml_content"]
    CANCELED_JOBS_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_AT_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_JOBS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    FAILED_JOBS_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_JOBS_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    WORKFLOW_FIELD_NUMBER: _ClassVar[int]
    YAML_CONTENT_FIELD_NUMBER: _ClassVar[int]
    canceled_jobs: int
    completed_at: Timestamp
    completed_jobs: int
    created_at: Timestamp
    failed_jobs: int
    started_at: Timestamp
    status: str
    total_jobs: int
    uuid: str
    workflow: str
    yaml_content: str
    def __init__(self, uuid: _Optional[str] = ..., workflow: _Optional[str] = ..., status: _Optional[str] = ..., total_jobs: _Optional[int] = ..., completed_jobs: _Optional[int] = ..., failed_jobs: _Optional[int] = ..., canceled_jobs: _Optional[int] = ..., created_at: _Optional[_Union[Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[Timestamp, _Mapping]] = ..., completed_at: _Optional[_Union[Timestamp, _Mapping]] = ..., yaml_content: _Optional[str] = ...) -> None: ...

class WorkflowJob(_message.Message):
    __slots__ = ["dependencies", "end_time", "exit_code", "job_name", "job_uuid", "start_time", "status"]
    DEPENDENCIES_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    JOB_NAME_FIELD_NUMBER: _ClassVar[int]
    JOB_UUID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    dependencies: _containers.RepeatedScalarFieldContainer[str]
    end_time: Timestamp
    exit_code: int
    job_name: str
    job_uuid: str
    start_time: Timestamp
    status: str
    def __init__(self, job_uuid: _Optional[str] = ..., job_name: _Optional[str] = ..., status: _Optional[str] = ..., dependencies: _Optional[_Iterable[str]] = ..., start_time: _Optional[_Union[Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[Timestamp, _Mapping]] = ..., exit_code: _Optional[int] = ...) -> None: ...
