// Sentence embeddings over HTTP: POST /embed tokenizes here, runs the model through wasi-nn, pools and normalises here.

import { Model, ModelError, Refusal, allow, readBody, readFile, serve } from "../sdk/dunlin.js";
import { Tokenizer } from "./tokenizer.js";

const MODEL = "default";
const VOCABULARY = "/models/default/vocab.txt";
// Most tokens of one text that are looked at, [CLS] and [SEP] included: what the model was trained with.
const MAX_TOKENS = 256;
const MAX_TEXTS = 64;
const MAX_BODY = 1 << 20;
const MAX_VOCABULARY = 16 << 20;

/** The texts of `{"input": "text"}` or `{"input": ["text", ...]}`. */
function textsOf(body) {
  let request;
  try {
    request = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    throw new Refusal(400, `the body is not JSON: ${error.message}`);
  }
  if (Object.keys(request ?? {}).join() !== "input") {
    throw new Refusal(400, "the body must be an object with the field `input` and no other");
  }
  const texts = typeof request.input === "string" ? [request.input] : request.input;
  if (!Array.isArray(texts) || !texts.every((text) => typeof text === "string")) {
    throw new Refusal(400, "input must be a string or a list of strings");
  }
  if (!texts.every((text) => text.isWellFormed())) throw new Refusal(400, "input holds half a character");
  if (texts.length === 0) throw new Refusal(400, "input must hold at least one text");
  if (texts.length > MAX_TEXTS) throw new Refusal(413, `input holds more than ${MAX_TEXTS} texts`);
  return texts;
}

/** The mean of `count` vectors of `width` numbers from `first` on, scaled to length 1. */
function unitMean(data, first, count, width) {
  const sum = new Float64Array(width);
  for (let token = 0; token < count; token++) {
    const start = (first + token) * width;
    for (let i = 0; i < width; i++) sum[i] += data[start + i];
  }
  // Dividing by their number can be left out: what is scaled to length 1 keeps only its direction.
  const length = Math.max(Math.sqrt(sum.reduce((total, number) => total + number * number, 0)), 1e-12);
  // Digits beyond those of 32 bits say nothing.
  return Array.from(sum, (number) => Number((number / length).toPrecision(9)));
}

async function embed(request) {
  const texts = textsOf(await readBody(request, MAX_BODY));
  const tokenizer = new Tokenizer(new TextDecoder().decode(readFile(VOCABULARY, MAX_VOCABULARY)));
  const encoded = texts.map((text) => tokenizer.encode(text, MAX_TOKENS));
  const columns = Math.max(...encoded.map((ids) => ids.length));
  const shape = [encoded.length, columns];
  const ids = new BigInt64Array(encoded.length * columns).fill(BigInt(tokenizer.padding));
  const mask = new BigInt64Array(ids.length);
  encoded.forEach((row, number) => {
    row.forEach((id, column) => {
      ids[number * columns + column] = BigInt(id);
      mask[number * columns + column] = 1n;
    });
  });
  const outputs = new Model(MODEL).run({
    input_ids: { shape, data: ids },
    attention_mask: { shape, data: mask },
    token_type_ids: { shape, data: new BigInt64Array(ids.length) },
  });
  const hidden = outputs.last_hidden_state ?? Object.values(outputs).find((output) => output.shape.length === 3);
  if (hidden?.shape[0] !== shape[0] || hidden.shape[1] !== shape[1]) {
    throw new ModelError(`outputs of shape ${JSON.stringify(Object.values(outputs).map(({ shape }) => shape))}`);
  }
  const embeddings = encoded.map((row, number) => unitMean(hidden.data, number * columns, row.length, hidden.shape[2]));
  return { model: MODEL, embeddings, usage: { tokens: encoded.reduce((total, row) => total + row.length, 0) } };
}

serve(async (request) => {
  switch (new URL(request.url).pathname) {
    case "/embed":
      allow(request, "POST");
      return embed(request);
    case "/healthz":
      allow(request, "GET");
      return { status: "ok" };
    default:
      throw new Refusal(404, "no such path");
  }
});
