// One step of training: the gradients of all weights, and the weights after plain gradient descent.
// Not here, for tf.js throws: ThresholdedReLU, dilated convolutions, bilinear UpSampling2D of images that are not
// square, and BatchNormalization without gamma or beta.
import { built, filled, loaded, predicted, saved } from "../../layers_model.mjs";
import { Random } from "../../random.mjs";
import { raw, tensorOf, TFJS, tf } from "../../tfjs.mjs";
import { called, functional, input, layer, on, sequential } from "./topology.mjs";

const MADE_BY = `make_layers_with_tfjs.mjs, ${TFJS}`;
const LEARNING_RATE = 0.1;
// Far above what float32 loses, far below what a wrong gradient does.
const CLOSE = 1e-5;

const dense = (units, name = "out", more = {}) => layer("Dense", { units, ...more }, name);
const mse = (name, about, shape, ...layers) => step(name, about, sequential(shape, ...layers), [shape]);
const named = (model, name) => ({ ...model, config: { ...model.config, name } });
const step = (name, about, topology, inputs, more = {}) => ({
  name, about, topology, inputs: inputs.map((given) => (Array.isArray(given) ? { shape: given } : given)),
  loss: "meanSquaredError", batch: 4, ...more,
});

const ACTIVATIONS = [
  "linear", "relu", "relu6", "elu", "selu", "sigmoid", "hard_sigmoid", "softplus", "softsign", "tanh", "softmax",
  "log_softmax", "gelu", "mish", "swish",
];
const LAYERS = {
  leaky_relu: layer("LeakyReLU", { alpha: 0.2 }),
  relu_max_value: layer("ReLU", { max_value: 0.5 }),
  prelu: layer("PReLU", {}),
};
const image = [5, 6, 2];
const PENALTY = { class_name: "L1L2", config: { l1: 0.02, l2: 0.05 } };

export const gradients = [
  mse("dense_mse", "two dense layers", [3], dense(4, "hidden", { activation: "tanh" }), dense(2)),
  mse("dense_no_bias", "without bias, rank 3", [4, 3], dense(2, "out", { use_bias: false })),
  ...["categoricalCrossentropy", "sparseCategoricalCrossentropy"].map((loss) =>
    step(`dense_softmax_${loss === "categoricalCrossentropy" ? "" : "sparse_"}crossentropy`, "softmax and its loss",
      sequential([3], dense(5, "hidden", { activation: "relu" }), dense(3, "out", { activation: "softmax" })), [[3]],
      { loss })),
  step("dense_sigmoid_crossentropy", "sigmoid and its loss",
    sequential([3], dense(4, "hidden", { activation: "elu" }), dense(2, "out", { activation: "sigmoid" })), [[3]],
    { loss: "binaryCrossentropy" }),
  ...["meanAbsoluteError", "meanSquaredLogarithmicError", "hinge", "logcosh", "cosineProximity"].map((loss) =>
    step(`dense_${loss}`, `the loss ${loss}`, sequential([3], dense(2, "out", { activation: "sigmoid" })), [[3]],
      { loss })),
  mse("dense_regularized", "penalties are a part of the loss", [3],
    dense(3, "hidden", { kernel_regularizer: PENALTY, bias_regularizer: PENALTY }), dense(1)),
  mse("dense_frozen", "a layer that is not trained", [3], dense(3, "hidden", { trainable: false }), dense(1)),
  mse("dense_constraint", "a constraint", [3],
    dense(3, "hidden", { kernel_constraint: { class_name: "NonNeg", config: {} } }), dense(1)),
  ...ACTIVATIONS.map((name) => mse(`activation_${name}`, `through ${name}`, [3],
    dense(5, "before"), layer("Activation", { activation: name }), dense(2))),
  ...Object.entries(LAYERS).map(([name, tested]) => mse(`layer_${name}`, `through ${tested.class_name}`, [3],
    dense(5, "before"), tested, dense(2))),
  mse("prelu_shared", "slopes shared by all pixels", image, layer("Conv2D", { filters: 3, kernel_size: 2 }, "conv"),
    layer("PReLU", { shared_axes: [1, 2] }), layer("Flatten", {}, "flat"), dense(2)),

  step("conv2d_batch_normalization", "statistics of the batch, and moving ones", sequential(image,
    layer("Conv2D", { filters: 3, kernel_size: 3, padding: "same", strides: 2, activation: "relu" }, "conv"),
    layer("BatchNormalization", { momentum: 0.9 }, "norm"), layer("Flatten", {}, "flat"),
    dense(3, "out", { activation: "softmax" })), [image], { loss: "categoricalCrossentropy" }),
  mse("batch_normalization_rank2", "statistics over the batch alone", [4], layer("BatchNormalization", {}, "norm"),
    dense(2)),
  mse("batch_normalization_rank3", "statistics over batch and steps", [5, 3],
    layer("BatchNormalization", { epsilon: 0.01 }, "norm"), layer("GlobalAveragePooling1D", {}, "pool"), dense(2)),
  mse("layer_normalization", "over the last axis", [3, 5], dense(4, "before"), layer("LayerNormalization", {}, "norm"),
    layer("Flatten", {}, "flat"), dense(2)),
  mse("layer_normalization_axes", "over two axes", [3, 4], layer("LayerNormalization", { axis: [1, 2] }, "norm"),
    layer("Flatten", {}, "flat"), dense(2)),
  ...[
    ["conv1d", layer("Conv1D", { filters: 3, kernel_size: 3, strides: 2, padding: "same" }), [7, 2]],
    ["conv2d_strides", layer("Conv2D", { filters: 3, kernel_size: 2, strides: [2, 1], activation: "tanh" }), image],
    ["conv3d", layer("Conv3D", { filters: 2, kernel_size: 2, activation: "tanh" }), [3, 4, 3, 2]],
    ["conv2d_transpose", layer("Conv2DTranspose", { filters: 3, kernel_size: 3, strides: 2, padding: "same" }),
      [3, 2, 2]],
    ["depthwise_conv2d", layer("DepthwiseConv2D", { kernel_size: 3, depth_multiplier: 2, padding: "same", strides: 2 }),
      image],
    ["separable_conv2d", layer("SeparableConv2D", { filters: 3, kernel_size: [3, 2], activation: "relu" }), image],
    ["conv_lstm2d", layer("ConvLSTM2D", { filters: 2, kernel_size: 2 }), [3, 3, 4, 1]],
  ].map(([name, tested, shape]) =>
    mse(name, `through ${tested.class_name}`, shape, tested, layer("Flatten", {}, "flat"), dense(2))),
  ...["MaxPooling2D", "AveragePooling2D"].map((name) =>
    mse(name === "MaxPooling2D" ? "max_pooling2d" : "average_pooling2d", `through ${name}, same padding`, image,
      layer("Conv2D", { filters: 2, kernel_size: 2 }, "conv"),
      layer(name, { pool_size: 3, strides: 2, padding: "same" }), layer("Flatten", {}, "flat"), dense(2))),
  mse("up_sampling2d", "through pixels that are repeated", [2, 3, 1],
    layer("Conv2D", { filters: 2, kernel_size: 1 }, "conv"), layer("UpSampling2D", { size: [2, 2] }),
    layer("Conv2D", { filters: 1, kernel_size: 3, strides: 2 }, "out")),

  ...["SimpleRNN", "GRU", "LSTM"].flatMap((name) => [
    mse(name.toLowerCase(), `through ${name}`, [5, 3], layer(name, { units: 3 }), dense(2)),
    mse(`${name.toLowerCase()}_sequences`, `through all steps of ${name}, backwards`, [5, 3],
      layer(name, { units: 3, return_sequences: true, go_backwards: true }), dense(2)),
  ]),
  ...["GRU", "LSTM"].map((name) => mse(`${name.toLowerCase()}_sigmoid`, `through ${name} with sigmoid gates`, [5, 3],
    layer(name, { units: 3, recurrent_activation: "sigmoid" }), dense(2))),
  mse("bidirectional_lstm", "through both directions", [5, 3],
    layer("Bidirectional", { layer: layer("LSTM", { units: 2, return_sequences: true }, "inner") }), dense(2)),
  mse("time_distributed_dense", "through every step", [4, 3],
    layer("TimeDistributed", { layer: layer("Dense", { units: 2 }, "inner") })),
  mse("rnn_stacked_cells", "through two cells", [4, 3], layer("RNN", {
    cell: layer("StackedRNNCells", {
      cells: [layer("LSTMCell", { units: 3 }, "lower"), layer("GRUCell", { units: 2 }, "upper")],
    }, "stack"),
  }), dense(2)),
  step("embedding", "rows that are used several times, and rows that are not",
    sequential([5], layer("Embedding", { input_dim: 6, output_dim: 3 }), layer("Flatten", {}, "flat"), dense(2)),
    [{ shape: [5], low: 0, high: 4, integer: true }]),
  step("embedding_masked_lstm", "steps that a mask leaves out",
    sequential([5], layer("Embedding", { input_dim: 4, output_dim: 3, mask_zero: true }),
      layer("LSTM", { units: 3 }, "reader"), dense(2)), [{ shape: [5], low: 0, high: 4, integer: true }]),
  step("shared_layer", "a layer called twice", functional(["a", "b"], [
    input("a", [3]), input("b", [3]),
    called(dense(4, "both", { activation: "tanh" }), on("a"), on("b")),
    called(layer("Multiply", {}, "product"), on(["both", 0], ["both", 1])),
    called(dense(2), on("product")),
  ], ["out"]), [[3], [3]]),
  step("merges", "through Add, Concatenate, Average, Maximum and Dot", functional(["a", "b"], [
    input("a", [4]), input("b", [4]),
    called(dense(4, "left"), on("a")), called(dense(4, "right"), on("b")),
    called(layer("Add", {}, "sum"), on("left", "right")),
    called(layer("Maximum", {}, "larger"), on("left", "right")),
    called(layer("Average", {}, "mean"), on("sum", "larger")),
    called(layer("Dot", { axes: 1, normalize: true }, "cosine"), on("left", "right")),
    called(layer("Concatenate", { axis: 1 }, "joined"), on("mean", "cosine")),
    called(dense(2), on("joined")),
  ], ["out"]), [[4], [4]]),
  step("nested", "through a nested model", functional(["a"], [
    input("a", [3]),
    called(named(sequential([3], dense(4, "inner_a", { activation: "relu" }), dense(3, "inner_b")), "inner"), on("a")),
    called(layer("Add", {}, "sum"), on("a", ["inner", 1])),
    called(dense(2), on("sum")),
  ], ["out"]), [[3]]),
];

const row = ({ name, shape, dtype, bytes }) => ({ name, shape, dtype, data: bytes.toString("base64") });

/** The fields of one case. */
export async function gradientCase({ name, about, topology, inputs, loss, batch }) {
  const random = new Random(`gradients/${name}`);
  const files = await saved(await built(topology, random));
  const model = await loaded(files);
  const given = inputs.map(({ shape, ...more }, i) =>
    filled({ ...more, name: model.inputs[i].sourceLayer.name, shape: [batch, ...shape] }, random));
  const before = await predicted(model, given);
  const target = targetOf(loss, before[0], random);
  const found = await gradientsOf(model, loss, given, target);
  const after = await trained(files, loss, given, target);
  expectDescent(files, after, found);
  return {
    made_by: MADE_BY,
    about,
    semantics: "tfjs",
    model: files.document,
    weights: files.weights.toString("base64"),
    inputs: given.map(row),
    targets: [row(target)],
    loss,
    optimizer: { name: "sgd", learning_rate: LEARNING_RATE },
    outputs_before: before.map(row),
    gradients: Object.fromEntries(found.map(({ name: weight, shape, bytes }) =>
      [weight, { shape, data: bytes.toString("base64") }])),
    weights_after: after.weights.toString("base64"),
  };
}

/** What the outputs should have been, in the form that the loss wants. */
function targetOf(loss, { name, shape }, random) {
  const classes = shape.at(-1);
  if (loss === "categoricalCrossentropy") {
    const ids = random.integers(shape[0], 0, classes);
    const isHot = (_, i) => Number(ids[Math.floor(i / classes)] === i % classes);
    const hot = Float32Array.from({ length: shape[0] * classes }, isHot);
    return { name, shape, dtype: "float32", bytes: Buffer.from(hot.buffer) };
  }
  if (loss === "sparseCategoricalCrossentropy") {
    return filled({ name, shape: [...shape.slice(0, -1), 1], low: 0, high: classes, integer: true }, random);
  }
  const binary = loss === "binaryCrossentropy";
  return filled({ name, shape, low: 0, high: binary ? 2 : 1, integer: binary }, random);
}

async function gradientsOf(model, loss, given, target) {
  model.compile({ optimizer: tf.train.sgd(LEARNING_RATE), loss });
  const tensors = given.map(tensorOf);
  const weights = model.trainableWeights;
  const { lossFunctions } = model.model ?? model; // a Sequential leaves training to a model inside of it
  const total = () => {
    const outputs = model.apply(tensors.length === 1 ? tensors[0] : tensors, { training: true });
    const penalties = model.calculateLosses().map((penalty) => tf.mean(penalty));
    return tf.addN([tf.mean(lossFunctions[0](tensorOf(target), outputs)), ...penalties]);
  };
  const { grads } = tf.variableGrads(total, weights.map((weight) => weight.val));
  return Promise.all(weights.map((weight) => raw(weight.originalName, grads[weight.val.name])));
}

/** The files of the model after one step of `fit` with all samples at once. */
async function trained(files, loss, given, target) {
  const model = await loaded(files);
  model.compile({ optimizer: tf.train.sgd(LEARNING_RATE), loss });
  const options = { batchSize: target.shape[0], epochs: 1, shuffle: false, verbose: 0 };
  await model.fit(given.map(tensorOf), tensorOf(target), options);
  return saved(model);
}

/** The two ways must agree: weight after = weight before - rate * gradient. */
function expectDescent(before, after, found) {
  const [old, young] = [before, after].map(byName);
  for (const { name, bytes } of found) {
    const gradient = floats(bytes);
    gradient.forEach((slope, i) => {
      const expected = old[name][i] - LEARNING_RATE * slope;
      if (!(Math.abs(young[name][i] - expected) < CLOSE)) throw new Error(`fit moves ${name} elsewhere`);
    });
  }
}

const floats = (bytes) => new Float32Array(new Uint8Array(bytes).buffer);

function byName({ document, weights }) {
  const numbers = floats(weights);
  let offset = 0;
  return Object.fromEntries(document.weightsManifest[0].weights.map(({ name, shape }) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return [name, numbers.subarray(offset, (offset += size))];
  }));
}
