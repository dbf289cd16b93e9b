// Small layers-models, saved by tf.js' own model.save. Weights follow a formula, never a random seed, so
// that the same bytes come out of every run.
import { httpWriter, tf } from "../tfjs.mjs";

const { layers, train } = tf;

function dense() {
  return tf.sequential({
    name: "dense_net",
    layers: [
      layers.dense({ name: "hidden", units: 4, inputShape: [3], activation: "relu" }),
      layers.dense({ name: "out", units: 2, activation: "softmax", useBias: false }),
    ],
  });
}

function convBatchnorm() {
  return tf.sequential({
    name: "conv_net",
    layers: [
      layers.conv2d({ name: "c1", filters: 3, kernelSize: [3, 2], inputShape: [6, 5, 2] }),
      layers.batchNormalization({ name: "b1" }),
      layers.depthwiseConv2d({ name: "dw", kernelSize: 2, depthMultiplier: 2 }),
      layers.batchNormalization({ name: "b2", scale: false }),
      layers.flatten({ name: "flat" }),
      layers.dense({ name: "d1", units: 2 }),
    ],
  });
}

function lstm() {
  return tf.sequential({
    name: "lstm_net",
    layers: [
      layers.lstm({ name: "rnn", units: 3, inputShape: [4, 2] }),
      layers.dense({ name: "readout", units: 1 }),
    ],
  });
}

function nested() {
  const inner = tf.sequential({
    name: "inner",
    layers: [
      layers.dense({ name: "inner_dense", units: 3, inputShape: [2] }),
      layers.batchNormalization({ name: "inner_bn" }),
    ],
  });
  const input = tf.input({ shape: [2], name: "pair" });
  const before = layers.dense({ name: "before", units: 2 }).apply(input);
  const after = layers.dense({ name: "after", units: 1 }).apply(inner.apply(before));
  return tf.model({ name: "nested_net", inputs: input, outputs: after });
}

function withMetadata() {
  const model = tf.sequential({
    name: "labelled_net",
    layers: [layers.dense({ name: "score", units: 2, inputShape: [2] })],
  });
  model.setUserDefinedMetadata({ labels: ["Katze", "犬"], threshold: 0.5, nested: { ok: true, none: null } });
  return model;
}

async function trained(name, optimizer) {
  const model = tf.sequential({
    name,
    layers: [
      layers.dense({ name: `${name}_a`, units: 2, inputShape: [2] }),
      layers.dense({ name: `${name}_b`, units: 1 }),
    ],
  });
  fill(model);
  model.compile({ optimizer, loss: "meanSquaredError", metrics: ["accuracy"] });
  await model.trainOnBatch(tf.tensor2d([1, 2, -3, 4, 0.5, -6], [3, 2]), tf.tensor2d([1, -2, 3], [3, 1]));
  return model;
}

/** Distinct values in every weight; positive where a variance needs it. */
function fill(model) {
  model.weights.forEach((weight, which) => {
    const values = tf.range(0, weight.shape.reduce((a, b) => a * b, 1)).arraySync();
    const spread = values.map((i) => ((i * 37 + which * 11) % 101) / 101 - 0.5);
    const positive = weight.originalName.endsWith("variance");
    weight.write(tf.tensor(spread.map((v) => (positive ? v + 1 : v)), weight.shape));
  });
  return model;
}

const MODELS = {
  "js-dense": () => fill(dense()),
  "js-conv-batchnorm": () => fill(convBatchnorm()),
  "js-lstm": () => fill(lstm()),
  "js-nested": () => fill(nested()),
  "js-metadata": () => fill(withMetadata()),
};

const OPTIMIZERS = {
  "js-optimizer-sgd": () => trained("sgd", train.sgd(0.125)),
  "js-optimizer-momentum": () => trained("momentum", train.momentum(0.125, 0.5, true)),
  "js-optimizer-adam": () => trained("adam", train.adam(0.125)),
  "js-optimizer-rmsprop": () => trained("rmsprop", train.rmsprop(0.125, 0.5, 0.25, 1e-7, true)),
};

export async function* modelCases() {
  for (const [name, build] of Object.entries(MODELS)) yield saved(name, build(), false);
  for (const [name, build] of Object.entries(OPTIMIZERS)) yield saved(name, await build(), true);
}

async function saved(name, model, includeOptimizer) {
  const files = {};
  await model.save(httpWriter(files), { includeOptimizer });
  return { name, files };
}
