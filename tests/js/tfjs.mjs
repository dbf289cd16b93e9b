// Real tf.js, set up once for the judge and for the golden cases: the cpu backend, the raw bytes of
// its tensors, and its own HTTP handler reading from any function instead of from a network.
import { posix } from "node:path";

import tf from "@tensorflow/tfjs";

// stdout belongs to the judge's answers, so whatever tf.js has to say goes to stderr.
console.log = console.info = console.debug = console.error;
await tf.setBackend("cpu");

export { tf };
export const TFJS = `tf.js ${tf.version.tfjs}`;

/** Runs `work`, then frees every tensor and variable that it left behind. */
export async function inScope(work) {
  tf.engine().startScope();
  try {
    return await work();
  } finally {
    tf.engine().endScope();
    tf.disposeVariables();
  }
}

/** {name, shape, dtype, bytes | strings}: bytes as tf.js holds them, so NaN payloads and -0 survive. */
export async function raw(name, tensor) {
  const { shape, dtype } = tensor;
  if (dtype === "string") {
    return { name, shape, dtype, strings: (await tensor.bytes()).map((s) => Buffer.from(s)) };
  }
  const data = tensor.dataSync();
  return { name, shape, dtype, bytes: Buffer.from(data.buffer, data.byteOffset, data.byteLength) };
}

/** What tf.io.decodeWeights reads, in the order of the specs (tf.js itself lists integer names first). */
export async function decode(specs, buffers) {
  const tensors = tf.io.decodeWeights(buffers, specs);
  const names = new Set(specs.map((spec) => String(spec.name)));
  const read = [...names].filter((name) => Object.hasOwn(tensors, name));
  return Promise.all(read.map((name) => raw(name, tensors[name])));
}

/** tf.js' HTTP handler over `readFile(path relative to the folder)`, which throws where a file is missing. */
export function httpReader(json, readFile) {
  const here = `./${json}`;
  const fetchFunc = async (url) => {
    const bytes = await readFile(posix.join(".", url));
    return new Response(url === here ? asModelJson(bytes) : bytes);
  };
  return tf.io.http(here, { fetchFunc });
}

// The official Python package can write a bare manifest array; tf.js takes one only inside a model.json.
function asModelJson(bytes) {
  const text = new TextDecoder().decode(bytes);
  return /^\s*\[/.test(text) ? `{"weightsManifest": ${text}}` : bytes;
}

/** What tf.loadLayersModel would decode before it looks at the topology. */
export async function load(json, readFile) {
  const { weightData, weightSpecs } = await httpReader(json, readFile).load();
  return weightData == null ? [] : decode(weightSpecs, weightData);
}

/** tf.js' HTTP handler whose upload lands in `files`: {file name: Buffer}, byte for byte as posted. */
export function httpWriter(files) {
  const fetchFunc = async (_url, { body }) => {
    for (const [name, blob] of body) files[name] = Buffer.from(await blob.arrayBuffer());
    return new Response();
  };
  return tf.io.http("./model.json", { fetchFunc });
}

/** A tensor from exact bytes, or from a list of byte strings. */
export function tensorOf({ shape, dtype, bytes, strings }) {
  switch (dtype) {
    case "string":
      return tf.tensor(strings.map((s) => new Uint8Array(s)), shape, dtype);
    case "float32":
      return tf.tensor(new Float32Array(exact(bytes)), shape, dtype);
    case "int32":
      return tf.tensor(new Int32Array(exact(bytes)), shape, dtype);
    case "bool":
      return tf.tensor(new Uint8Array(exact(bytes)), shape, dtype);
    case "complex64":
      return complexOf(new Uint32Array(exact(bytes)), shape);
    default:
      throw new Error(`tf.js has no dtype ${dtype}`);
  }
}

function complexOf(words, shape) {
  // Cut as integers: a float would lose a signalling NaN on the way.
  const part = (first) => new Float32Array(words.filter((_, i) => i % 2 === first).buffer);
  return tf.complex(tf.tensor(part(0), shape, "float32"), tf.tensor(part(1), shape, "float32"));
}

/** An ArrayBuffer of just these bytes; tf.js would read the whole pool behind a Buffer. */
export function exact(bytes) {
  return new Uint8Array(bytes).buffer;
}
