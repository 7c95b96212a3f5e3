"""`Model`: opened by the name that the signed artifact gives it, run with named arrays."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from componentize_py_types import Err
from wit_world.imports import graph
from wit_world.imports.errors import ErrorCode
from wit_world.imports.tensor import Tensor, TensorType

_TYPES = {
    "f": TensorType.FP32,
    "d": TensorType.FP64,
    "B": TensorType.U8,
    "i": TensorType.I32,
    "q": TensorType.I64,
}
_CODES = {type: code for code, type in _TYPES.items()}
_STATUSES = {ErrorCode.NOT_FOUND: 503, ErrorCode.TOO_LARGE: 413, ErrorCode.TIMEOUT: 504}


class ModelError(Exception):
    """Why a model was not opened or gave no result. The text is for the log; `status` is for the client."""

    def __init__(self, text: str, status: int = 500) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class Array:
    """Numbers of a shape, row-major, as an `array` of typecode f, d, B, i or q. ValueError when they do not fit."""

    shape: list[int]
    data: array

    def __post_init__(self) -> None:
        if self.data.typecode not in _TYPES or prod(self.shape) != len(self.data):
            raise ValueError(f"{len(self.data)} numbers of type {self.data.typecode} for the shape {self.shape}")


class Model:
    """An open model. The host keeps one copy of its weights for all guests that use it."""

    def __init__(self, name: str) -> None:
        """Opens what the guest's artifact lists, or its operator grants, under `name`. ModelError when there is none."""
        self.name = name
        try:
            self._graph = graph.load_by_name(name)
        except Err as error:
            raise self._error(error) from None

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Computes; every input of the model is given by name. ModelError when it fails."""
        tensors = [
            (name, Tensor(value.shape, _TYPES[value.data.typecode], value.data.tobytes()))
            for name, value in inputs.items()
        ]
        try:
            with self._graph.init_execution_context() as context:
                outputs = context.compute(tensors)
        except Err as error:
            raise self._error(error) from None
        return {name: self._take(name, tensor) for name, tensor in outputs}

    def _take(self, name: str, tensor: Tensor) -> Array:
        # Released now: the host counts it against the instance's quota as long as it is not.
        with tensor:
            code = _CODES.get(tensor.ty())
            if code is None:
                raise ModelError(f"model {self.name}: output {name} holds {tensor.ty().name}")
            return Array(tensor.dimensions(), array(code, tensor.data()))

    def _error(self, error: Err) -> ModelError:
        with error.value as cause:
            code = cause.code()
            return ModelError(f"model {self.name}: {code.name}: {cause.data()}", _STATUSES.get(code, 500))
