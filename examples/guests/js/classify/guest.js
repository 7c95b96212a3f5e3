// Image classification over HTTP: POST /classify decodes a picture here, runs the model through wasi-nn, and gives the
// likeliest classes.

import { Model, Refusal, allow, readBody, readFile, serve } from "../sdk/dunlin.js";
import { SIZE, tensor } from "./picture.js";

const MODEL = "default";
const LABELS = "/models/default/labels.json";
const MAX_BODY = 8 << 20;
const MAX_LABELS = 1 << 20;
// Classes in an answer when the client asks for no number, and most that it gets.
const USUAL = 5;
const MOST = 100;

/** The names of the classes; none when the model came without. */
function readLabels() {
  try {
    return JSON.parse(new TextDecoder().decode(readFile(LABELS, MAX_LABELS)));
  } catch (error) {
    console.error(error.message);
    return [];
  }
}

async function classify(request, wanted) {
  if (!/^\d+$/.test(wanted ?? USUAL)) throw new Refusal(400, "top must be a number");
  const top = Math.min(Math.max(Number(wanted ?? USUAL), 1), MOST);
  const data = tensor(await readBody(request, MAX_BODY));
  const labels = readLabels();
  const logits = [...new Model(MODEL).run({ input: { shape: [1, 3, SIZE, SIZE], data } }).logits.data];
  const largest = Math.max(...logits);
  const weights = logits.map((logit) => Math.exp(logit - largest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const best = weights.map((_, number) => number).sort((left, right) => weights[right] - weights[left]);
  const found = best
    .slice(0, top)
    .map((number) => ({ class: number, label: labels[number] ?? null, score: weights[number] / total }));
  return { model: MODEL, labels: found };
}

serve(async (request) => {
  const { pathname, searchParams } = new URL(request.url);
  switch (pathname) {
    case "/classify":
      allow(request, "POST");
      return classify(request, searchParams.get("top"));
    case "/healthz":
      allow(request, "GET");
      return { status: "ok" };
    default:
      throw new Refusal(404, "no such path");
  }
});
