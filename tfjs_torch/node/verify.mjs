// Runs a layers-model in real tf.js, once, and writes down what every layer makes of it.
// The model's JSON is data here, as in a browser: nothing of it is executed.
//
//   node verify.mjs request.json values.bin
//
// request.json: {tfjs, json, files: {path: file}, inputs: [{shape, file}]}, see tfjs_torch/node/__init__.py.
// Answers, one JSON a line on stdout: {version}, then {loaded: all layers as [name, own layers or null]},
// then one {layer, again, tensors} for each call of each layer in the order in which they end, then {outputs}; or {refused}
// where tf.js throws. The numbers of each tensor stand in values.bin from `offset` on.
import { openSync, readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, posix } from "node:path";

// stdout belongs to the answers.
console.log = console.info = console.debug = console.error;
const tell = (answer) => writeSync(1, `${JSON.stringify(answer)}\n`);

const [requestFile, valuesFile] = process.argv.slice(2);
const request = JSON.parse(readFileSync(requestFile, "utf8"));
const read = (file) => readFileSync(join(dirname(requestFile), file));
const values = openSync(valuesFile, "w");
let written = 0;
let repeated = 0; // calls under way that tf.js has made before

const require = createRequire(import.meta.url);
const tf = require(request.tfjs);
await tf.setBackend("cpu");
tell({ version: tf.version.tfjs });

/** tf.js' own HTTP handler, reading from the request instead of from a network. */
function source() {
  const byPath = new Map(Object.entries(request.files).map(([path, file]) => [posix.join(".", path), file]));
  const fetchFunc = async (url) => {
    const file = byPath.get(posix.join(".", url));
    return file === undefined ? new Response(null, { status: 404 }) : new Response(read(file));
  };
  return tf.io.http(`./${request.json}`, { fetchFunc });
}

/** Where a tensor's numbers stand. Read at once: tf.js frees a tensor as soon as nothing needs it. */
function kept(tensor) {
  const data = tensor.dataSync();
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const offset = written;
  for (let done = 0; done < bytes.length; ) done += writeSync(values, bytes, done);
  written += bytes.length;
  return { shape: tensor.shape, dtype: tensor.dtype, offset };
}

const isModel = (layer) => Array.isArray(layer.layers);
const tree = (model) => model.layers.map((layer) => [layer.name, isModel(layer) ? tree(layer) : null]);

function watch(container, path) {
  for (const layer of container.layers) {
    const own = [...path, layer.name];
    const call = layer.call;
    const seen = new Set();
    layer.call = (inputs, ...more) => {
      // tf.js calls a layer again for each of its outputs, and takes what the first call made; states move on.
      const key = [inputs].flat().map((tensor) => tensor.id).join();
      const again = seen.has(key);
      seen.add(key);
      repeated += again;
      try {
        const outputs = call.call(layer, inputs, ...more);
        tell({ layer: own, again: repeated > 0, tensors: [outputs].flat().map(kept) });
        return outputs;
      } finally {
        repeated -= again;
      }
    };
    if (isModel(layer)) watch(layer, own);
  }
}

function given({ shape, file }) {
  const bytes = read(file);
  return tf.tensor(new Float32Array(new Uint8Array(bytes).buffer), shape, "float32");
}

try {
  const model = await tf.loadLayersModel(source());
  tell({ loaded: tree(model) });
  watch(model, []);
  const inputs = request.inputs.map(given);
  // All samples in one call: states and masks of a layer are those of one run.
  const outputs = model.predict(inputs, { batchSize: inputs[0].shape[0] });
  tell({ outputs: [outputs].flat().map(kept) });
} catch (error) {
  tell({ refused: error instanceof Error ? error.message || error.name : String(error) });
}
