// Guests of Dunlin in JavaScript: models opened by name, typed arrays in and out, the models' files, and HTTP around it.
//
//     import { Model, serve } from "../sdk/dunlin.js";
//
//     serve(async (request) => {
//       const pixels = new Float32Array(await request.json());
//       const outputs = new Model("default").run({ input: { shape: [1, 3, 224, 224], data: pixels } });
//       return [...outputs.logits.data];
//     });
//
// Results are released as soon as they are read: the engine's garbage collector does not know what they weigh on the host.

import { getDirectories } from "wasi:filesystem/preopens@0.2.10";
import { loadByName } from "wasi:nn/graph@0.2.0-rc-2024-10-28";
import { Tensor } from "wasi:nn/tensor@0.2.0-rc-2024-10-28";

const TYPES = { FP32: Float32Array, FP64: Float64Array, U8: Uint8Array, I32: Int32Array, I64: BigInt64Array };
const STATUSES = { "not-found": 503, "too-large": 413, timeout: 504 };
const SENTENCES = {
  413: "the request needs more memory than this service may use",
  503: "the model is not available",
  504: "the model did not answer in time",
};

/** Why a model was not opened or gave no result. The text is for the log, `status` for the client. */
export class ModelError extends Error {
  constructor(text, status = 500) {
    super(text);
    this.status = status;
  }
}

/** What a client is told instead of a result: a status, a sentence, perhaps headers. */
export class Refusal extends Error {
  constructor(status, message, headers = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

/** Calls `use` and releases the host's resource, whatever happens. */
function using(resource, use) {
  try {
    return use(resource);
  } finally {
    resource[Symbol.dispose]();
  }
}

/** Calls the host; its errors become ModelErrors. */
function ask(model, call) {
  try {
    return call();
  } catch (error) {
    if (typeof error?.payload?.code !== "function") throw error;
    throw using(error.payload, (cause) => {
      const code = cause.code();
      return new ModelError(`model ${model}: ${code}: ${cause.data()}`, STATUSES[code] ?? 500);
    });
  }
}

/** The bytes of a typed array, without a copy. */
const bytesOf = (data) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** An open model. The host keeps one copy of its weights for all guests that use it. */
export class Model {
  #name;
  #graph;

  /** Opens what the guest's artifact lists, or its operator grants, under `name`. */
  constructor(name) {
    this.#name = name;
    this.#graph = ask(name, () => loadByName(name));
  }

  /**
   * Computes; every input of the model is given by name as `{ shape, data }`, with a Float32Array, Float64Array, Uint8Array,
   * Int32Array or BigInt64Array, row-major. Returns the outputs by name in the same form.
   */
  run(inputs) {
    const tensors = Object.entries(inputs).map(([name, { shape, data }]) => {
      const type = Object.keys(TYPES).find((type) => data instanceof TYPES[type]);
      if (type === undefined || shape.reduce((product, size) => product * size, 1) !== data.length) {
        throw new ModelError(`input ${name}: ${data.length} numbers for the shape ${shape}`);
      }
      return [name, new Tensor(shape, type, bytesOf(data))];
    });
    const outputs = ask(this.#name, () =>
      using(this.#graph.initExecutionContext(), (context) => context.compute(tensors)),
    );
    return Object.fromEntries(outputs.map(([name, tensor]) => [name, using(tensor, (tensor) => this.#read(name, tensor))]));
  }

  #read(name, tensor) {
    const Numbers = TYPES[tensor.ty()];
    if (Numbers === undefined) throw new ModelError(`model ${this.#name}: output ${name} holds ${tensor.ty()}`);
    // A copy, since the host's bytes need not be aligned.
    const bytes = tensor.data().slice();
    return { shape: [...tensor.dimensions()], data: new Numbers(bytes.buffer) };
  }
}

/** The bytes of a file such as `/models/default/vocab.txt`, of at most `limit` bytes. Throws when there is none. */
export function readFile(path, limit) {
  const folder = getDirectories().find(([, name]) => path.startsWith(`${name}/`));
  if (folder === undefined) throw new Error(`no folder of ${path} was granted`);
  const [descriptor, name] = folder;
  try {
    return using(descriptor.openAt({}, path.slice(name.length + 1), {}, { read: true }), (file) => {
      const size = Number(file.stat().size);
      if (size > limit) throw new Error(`${path} has ${size} bytes, more than ${limit}`);
      const content = new Uint8Array(size);
      for (let at = 0, over = false; at < size && !over; ) {
        let part;
        [part, over] = file.read(BigInt(size - at), BigInt(at));
        content.set(part, at);
        at += part.length;
      }
      return content;
    });
  } catch (error) {
    throw new Error(`cannot read ${path}: ${error.payload ?? error}`);
  }
}

/** All of a request's body. Refuses with 413 one of more than `limit` bytes. */
export async function readBody(request, limit) {
  const parts = [];
  let length = 0;
  for (const reader = request.body?.getReader(); reader !== undefined; ) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.length;
    if (length > limit) throw new Refusal(413, `the body is larger than ${limit} bytes`);
    parts.push(value);
  }
  const body = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return body;
}

/** Refuses every other method. */
export function allow(request, method) {
  if (request.method !== method) throw new Refusal(405, `this path takes ${method} only`, { allow: method });
}

function json(value, status = 200, headers = {}) {
  const body = new TextEncoder().encode(JSON.stringify(value));
  const all = { "content-type": "application/json", "content-length": String(body.length), ...headers };
  return new Response(body, { status, headers: all });
}

function refuse(error) {
  if (error instanceof Refusal) return json({ error: { message: error.message } }, error.status, error.headers);
  // What went wrong inside goes to the log, not to the client.
  console.error(error instanceof ModelError ? error.message : `${error}\n${error?.stack}`);
  const status = error instanceof ModelError ? error.status : 500;
  const message = SENTENCES[status] ?? (error instanceof ModelError ? "the model failed" : "the service failed");
  return json({ error: { message } }, status);
}

/** Answers each request with what `handle` gives: a Response, or what becomes JSON. */
export function serve(handle) {
  const answer = async (request) => {
    try {
      const value = await handle(request);
      return value instanceof Response ? value : json(value);
    } catch (error) {
      return refuse(error);
    }
  };
  addEventListener("fetch", (event) => event.respondWith(answer(event.request)));
}
