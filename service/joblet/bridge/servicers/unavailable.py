"""What the contract has and this version of Joblet does not: a sentence for each method.

A method leaves this table when a servicer brings it. No answer here pretends anything.
"""

from __future__ import annotations

from joblet.rpc import methods

_WORKFLOWS = "workflows are not available yet on this host"
_TELEMATICS = "events of the programs of a job are not available on this host"

_BY_SERVICE = {
    "joblet.NetworkService": "networks are not available yet on this host; jobs have none",
    "joblet.VolumeService": "volumes are not available yet on this host",
    "joblet.RuntimeService": "runtimes are not available yet on this host",
}
_BY_METHOD = {
    "RunWorkflow": _WORKFLOWS,
    "GetWorkflowStatus": _WORKFLOWS,
    "ListWorkflows": _WORKFLOWS,
    "GetWorkflowJobs": _WORKFLOWS,
    "StreamJobTelematics": _TELEMATICS,
    "GetJobTelematics": _TELEMATICS,
    "StreamJobVisibility": _TELEMATICS,
    "GetJobVisibility": _TELEMATICS,
    "StreamJobTelemetry": _TELEMATICS,
    "GetJobTelemetry": _TELEMATICS,
}


def sentence(method: methods.Method) -> str:
    """Why a method is not served. Raises KeyError for one that nobody thought of."""
    if method.service in _BY_SERVICE:
        return _BY_SERVICE[method.service]
    return _BY_METHOD[method.name]
