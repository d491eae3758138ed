"""What joblet.JobService has on the metrics of jobs, in the dialect that its caller reads."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from joblet.bridge.calls import Caller, Refused
from joblet.client.api import JobletClient
from joblet.client.monitoring import MetricsRequest
from joblet.errors import InvalidSpec, JobletError
from joblet.model.ids import PREFIX_MIN, check_job_reference
from joblet.model.metrics import Sample
from joblet.rpc import metrics
from joblet.rpc.pb import joblet_pb2 as pb

# A client takes messages of 4 MiB; a nested sample has some 500 bytes.
HISTORY_MAX = 4000


class JobMetricsServicer:
    """The half of JobService that this is about; the servicer of jobs is one of these too."""

    _client: JobletClient

    async def stream_job_metrics(
        self, request: pb.StreamJobMetricsRequest, caller: Caller
    ) -> AsyncGenerator[bytes, None]:
        """StreamJobMetrics: all there is and will be, until the job has ended."""
        job_id = await self._job(request.job_uuid)
        async with aclosing(self._samples(job_id, MetricsRequest(follow=True))) as found:
            async for sample in found:
                yield _in_dialect(job_id, sample, caller)

    async def get_job_metrics(
        self, request: pb.GetJobMetricsRequest, caller: Caller
    ) -> AsyncGenerator[bytes, None]:
        """GetJobMetrics: what there is; for clients that rely on it, what comes too."""
        job_id = await self._job(request.job_uuid)
        wanted = MetricsRequest(
            follow=caller.dialect.metrics_end_with_job(caller.user_agent, request),
            since_usec=max(0, request.start_time) // 1000 or None,
            until_usec=max(0, request.end_time) // 1000 or None,
        )
        count = 0
        async with aclosing(self._samples(job_id, wanted)) as found:
            async for sample in found:
                yield _in_dialect(job_id, sample, caller)
                count += 1
                if count == request.limit:
                    return

    async def get_job_metrics_history(
        self, request: pb.JobMetricsHistoryRequest, caller: Caller
    ) -> pb.JobMetricsHistoryResponse:
        """GetJobMetricsHistory: the samples of a time, the latest if they are too many."""
        job_id = await self._job(request.uuid)
        until_s = max(0, request.to_timestamp)
        wanted = MetricsRequest(
            since_usec=max(0, request.from_timestamp) * 1_000_000 or None,
            # the whole of that second
            until_usec=until_s * 1_000_000 + 999_999 if until_s else None,
        )
        samples = [sample async for sample in self._samples(job_id, wanted)]
        if len(samples) > HISTORY_MAX:
            caller.trailer["joblet-truncated"] = "1"
        return pb.JobMetricsHistoryResponse(
            samples=[metrics.nested(job_id, sample) for sample in samples[-HISTORY_MAX:]]
        )

    async def get_job_metrics_summary(
        self, request: pb.JobMetricsSummaryRequest, _caller: Caller
    ) -> pb.JobMetricsSummaryResponse:
        """GetJobMetricsSummary."""
        job_id = await self._job(request.uuid)
        samples = [sample async for sample in self._samples(job_id, MetricsRequest())]
        return metrics.summary(samples, max(0, request.period_seconds))

    async def _job(self, reference: str) -> str:
        """The whole id: a prefix that another job comes to share must not end a stream."""
        if not reference:
            raise Refused("INVALID_ARGUMENT", "job_uuid is required")
        missing = Refused("NOT_FOUND", f"job not found: {reference}")
        try:
            check_job_reference(reference)
        except InvalidSpec as err:
            if len(reference) < PREFIX_MIN:
                raise
            # Of a form that no id has: there is no such job, and that is what clients look for.
            raise missing from err
        try:
            return (await self._client.status(reference)).id
        except JobletError as err:
            if err.grpc_status != "NOT_FOUND":
                raise
            raise missing from err

    async def _samples(self, job_id: str, request: MetricsRequest) -> AsyncGenerator[Sample, None]:
        try:
            async with aclosing(self._client.metrics(job_id, request)) as found:
                async for sample in found:
                    yield sample
        except JobletError as err:
            if err.grpc_status != "NOT_FOUND":
                raise
            # It was deleted meanwhile.
            raise Refused("NOT_FOUND", f"job not found: {job_id}") from err


def _in_dialect(job_id: str, sample: Sample, caller: Caller) -> bytes:
    return caller.dialect.metrics(
        caller.user_agent, metrics.nested(job_id, sample), metrics.flat(job_id, sample)
    )
