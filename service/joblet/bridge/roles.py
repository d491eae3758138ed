"""Which role may call what: one table, which is also its test.

Each role may what the one before it may. A role is all or nothing for a method, and holds for all
jobs, unless the setting own_jobs_only leaves developers alone with their own: ownership.py.
"""

from __future__ import annotations

from joblet.model.roles import Role

UNKNOWN = "unknown"
_ORDER = list(Role)

# Method: operation as refusals name it, and the least role that may.
OPERATIONS: dict[str, tuple[str, Role]] = {
    "joblet.JobService/RunJob": ("run_job", Role.DEVELOPER),
    "joblet.JobService/GetJobStatus": ("get_job_status", Role.VIEWER),
    "joblet.JobService/ListJobs": ("list_jobs", Role.VIEWER),
    "joblet.JobService/StopJob": ("stop_job", Role.DEVELOPER),
    "joblet.JobService/CancelJob": ("stop_job", Role.DEVELOPER),
    "joblet.JobService/DeleteJob": ("delete_job", Role.DEVELOPER),
    "joblet.JobService/DeleteAllJobs": ("delete_job", Role.DEVELOPER),
    "joblet.JobService/GetJobLogs": ("get_job_logs", Role.VIEWER),
    "joblet.JobService/StreamJobMetrics": ("get_job", Role.VIEWER),
    "joblet.JobService/GetJobMetrics": ("get_job", Role.VIEWER),
    "joblet.JobService/GetJobMetricsHistory": ("get_job", Role.VIEWER),
    "joblet.JobService/GetJobMetricsSummary": ("get_job", Role.VIEWER),
    "joblet.JobService/StreamJobTelematics": ("get_job", Role.VIEWER),
    "joblet.JobService/GetJobTelematics": ("get_job", Role.VIEWER),
    "joblet.JobService/StreamJobVisibility": ("get_job", Role.VIEWER),
    "joblet.JobService/GetJobVisibility": ("get_job", Role.VIEWER),
    "joblet.JobService/StreamJobTelemetry": ("get_job", Role.VIEWER),
    "joblet.JobService/GetJobTelemetry": ("get_job", Role.VIEWER),
    "joblet.JobService/RunWorkflow": ("run_job", Role.DEVELOPER),
    "joblet.JobService/GetWorkflowStatus": ("get_job", Role.VIEWER),
    "joblet.JobService/ListWorkflows": ("get_job", Role.VIEWER),
    "joblet.JobService/GetWorkflowJobs": ("get_job", Role.VIEWER),
    "joblet.NetworkService/CreateNetwork": ("create_network", Role.MAINTAINER),
    "joblet.NetworkService/ListNetworks": ("list_networks", Role.VIEWER),
    "joblet.NetworkService/RemoveNetwork": ("remove_network", Role.ADMIN),
    "joblet.VolumeService/CreateVolume": ("create_volume", Role.MAINTAINER),
    "joblet.VolumeService/ListVolumes": ("list_volumes", Role.VIEWER),
    "joblet.VolumeService/RemoveVolume": ("remove_volume", Role.ADMIN),
    "joblet.MonitoringService/GetSystemStatus": ("get_metrics", Role.VIEWER),
    "joblet.MonitoringService/StreamSystemMetrics": ("get_metrics", Role.VIEWER),
    "joblet.RuntimeService/ListRuntimes": ("list_runtimes", Role.VIEWER),
    "joblet.RuntimeService/GetRuntimeInfo": ("get_runtime_info", Role.VIEWER),
    "joblet.RuntimeService/TestRuntime": ("test_runtime", Role.DEVELOPER),
    "joblet.RuntimeService/RemoveRuntime": ("remove_runtime", Role.ADMIN),
    "joblet.RuntimeService/InstallRuntimeFromGithub": ("build_runtime", Role.MAINTAINER),
    "joblet.RuntimeService/InstallRuntimeFromLocal": ("build_runtime", Role.MAINTAINER),
    "joblet.RuntimeService/StreamingInstallRuntimeFromGithub": ("build_runtime", Role.MAINTAINER),
    "joblet.RuntimeService/StreamingInstallRuntimeFromLocal": ("build_runtime", Role.MAINTAINER),
    "joblet.RuntimeService/ValidateRuntimeSpec": ("get_runtime_info", Role.VIEWER),
    "joblet.RuntimeService/BuildRuntime": ("build_runtime", Role.MAINTAINER),
    "joblet.RuntimeService/ValidateRuntimeYAML": ("validate_runtime", Role.MAINTAINER),
    "joblet1.Jobs/Run": ("run_job", Role.DEVELOPER),
    "joblet1.Jobs/Explain": ("run_job", Role.DEVELOPER),
    "joblet1.Jobs/Get": ("get_job_status", Role.VIEWER),
    "joblet1.Jobs/List": ("list_jobs", Role.VIEWER),
    "joblet1.Jobs/Wait": ("get_job_status", Role.VIEWER),
    "joblet1.Jobs/Stop": ("stop_job", Role.DEVELOPER),
    "joblet1.Jobs/Cancel": ("stop_job", Role.DEVELOPER),
    "joblet1.Jobs/Delete": ("delete_job", Role.DEVELOPER),
    "joblet1.Jobs/DeleteAll": ("delete_job", Role.DEVELOPER),
    "joblet1.Jobs/Update": ("update_job", Role.DEVELOPER),
    "joblet1.Jobs/Log": ("get_job_logs", Role.VIEWER),
    # What a job was given and what it made may be more than it says.
    "joblet1.Jobs/Files": ("get_job_files", Role.DEVELOPER),
    "joblet1.Jobs/Events": ("list_jobs", Role.VIEWER),
    "joblet1.Jobs/Usage": ("get_metrics", Role.VIEWER),
    "joblet1.Jobs/Metrics": ("get_job", Role.VIEWER),
    "joblet1.Jobs/HostStatus": ("get_metrics", Role.VIEWER),
    "joblet1.Jobs/Version": ("get_metrics", Role.VIEWER),
    "grpc.health.v1.Health/Check": ("health", Role.VIEWER),
    "grpc.health.v1.Health/Watch": ("health", Role.VIEWER),
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": ("reflection", Role.VIEWER),
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo": ("reflection", Role.VIEWER),
}

# Of the methods about jobs, those about one job: the field of the request that names it.
JOB_FIELDS: dict[str, str] = {
    "joblet.JobService/GetJobStatus": "uuid",
    "joblet.JobService/StopJob": "uuid",
    "joblet.JobService/CancelJob": "uuid",
    "joblet.JobService/DeleteJob": "uuid",
    "joblet.JobService/GetJobLogs": "uuid",
    "joblet.JobService/StreamJobMetrics": "job_uuid",
    "joblet.JobService/GetJobMetrics": "job_uuid",
    "joblet.JobService/GetJobMetricsHistory": "uuid",
    "joblet.JobService/GetJobMetricsSummary": "uuid",
    "joblet.JobService/StreamJobTelematics": "job_uuid",
    "joblet.JobService/GetJobTelematics": "job_uuid",
    "joblet.JobService/StreamJobVisibility": "job_uuid",
    "joblet.JobService/GetJobVisibility": "job_uuid",
    "joblet.JobService/StreamJobTelemetry": "job_uuid",
    "joblet.JobService/GetJobTelemetry": "job_uuid",
    "joblet1.Jobs/Wait": "job",
    "joblet1.Jobs/Stop": "id",
    "joblet1.Jobs/Cancel": "id",
    "joblet1.Jobs/Delete": "id",
    "joblet1.Jobs/Update": "job",
    "joblet1.Jobs/Log": "job",
    "joblet1.Jobs/Files": "job",
    "joblet1.Jobs/Metrics": "job",
}
# Those about many jobs, which keep to the owner of a call themselves, and those about none.
KEEP_TO_THE_OWNER = {
    "joblet.JobService/RunJob",
    "joblet.JobService/ListJobs",
    "joblet.JobService/DeleteAllJobs",
    "joblet1.Jobs/Run",
    "joblet1.Jobs/Explain",
    "joblet1.Jobs/Get",
    "joblet1.Jobs/List",
    "joblet1.Jobs/DeleteAll",
    "joblet1.Jobs/Events",
    "joblet1.Jobs/Usage",
    "joblet1.Jobs/HostStatus",
    "joblet1.Jobs/Version",
}


def word(role: Role | None) -> str:
    """A role, or the lack of one, as refusals and jobs spell it."""
    return UNKNOWN if role is None else role.value


def refusal(method: str, role: Role | None) -> str:
    """Why this role may not call a method (`package.Service/Method`); "" if it may."""
    operation, least = OPERATIONS[method]
    if role is not None and _ORDER.index(role) >= _ORDER.index(least):
        return ""
    return f"role {word(role)} is not allowed to perform operation {operation}"
