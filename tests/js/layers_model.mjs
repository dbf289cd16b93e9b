// A layers-model as files: built from topology JSON, filled with random weights, saved, loaded, run.
import { exact, httpReader, raw, tensorOf, tf } from "./tfjs.mjs";

export const WEIGHTS = "weights.bin";
const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);

/** The model of a topology ({class_name, config}) with every weight drawn anew. */
export async function built(topology, random) {
  const model = await tf.models.modelFromJSON({ modelTopology: topology });
  for (const weight of model.weights) weight.write(tf.tensor(drawn(weight, random), weight.shape));
  return model;
}

// Not tf.js' own initial values: a bias of zeros or a variance of ones would hide most mistakes.
function drawn({ originalName, shape }, random) {
  const size = sizeOf(shape);
  if (originalName.endsWith("variance")) return random.floats(size, 0.25, 2.25);
  // Sums of many products stay near 1, so that saturation hides nothing either.
  const terms = shape.length > 1 ? size / Math.min(...shape.slice(-2)) : 1;
  const spread = Math.min(1, Math.sqrt(6 / terms));
  return random.floats(size, -spread, spread);
}

/** {document, weights}: what model.save writes, with all weights in one file. */
export async function saved(model) {
  const keep = {};
  await model.save(tf.io.withSaveHandler(async (artifacts) => Object.assign(keep, { artifacts })));
  const { modelTopology, weightSpecs, weightData, format, generatedBy, convertedBy } = keep.artifacts;
  const weightsManifest = [{ paths: [WEIGHTS], weights: weightSpecs }];
  // As JSON writes it: tf.js keeps undefined values and typed objects that no file would hold.
  const document = JSON.parse(JSON.stringify({ format, generatedBy, convertedBy, modelTopology, weightsManifest }));
  return { document, weights: Buffer.from(tf.io.concatenateArrayBuffers([weightData].flat())) };
}

/** The model as tf.loadLayersModel reads what `saved` gives. */
export async function loaded({ document, weights }) {
  const files = { "model.json": Buffer.from(JSON.stringify(document)), [WEIGHTS]: weights };
  return tf.loadLayersModel(httpReader("model.json", async (path) => files[path]));
}

/** An input's bytes: given ones, or drawn ones ({shape, low, high, integer}). */
export function filled({ name, shape, dtype, bytes, low = -1, high = 1, integer = false, stored = "float32" }, random) {
  if (bytes) return { name, shape, dtype, bytes };
  const values = integer ? random.integers(sizeOf(shape), low, high) : random.floats(sizeOf(shape), low, high);
  const typed = stored === "int32" ? Int32Array.from(values) : Float32Array.from(values);
  return { name, shape, dtype: stored, bytes: Buffer.from(typed.buffer) };
}

// Names of layers and not of tensors: tf.js numbers the latter through all models of a process.
/** model.predict of one array for each input: [{name, shape, dtype, bytes}]. */
export async function predicted(model, inputs) {
  const outputs = model.predict(inputs.map(tensorOf));
  return Promise.all([outputs].flat().map((tensor, i) => raw(model.outputs[i].sourceLayer.name, tensor)));
}

/** What a layer makes of tensors by itself, for layers that work only outside of a model. */
export async function applied(layer, inputs) {
  const tensors = inputs.map(tensorOf);
  const outputs = layer.apply(tensors.length === 1 ? tensors[0] : tensors);
  return Promise.all([outputs].flat().map((tensor) => raw(layer.name, tensor)));
}

/** Lets `work` run, and lists every layer's outputs in the order in which the layers ended. */
export async function watched(model, work) {
  const seen = [];
  for (const layer of everyLayer(model)) {
    const call = layer.call;
    layer.call = (...args) => {
      const outputs = call.apply(layer, args);
      // Read at once: tf.js frees a tensor as soon as nothing needs it.
      for (const tensor of [outputs].flat()) seen.push({ name: layer.name, tensor: copied(tensor) });
      return outputs;
    };
  }
  const result = await work();
  return { result, seen: seen.map(({ name, tensor }) => ({ ...tensor, name })) };
}

function copied(tensor) {
  const data = tensor.dataSync();
  const bytes = exact(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return { shape: tensor.shape, dtype: tensor.dtype, bytes: Buffer.from(bytes) };
}

function everyLayer(model) {
  const found = new Set();
  const visit = (container) => {
    for (const layer of container.layers) {
      found.add(layer);
      if (Array.isArray(layer.layers)) visit(layer);
    }
  };
  visit(model);
  return found;
}
