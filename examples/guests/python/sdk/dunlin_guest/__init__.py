"""Guests of Dunlin in Python: models opened by name, arrays in and out, and HTTP around it.

    from array import array
    from dunlin_guest import Array, Model, serve

    def handle(request):
        pixels = array("f", request.json(1 << 20))
        outputs = Model("default").run({"input": Array([1, 3, 224, 224], pixels)})
        return list(outputs["logits"].data)

    IncomingHandler = serve(handle)

Only the standard interfaces wasi:nn and wasi:http are used, so what is built with this runs on other hosts too.
"""

from dunlin_guest.http import Refusal, Request, Response, serve
from dunlin_guest.model import Array, Model, ModelError

__all__ = ["Array", "Model", "ModelError", "Refusal", "Request", "Response", "serve"]
