"""Sentence embeddings over HTTP: POST /embed tokenizes here, runs the model through wasi-nn, pools and normalises here."""

from array import array
from functools import cache
from math import sqrt
from operator import add

from dunlin_guest import Array, Model, ModelError, Refusal, Request, serve
from tokenizer import Tokenizer

MODEL = "default"
VOCABULARY = "/models/default/vocab.txt"
# Most tokens of one text that are looked at, [CLS] and [SEP] included: what the model was trained with.
MAX_TOKENS = 256
MAX_TEXTS = 64
MAX_BODY = 1 << 20


@cache
def tokenizer() -> Tokenizer:
    """Read by the first request that an instance serves."""
    with open(VOCABULARY, encoding="utf-8", newline="\n") as file:
        return Tokenizer(file.read())


@cache
def model() -> Model:
    return Model(MODEL)


def texts_of(body: object) -> list[str]:
    """The texts of `{"input": "text"}` or `{"input": ["text", ...]}`."""
    if not isinstance(body, dict) or body.keys() != {"input"}:
        raise Refusal(400, "the body must be an object with the field `input` and no other")
    texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Refusal(400, "input must be a string or a list of strings")
    if any("\ud800" <= char <= "\udfff" for text in texts for char in text):
        raise Refusal(400, "input holds half a character")
    if not texts:
        raise Refusal(400, "input must hold at least one text")
    if len(texts) > MAX_TEXTS:
        raise Refusal(413, f"input holds more than {MAX_TEXTS} texts")
    return texts


def unit_mean(vectors: list[array]) -> list[float]:
    """The mean of some vectors, scaled to length 1."""
    total = vectors[0]
    for vector in vectors[1:]:
        total = list(map(add, total, vector))
    # Dividing by their number can be left out: what is scaled to length 1 keeps only its direction.
    length = max(sqrt(sum(number * number for number in total)), 1e-12)
    return [number / length for number in total]


def embed(request: Request) -> dict:
    words = tokenizer()
    encoded = [words.encode(text, MAX_TOKENS) for text in texts_of(request.json(MAX_BODY))]
    columns = max(map(len, encoded))
    shape = [len(encoded), columns]
    ids, mask = array("q"), array("q")
    for row in encoded:
        fill = columns - len(row)
        ids.extend(row + [words.padding] * fill)
        mask.extend([1] * len(row) + [0] * fill)
    types = array("q", bytes(8 * len(ids)))
    names = {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}
    outputs = model().run({name: Array(shape, data) for name, data in names.items()})
    hidden = outputs.get("last_hidden_state") or next((out for out in outputs.values() if len(out.shape) == 3), None)
    if hidden is None or hidden.shape[:2] != shape:
        raise ModelError(f"outputs of shape { {name: out.shape for name, out in outputs.items()} } for {shape}")
    width = hidden.shape[2]
    embeddings = []
    for number, row in enumerate(encoded):
        first = number * columns
        tokens = range(first, first + len(row))
        embeddings.append(unit_mean([hidden.data[token * width : (token + 1) * width] for token in tokens]))
    return {"model": MODEL, "embeddings": embeddings, "usage": {"tokens": sum(map(len, encoded))}}


def handle(request: Request) -> dict:
    match request.path:
        case "/embed":
            request.allow("POST")
            return embed(request)
        case "/healthz":
            request.allow("GET")
            return {"status": "ok"}
        case _:
            raise Refusal(404, "no such path")


IncomingHandler = serve(handle)
