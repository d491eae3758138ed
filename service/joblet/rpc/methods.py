"""The services of the contract as data, read from the generated descriptors.

Both ends of a call are built from this, so no stubs are generated.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2

from joblet.rpc.pb import health_pb2, joblet1_pb2, joblet_pb2, reflection_pb2

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Method(NamedTuple):
    """One method: it takes one message, or a stream of them, and gives one, or a stream."""

    service: str  # full name
    name: str
    request: type[Any]
    response: type[Any]
    streams: bool
    takes_stream: bool = False

    @property
    def path(self) -> str:
        """As it stands in a call."""
        return f"/{self.service}/{self.name}"

    @property
    def attribute(self) -> str:
        """The name of the Python method: snake_case."""
        return _WORD.sub("_", self.name).lower()


def _methods(module: Any) -> tuple[Method, ...]:
    # The descriptor objects of older runtimes do not tell whether a method streams.
    file = descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)
    return tuple(
        Method(
            service=f"{file.package}.{service.name}",
            name=method.name,
            request=getattr(module, method.input_type.rpartition(".")[2]),
            response=getattr(module, method.output_type.rpartition(".")[2]),
            streams=method.server_streaming,
            takes_stream=method.client_streaming,
        )
        for service in file.service
        for method in service.method
    )


JOBLET = _methods(joblet_pb2)
NATIVE = _methods(joblet1_pb2)
HEALTH = _methods(health_pb2)
EVERY = (*JOBLET, *NATIVE, *HEALTH)
_V1ALPHA = _methods(reflection_pb2)
# The same messages under both names that clients know.
REFLECTION = (
    *_V1ALPHA,
    *(one._replace(service="grpc.reflection.v1.ServerReflection") for one in _V1ALPHA),
)
