"""grpc.reflection: the contract as the bridge serves it, told to those with a role who ask for it.

There are no extensions in it and its files import none, so one file is the answer to everything.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from joblet.bridge.calls import Caller
from joblet.rpc import methods
from joblet.rpc.pb import health_pb2, joblet1_pb2, joblet_pb2
from joblet.rpc.pb import reflection_pb2 as pb

_NOT_FOUND = 5
_MODULES = (joblet_pb2, joblet1_pb2, health_pb2, pb)
_FILES = {module.DESCRIPTOR.name: module.DESCRIPTOR for module in _MODULES}
_SERVICES = sorted({method.service for method in (*methods.EVERY, *methods.REFLECTION)})


class ReflectionServicer:
    """Answers what each request asks for, in their order."""

    async def server_reflection_info(
        self, requests: AsyncIterator[pb.ServerReflectionRequest], _caller: Caller
    ) -> AsyncGenerator[pb.ServerReflectionResponse, None]:
        """ServerReflectionInfo."""
        async for request in requests:
            answer = _answer(request)
            answer.valid_host = request.host
            answer.original_request.CopyFrom(request)
            yield answer


def _answer(request: pb.ServerReflectionRequest) -> pb.ServerReflectionResponse:
    answer = pb.ServerReflectionResponse()
    file: Any = None
    match request.WhichOneof("message_request"):
        case "list_services":
            names = [pb.ServiceResponse(name=name) for name in _SERVICES]
            answer.list_services_response.service.extend(names)
            return answer
        case "file_by_filename":
            file = _FILES.get(request.file_by_filename)
        case "file_containing_symbol":
            file = _file_of(request.file_containing_symbol)
        case "all_extension_numbers_of_type":
            name = request.all_extension_numbers_of_type
            if _file_of(name) is not None:
                answer.all_extension_numbers_response.base_type_name = name
                return answer
    if file is None:
        answer.error_response.error_code = _NOT_FOUND
        answer.error_response.error_message = "there is no such thing in the contract"
    else:
        answer.file_descriptor_response.file_descriptor_proto.append(file.serialized_pb)
    return answer


def _file_of(symbol: str) -> Any:
    """The file that has a service, a method, a message, a field or an enum; None if none has."""
    for file in _FILES.values():
        if not symbol.startswith(f"{file.package}."):
            continue
        name, *inside = symbol.removeprefix(f"{file.package}.").split(".")
        if name in file.services_by_name:
            service = file.services_by_name[name]
            return file if not inside or inside[0] in service.methods_by_name else None
        if name in file.message_types_by_name or name in file.enum_types_by_name:
            return file
    return None
