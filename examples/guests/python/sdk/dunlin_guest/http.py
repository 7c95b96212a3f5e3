"""Requests in, responses out, over wasi:http/incoming-handler: `Request`, `Response`, `Refusal`, `serve`."""

import json
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from componentize_py_types import Err, Ok
from dunlin_guest.model import ModelError
from wit_world.imports.streams import InputStream, OutputStream, StreamError_Closed
from wit_world.imports.wasi_http_types import (
    Fields,
    IncomingRequest,
    Method_Other,
    OutgoingBody,
    OutgoingResponse,
    ResponseOutparam,
)

_CHUNK = 64 << 10
_MAX_DEPTH = 64
_SENTENCES = {
    413: "the request needs more memory than this service may use",
    503: "the model is not available",
    504: "the model did not answer in time",
}


class Refusal(Exception):
    """What a client is told instead of a result: a status, a sentence, perhaps headers."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, headers or {}


@dataclass
class Response:
    """An answer in full."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> "Response":
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
        return cls(body, status, {"content-type": "application/json"} | (headers or {}))


class Request:
    """A request: its method, path and query at once, its body when asked for."""

    def __init__(self, incoming: IncomingRequest) -> None:
        method = incoming.method()
        self._incoming = incoming
        self.method: str = method.value if isinstance(method, Method_Other) else type(method).__name__[7:].upper()
        self.path, _, query = (incoming.path_with_query() or "").partition("?")
        self.query: dict[str, str] = {name: value for name, _, value in (pair.partition("=") for pair in query.split("&"))}
        """Parameters as the client wrote them: percent signs are not decoded."""

    def allow(self, method: str) -> None:
        """Refuses every other method."""
        if self.method != method:
            raise Refusal(405, f"this path takes {method} only", {"allow": method})

    def body(self, limit: int) -> bytes:
        """All of the body. Refuses with 413 one of more than `limit` bytes, with 400 one that does not arrive whole."""
        content = bytearray()
        with self._incoming.consume() as incoming, incoming.stream() as stream:
            while part := _read(stream, min(_CHUNK, limit + 1 - len(content))):
                content += part
                if len(content) > limit:
                    raise Refusal(413, f"the body is larger than {limit} bytes")
        return bytes(content)

    def json(self, limit: int) -> Any:
        """The body as JSON. Refuses as `body` does, and with 400 what is none."""
        body = self.body(limit)
        if _is_deep(body):
            raise Refusal(400, f"the body is nested deeper than {_MAX_DEPTH}")
        try:
            return json.loads(body.decode())
        except ValueError as error:
            raise Refusal(400, f"the body is not JSON: {error}") from None


def _is_deep(body: bytes) -> bool:
    """Whether parsing it would need more of the stack, which is small in a guest, than is safe."""
    depth = 0
    for bracket in re.findall(rb"[\[{}\]]", re.sub(rb'"(?:[^"\\]|\\.)*"', b"", body, flags=re.DOTALL)):
        depth += 1 if bracket in b"[{" else -1
        if depth > _MAX_DEPTH:
            return True
    return False


def _read(stream: InputStream, most: int) -> bytes:
    try:
        return stream.blocking_read(most)
    except Err as error:
        if isinstance(error.value, StreamError_Closed):
            return b""
        raise Refusal(400, "the body did not arrive whole") from None


def serve(handle: Callable[[Request], Any]) -> type:
    """The class to bind to `IncomingHandler`: answers each request with what `handle` gives, a `Response` or what becomes
    JSON. A `Refusal` or `ModelError` that it raises becomes a status; any other exception becomes 500."""

    class Handler:
        def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
            with request:
                _send(response_out, _answer(handle, request))

    return Handler


def _answer(handle: Callable[[Request], Any], incoming: IncomingRequest) -> Response:
    try:
        answer = handle(Request(incoming))
        return answer if isinstance(answer, Response) else Response.json(answer)
    except Refusal as refusal:
        return _refuse(refusal.status, refusal.message, refusal.headers)
    except ModelError as error:
        print(error, file=sys.stderr)
        return _refuse(error.status, _SENTENCES.get(error.status, "the model failed"), {})
    except Exception:
        # What went wrong inside goes to the log, not to the client.
        traceback.print_exc()
        return _refuse(500, "the service failed", {})


def _refuse(status: int, message: str, headers: dict[str, str]) -> Response:
    return Response.json({"error": {"message": message}}, status, headers)


def _send(response_out: ResponseOutparam, response: Response) -> None:
    headers = response.headers | {"content-length": str(len(response.body))}
    fields = Fields.from_list([(name, value.encode()) for name, value in headers.items()])
    outgoing = OutgoingResponse(fields)
    outgoing.set_status_code(response.status)
    body = outgoing.body()
    ResponseOutparam.set(response_out, Ok(outgoing))
    with body.write() as stream:
        _write(stream, response.body)
    OutgoingBody.finish(body, None)


def _write(stream: OutputStream, content: bytes) -> None:
    sent = 0
    while sent < len(content):
        room = stream.check_write()
        if room == 0:
            with stream.subscribe() as ready:
                ready.block()
            continue
        stream.write(content[sent : sent + room])
        sent += room
    stream.blocking_flush()
