// Answers what real tf.js does with given weights. One JSON request a line on stdin, one answer a line
// on stdout: {id, ...result}, or {id, error, refused}. `refused` is true where tf.js itself threw, and
// false where the request was wrong, so that no test takes a mistake of its own for a refusal.
// The operations and their forms are the methods of TfjsJudge in tests/judges.py.
import { statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { built, filled, loaded, predicted, saved, watched } from "./layers_model.mjs";
import { Random } from "./random.mjs";
import { decode, exact, httpReader, inScope, load, raw, tensorOf, tf } from "./tfjs.mjs";

class Refused extends Error {}

async function tfjs(work) {
  try {
    return await work();
  } catch (error) {
    throw new Refused(describe(error));
  }
}

const describe = (error) => (error instanceof Error ? `${error.name}: ${error.message}` : String(error));
const fromBase64 = (text) => Buffer.from(text, "base64");
const toBase64 = (bytes) => bytes.toString("base64");

function answer({ bytes, strings, ...tensor }) {
  return strings ? { ...tensor, strings: strings.map(toBase64) } : { ...tensor, data: toBase64(bytes) };
}

function reader(dir, json) {
  const isFile = (path) => statSync(join(dir, path), { throwIfNoEntry: false })?.isFile();
  if (!isFile(json)) throw new Error(`the request names no file: ${join(dir, json)}`);
  return async (path) => {
    if (!isFile(path)) throw new Error(`missing file: ${path}`);
    return readFile(join(dir, path));
  };
}

const operations = {
  async decode({ specs, buffers }) {
    const shards = buffers.map(fromBase64).map(exact);
    return { tensors: (await tfjs(() => decode(specs, shards))).map(answer) };
  },

  async load({ dir, json }) {
    const read = reader(dir, json);
    return { tensors: (await tfjs(() => load(json, read))).map(answer) };
  },

  async model({ dir, json, predict }) {
    const source = httpReader(json, reader(dir, json));
    const model = await tfjs(() => tf.loadLayersModel(source));
    try {
      const weights = await Promise.all(model.weights.map((w) => raw(w.originalName, w.read())));
      const inputs = model.inputs.map((input) => input.shape);
      return { weights: weights.map(answer), inputs, outputs: predict ? await outputs(model, predict) : [] };
    } finally {
      model.dispose();
    }
  },

  async draw({ topology, inputs, seed }) {
    const random = new Random(seed);
    const files = await tfjs(async () => saved(await built(topology, random)));
    // The loaded model is the one to judge: loading may change weights, as constraints do.
    const model = await tfjs(() => loaded(files));
    const given = inputs.map((row, i) => filled({ name: model.inputs[i]?.sourceLayer.name, ...fromRequest(row) },
      random));
    const outputs = await tfjs(() => predicted(model, given));
    const { document, weights } = files;
    return { document, weights: toBase64(weights), inputs: given.map(answer), outputs: outputs.map(answer) };
  },

  async run({ files, dir, json, inputs, perLayer }) {
    const read = dir ? reader(dir, json) : held(files, json);
    const model = await tfjs(() => tf.loadLayersModel(httpReader(json, read)));
    const predict = () => tfjs(() => predicted(model, inputs.map(fromRequest)));
    if (!perLayer) return { outputs: (await predict()).map(answer) };
    const { result, seen } = await watched(model, predict);
    return { outputs: result.map(answer), layers: seen.map(answer) };
  },

  async encode({ tensors }) {
    const specs = [];
    const data = [];
    for (const run of runsOfOneGroup(tensors)) {
      const named = run.map((row) => ({ name: row.name, tensor: tensorOf(fromRequest(row)) }));
      const encoded = await tfjs(() => tf.io.encodeWeights(named, run[0].group));
      specs.push(...encoded.specs);
      data.push(Buffer.from(encoded.data));
    }
    return { specs, data: toBase64(Buffer.concat(data)) };
  },
};

async function outputs(model, predict) {
  const arrays = predict.map(({ shape, data }) => tensorOf({ shape, dtype: "float32", bytes: fromBase64(data) }));
  const result = await tfjs(() => model.predict(arrays));
  return Promise.all([result].flat().map(async (tensor) => answer(await raw("", tensor))));
}

/** Files given in the request: {path: base64}. */
function held(files, json) {
  if (!Object.hasOwn(files, json)) throw new Error(`the request holds no file ${json}`);
  return async (path) => {
    if (!Object.hasOwn(files, path)) throw new Error(`missing file: ${path}`);
    return fromBase64(files[path]);
  };
}

function fromRequest({ data, strings, ...rest }) {
  if (strings) return { ...rest, strings: strings.map(fromBase64) };
  return data === undefined ? rest : { ...rest, bytes: fromBase64(data) };
}

// encodeWeights takes one group a call; LayersModel.save joins its calls' bytes just so.
function runsOfOneGroup(tensors) {
  const runs = [];
  for (const row of tensors) {
    if (runs.length && runs.at(-1)[0].group === row.group) runs.at(-1).push(row);
    else runs.push([row]);
  }
  return runs;
}

async function respond(line) {
  let id = null;
  try {
    const request = JSON.parse(line);
    id = request.id;
    if (!Object.hasOwn(operations, request.op)) throw new Error(`no operation ${request.op}`);
    return { id, ...(await inScope(() => operations[request.op](request))) };
  } catch (error) {
    const refused = error instanceof Refused;
    return { id, error: refused ? error.message : describe(error), refused };
  }
}

// A promise that tf.js drops must not end the process: the next request has nothing to do with it.
process.on("unhandledRejection", (error) => console.error(error));

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await respond(line))}\n`);
}
