// TimeDistributed and Bidirectional.
import { adding, called, functional, input, layer, on, one, sequential, whole, without } from "./topology.mjs";

const STEPS = { shape: [5, 3], low: -3, high: 3 };
const GAPS = { ...STEPS, blank: { value: 0, steps: [[0, 3], [2, 4]] } };
const UNITS = { SimpleRNN: 3, GRU: 2, LSTM: 3 };

const inner = (class_name, config = {}) => layer(class_name, { units: UNITS[class_name], ...config }, "inner");
const both = (suffix, about, of, config = {}, given = STEPS, more = {}) =>
  one("Bidirectional", suffix, about, { layer: of, ...config }, given, more);

const merged = Object.keys(UNITS).flatMap((name) => ["concat", "sum", "ave", "mul"].flatMap((merge_mode) =>
  [false, true].map((return_sequences) => both(
    `${name.toLowerCase()}_${merge_mode}${return_sequences ? "_sequences" : ""}`,
    `${name}, ${merge_mode}, ${return_sequences ? "all steps" : "the last step of each direction"}`,
    inner(name, { return_sequences }), { merge_mode }))));

/** A Bidirectional with several inputs or outputs. */
const spread = (suffix, about, of, config, states, outputs) => whole(`bidirectional_${suffix}`, "Bidirectional", about,
  functional(
    ["x", ...states.map((_, i) => `state${"abcd"[i]}`)],
    [
      input("x", [5, 3]),
      ...states.map((units, i) => input(`state${"abcd"[i]}`, [units])),
      called(layer("Bidirectional", { layer: of, ...config }), on("x", ...states.map((_, i) => `state${"abcd"[i]}`))),
    ],
    outputs.map((index) => ["tested", 0, index]),
  ), [STEPS, ...states.map((units) => [units])]);

const bidirectional = [
  ...merged,
  both("lstm_missing_mode", "without merge_mode: concat", inner("LSTM"), {}, STEPS, { edit: without("merge_mode") }),
  both("lstm_sigmoid", "sigmoid gates, no bias",
    inner("LSTM", { recurrent_activation: "sigmoid", use_bias: false, return_sequences: true })),
  both("lstm_inner_backwards", "the inner layer goes backwards already",
    inner("LSTM", { go_backwards: true, return_sequences: true })),
  both("gru_inner_backwards", "the inner layer goes backwards already, last steps",
    inner("GRU", { go_backwards: true })),
  both("lstm_keras_keys", "a backward_layer of its own", inner("LSTM"), {}, STEPS, {
    edit: adding({ backward_layer: { class_name: "LSTM", config: { name: "own", units: 5, go_backwards: true } } }),
    quirk: "tf.js makes the backward layer from the forward one",
  }),
  both("lstm_stateful", "both directions keep their states", inner("LSTM", { stateful: true, return_sequences: true }),
    { batch_input_shape: [2, 5, 3] }, STEPS, { calls: 2 }),
  both("conv_lstm2d", "ConvLSTM2D inside",
    layer("ConvLSTM2D", { filters: 2, kernel_size: [2, 3], return_sequences: true },
    "inner"), {}, [3, 4, 5, 2]),
  spread("lstm_apart", "merge_mode null: two outputs", inner("LSTM", { return_sequences: true }),
    { merge_mode: null }, [],
    [0, 1]),
  spread("gru_apart_last", "merge_mode null, last steps", inner("GRU"), { merge_mode: null }, [], [0, 1]),
  spread("lstm_state", "final states of both directions", inner("LSTM", { return_state: true }), {}, [],
    [0, 1, 2, 3, 4]),
  spread("gru_state_sequences", "all steps and the final states, summed",
    inner("GRU", { return_state: true, return_sequences: true }), { merge_mode: "sum" }, [], [0, 1, 2]),
  spread("simplernn_state_apart", "merge_mode null and the final states", inner("SimpleRNN", { return_state: true }),
    { merge_mode: null }, [], [0, 1, 2, 3]),
  spread("lstm_initial_state", "initial states of both directions as inputs", inner("LSTM", { return_sequences: true }),
    {}, [3, 3, 3, 3], [0]),
  spread("gru_initial_state", "initial states of both directions as inputs, summed", inner("GRU"),
    { merge_mode: "sum" }, [2, 2], [0]),
  whole("bidirectional_lstm_masked", "Bidirectional", "steps of zeros are left out",
    sequential([5, 3], layer("Masking", { mask_value: 0 }, "mask"),
      layer("Bidirectional", { layer: inner("LSTM", { return_sequences: true }) })), [GAPS]),
  whole("bidirectional_gru_masked_last", "Bidirectional", "left-out steps, last steps",
    sequential([5, 3], layer("Masking", { mask_value: 0 }, "mask"),
      layer("Bidirectional", { layer: inner("GRU"), merge_mode: "ave" })), [GAPS]),
  whole("bidirectional_two", "Bidirectional", "one above another",
    sequential([5, 3], layer("Bidirectional", { layer: inner("LSTM", { return_sequences: true }) }, "lower"),
      layer("Bidirectional", { layer: inner("GRU") })), [STEPS]),
];

const each = (suffix, about, of, given, config = {}, more = {}) =>
  one("TimeDistributed", suffix, about, { layer: of, ...config }, given, more);

const distributed = [
  each("dense", "Dense on every step", layer("Dense", { units: 4, activation: "tanh" }, "inner"), [5, 3]),
  each("dense_rank4", "Dense on every step of rank 3", layer("Dense", { units: 2 }, "inner"), [3, 2, 4]),
  each("conv2d", "Conv2D on every step", layer("Conv2D",
    { filters: 2, kernel_size: [2, 3], padding: "same", strides: 2 },
    "inner"), [3, 5, 4, 2]),
  each("pooling", "MaxPooling2D on every step", layer("MaxPooling2D", { pool_size: 2 }, "inner"), [3, 4, 5, 2]),
  each("flatten", "Flatten on every step", layer("Flatten", {}, "inner"), [3, 2, 3, 2]),
  each("batch_normalization", "BatchNormalization on every step", layer("BatchNormalization", {}, "inner"), [4, 3]),
  each("activation", "Activation on every step", layer("Activation", { activation: "softmax" }, "inner"), [4, 3]),
  each("dropout", "Dropout on every step", layer("Dropout", { rate: 0.5 }, "inner"), [4, 3]),
  each("lstm", "LSTM on every step", layer("LSTM", { units: 2 }, "inner"), [3, 4, 2]),
  each("sequential", "a Sequential on every step",
    sequential([4], layer("Dense", { units: 3, activation: "relu" }, "first"), layer("Dense", { units: 2 }, "second")),
    [3, 4]),
  each("sequential_images", "a Sequential of images on every step", sequential([5, 4, 1],
    layer("Conv2D", { filters: 2, kernel_size: 2 }, "first"), layer("MaxPooling2D", {}, "second"),
    layer("Flatten", {}, "third")), [3, 5, 4, 1]),
  each("model", "a functional model on every step", functional(["p"], [
    input("p", [4]),
    called(layer("Dense", { units: 4 }, "branch"), on("p")),
    called(layer("Add", {}, "sum"), on("p", "branch")),
  ], ["sum"], "own"), [3, 4]),
  each("embedding", "Embedding on every step", layer("Embedding", { input_dim: 6, output_dim: 2 }, "inner"),
    { shape: [3, 4], low: 0, high: 6, integer: true }),
  each("twice", "TimeDistributed in TimeDistributed",
    layer("TimeDistributed", { layer: layer("Dense", { units: 2 }, "inner") }, "outer"), [2, 3, 4]),
  each("bidirectional", "Bidirectional on every step",
    layer("Bidirectional", { layer: layer("GRU", { units: 2 }, "inner") }, "outer"), [2, 4, 3]),
  whole("time_distributed_lstm_masked", "TimeDistributed", "a mask of the outer steps reaches the inner ones",
    sequential([4, 3], layer("Masking", { mask_value: 0 }, "mask"),
      layer("Conv1D", { filters: 6, kernel_size: 1 }, "widen"), layer("Reshape", { target_shape: [4, 3, 2] }, "split"),
      layer("TimeDistributed", { layer: layer("LSTM", { units: 2 }, "inner") })),
    [{ shape: [4, 3], blank: { value: 0, steps: [[1], [2, 3]] } }], {
      quirk: "tf.js masks the steps inside of each outer step with the mask of the outer steps",
    }),
  whole("time_distributed_masked", "TimeDistributed", "a mask goes through to the next layer",
    sequential([5, 3], layer("Masking", { mask_value: 0 }, "mask"),
      layer("TimeDistributed", { layer: layer("Dense", { units: 2 }, "inner") }),
      layer("LSTM", { units: 3, return_sequences: true }, "reader")), [GAPS]),
];

export const wrappers = [...bidirectional, ...distributed];
