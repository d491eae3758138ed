"""Which of two encodings a client understands, where one field number means two things.

Owns the rule for metrics and for workflows. A listener has a dialect; `auto` looks at the user
agent, which every gRPC library sends. See joblet.proto for the messages. Pure.
"""

from __future__ import annotations

from enum import StrEnum

from joblet.rpc.pb import joblet_pb2 as pb

_NODE = "grpc-node-js"
_GO = "grpc-go"


class Dialect(StrEnum):
    """What the clients of a listener speak."""

    AUTO = "auto"
    V2_5 = "v2.5"  # from 2.5.3: flat metrics
    V2_3 = "v2.3"  # nested metrics
    V1 = "v1"  # to 1.0.7: nested metrics, the old WorkflowInfo

    @property
    def old_workflow_info(self) -> bool:
        """True when workflows go out as WorkflowInfoV1; nothing in a call would tell."""
        return self is Dialect.V1

    def metrics(
        self, user_agent: str, nested: pb.JobMetricsSample, flat: pb.JobMetricsEvent
    ) -> bytes:
        """One sample for GetJobMetrics or StreamJobMetrics.

        All numbers that both messages use differ in wire type, so the bytes of both, one after the
        other, are complete for readers of either: the other half is unknown fields to them. The
        reader of Node throws on a wrong wire type instead and gets the flat half alone.
        """
        if self is Dialect.V2_5 or (self is Dialect.AUTO and user_agent.startswith(_NODE)):
            return bytes(flat.SerializeToString())
        if self is not Dialect.AUTO:
            return bytes(nested.SerializeToString())
        return bytes(nested.SerializeToString() + flat.SerializeToString())

    def metrics_end_with_job(self, user_agent: str, asked: pb.GetJobMetricsRequest) -> bool:
        """True when GetJobMetrics goes on after the history, to the end of the job.

        The Go client of the nested time relies on it; newer clients wait for the end of the call.
        """
        if self is not Dialect.AUTO:
            return self is not Dialect.V2_5
        plain = not (asked.start_time or asked.end_time or asked.limit)
        return user_agent.startswith(_GO) and plain
