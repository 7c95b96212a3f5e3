"""Image classification over HTTP: POST /classify decodes a PNG here, runs the model through wasi-nn, gives the likeliest
classes."""

import json
import sys
from functools import cache
from math import exp

import picture
from dunlin_guest import Array, Model, Refusal, Request, serve

MODEL = "default"
LABELS = "/models/default/labels.json"
MAX_BODY = 8 << 20
# Classes in an answer when the client asks for no number, and most that it gets.
USUAL, MOST = 5, 100


@cache
def model() -> Model:
    return Model(MODEL)


@cache
def labels() -> list[str]:
    """The names of the classes; none when the model came without."""
    try:
        with open(LABELS, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError) as error:
        print(f"{LABELS}: {error}", file=sys.stderr)
        return []


def classify(request: Request) -> dict:
    try:
        top = min(max(int(request.query.get("top", USUAL)), 1), MOST)
    except ValueError:
        raise Refusal(400, "top must be a number") from None
    try:
        pixels = picture.tensor(request.body(MAX_BODY))
    except picture.PictureError as error:
        raise Refusal(error.status, str(error)) from None
    shape = [1, 3, picture.SIZE, picture.SIZE]
    logits = model().run({"input": Array(shape, pixels)})["logits"].data
    largest = max(logits)
    weights = [exp(logit - largest) for logit in logits]
    total = sum(weights)
    names = labels()
    best = sorted(range(len(weights)), key=lambda number: -weights[number])[:top]
    found = [
        {
            "class": number,
            "label": names[number] if number < len(names) else None,
            "score": weights[number] / total,
        }
        for number in best
    ]
    return {"model": MODEL, "labels": found}


def handle(request: Request) -> dict:
    match request.path:
        case "/classify":
            request.allow("POST")
            return classify(request)
        case "/healthz":
            request.allow("GET")
            return {"status": "ok"}
        case _:
            raise Refusal(404, "no such path")


IncomingHandler = serve(handle)
