// Recurrent layers and cells: every option, masks, initial states, states that are kept.
import {
  adding, called, configured, functional, input, layer, on, one, sequential, whole, without,
} from "./topology.mjs";

const UNITS = { SimpleRNN: 4, GRU: 3, LSTM: 3 };
const STATES = { SimpleRNN: ["h"], GRU: ["h"], LSTM: ["h", "c"] };
const GATED = ["GRU", "LSTM"];
const ALL = ["SimpleRNN", "GRU", "LSTM"];
// Wide enough for the flat ends of hard_sigmoid.
const STEPS = { shape: [5, 3], low: -3, high: 3 };
const GAPS = { ...STEPS, blank: { value: 0, steps: [[0, 3], [2, 4]] } };

const renamed = (change) => (document) => {
  for (const weight of document.weightsManifest[0].weights) weight.name = change(weight.name);
};

const plain = (name) => {
  const units = { units: UNITS[name] };
  const of = (suffix, about, config = {}, given = STEPS, more = {}) =>
    one(name, suffix, about, { ...units, ...config }, given, more);
  return [
    of("", "the last step, with defaults"),
    of("sequences", "all steps", { return_sequences: true }),
    withStates(name, "state", "the last step and the states", { return_state: true }),
    withStates(name, "sequences_state", "all steps and the states", { return_state: true, return_sequences: true }),
    of("backwards", "from the last step to the first", { go_backwards: true }),
    of("backwards_sequences", "backwards, all steps in the order of the work",
      { go_backwards: true, return_sequences: true }),
    of("no_bias", "without bias", { use_bias: false }),
    of("relu", "relu as activation", { activation: "relu" }),
    of("linear_name", "the activation linear", { activation: "linear" }, { shape: [3, 2] }),
    of("activation_missing", "without the key: tanh", {}, STEPS, { edit: without("activation") }),
    of("activation_null", name === "SimpleRNN" ? "null: tanh" : "null: linear", {}, { shape: [4, 3] },
      { edit: adding({ activation: null }) }),
    of("dropout", "dropout is for training only", { dropout: 0.5, recurrent_dropout: 0.4 }),
    of("one_step", "a single step", { return_sequences: true }, [1, 3]),
    of("ignored_keys", "unroll, implementation, time_major, zero_output_for_mask", { return_sequences: true }, GAPS, {
      edit: adding({ unroll: true, implementation: 2, time_major: true, zero_output_for_mask: true }),
      quirk: "tf.js does not look at these keys",
    }),
    of("missing_keys", "nothing but units and the shape", {}, STEPS, {
      edit: configured((config) => {
        const { name: own, units: count, batch_input_shape } = config;
        for (const key of Object.keys(config)) delete config[key];
        Object.assign(config, { name: own, units: count, batch_input_shape });
      }),
    }),
    of("keras_names", "weights with the cell's name in theirs", {}, STEPS, {
      edit: renamed((full) => full.replace("tested/", `tested/${name.toLowerCase()}_cell/`)),
    }),
    of("stateful", "the state of one predict is the next one's start",
      { stateful: true, batch_input_shape: [2, 5, 3] }, STEPS, { calls: 3 }),
    of("stateful_sequences", "kept states, all steps", {
      stateful: true, return_sequences: true, batch_input_shape: [2, 5, 3],
    }, STEPS, { calls: 2 }),
    keptAndShown(name, "stateful_state", "kept states, and all outputs asked for",
      [0, ...STATES[name].map((_, i) => i + 1)],
      AGAIN),
    keptAndShown(name, "stateful_state_one_output", "kept states, and only one output asked for", [1]),
    masked(name, "masked", "steps of zeros are left out", {}),
    masked(name, "masked_whole", "a sample without any step", { return_sequences: true },
      { ...STEPS, blank: { value: 0, steps: [[0, 1, 2, 3, 4], [4]] } }),
    masked(name, "masked_sequences", "left-out steps repeat the one before", { return_sequences: true }),
    masked(name, "masked_backwards", "masked, from the last step to the first",
      { return_sequences: true, go_backwards: true }),
    started(name, "initial_state", "initial states as inputs", { return_sequences: true }),
    started(name, "initial_state_returned", "initial states as inputs, final states as outputs",
      { return_state: true }),
    readThrough(name),
  ];
};

const gated = (name) => {
  const of = (suffix, about, config, more) => one(name, suffix, about, { units: UNITS[name], ...config }, STEPS, more);
  return [
    of("sigmoid", "sigmoid for the gates", { recurrent_activation: "sigmoid", return_sequences: true }),
    of("hard_sigmoid", "hard_sigmoid for the gates, by name",
      { recurrent_activation: "hard_sigmoid", return_sequences: true }),
    of("gates_missing", "without recurrent_activation: hard_sigmoid", {}, { edit: without("recurrent_activation") }),
    of("gates_null", "recurrent_activation null: linear", {}, { edit: adding({ recurrent_activation: null }) }),
    of("gates_relu", "relu for the gates", { recurrent_activation: "relu", activation: "softsign" }),
    of("implementation1", "implementation 1", { implementation: 1 }),
  ];
};

/** Several outputs need a functional model. */
function withStates(name, suffix, about, config) {
  return whole(`${lower(name)}_${suffix}`, name, about, functional(
    ["x"],
    [input("x", [5, 3]), called(layer(name, { units: UNITS[name], ...config }), on("x"))],
    [0, ...STATES[name].map((_, i) => i + 1)].map((index) => ["tested", 0, index]),
  ), [STEPS]);
}

const AGAIN = "tf.js runs a layer once for each of its outputs that is asked for, and a kept state moves on every time";

/** A layer that keeps its states and hands them out as well. */
function keptAndShown(name, suffix, about, outputs, quirk) {
  return whole(`${lower(name)}_${suffix}`, name, about, functional(
    ["x"],
    [
      input("x", [], { batch_input_shape: [2, 5, 3] }),
      called(layer(name, { units: UNITS[name], stateful: true, return_state: true, return_sequences: true }), on("x")),
    ],
    outputs.map((index) => ["tested", 0, index]),
  ), [STEPS], { calls: 2, ...(quirk && { quirk }) });
}

function masked(name, suffix, about, config, given = GAPS) {
  return whole(`${lower(name)}_${suffix}`, name, about,
    sequential([5, 3], layer("Masking", { mask_value: 0 }, "mask"), layer(name, { units: UNITS[name], ...config })),
    [given]);
}

function started(name, suffix, about, config) {
  const states = STATES[name];
  const outputs = config.return_state ? [0, ...states.map((_, i) => i + 1)] : [0];
  return whole(`${lower(name)}_${suffix}`, name, about, functional(
    ["x", ...states],
    [
      input("x", [5, 3]),
      ...states.map((state) => input(state, [UNITS[name]])),
      called(layer(name, { units: UNITS[name], ...config }), on("x", ...states)),
    ],
    outputs.map((index) => ["tested", 0, index]),
  ), [STEPS, ...states.map(() => [UNITS[name]])]);
}

/** The usual pair of encoder and decoder. */
function readThrough(name) {
  const states = STATES[name].map((_, i) => ["encoder", 0, i + 1]);
  return whole(`${lower(name)}_encoder_decoder`, name, "one layer's final states start another layer", functional(
    ["source", "target"],
    [
      input("source", [4, 2]),
      input("target", [3, 5]),
      called(layer(name, { units: UNITS[name], return_state: true }, "encoder"), on("source")),
      called(layer(name, { units: UNITS[name], return_sequences: true }), on("target", ...states)),
    ],
    ["tested"],
  ), [[4, 2], [3, 5]]);
}

const lower = (name) => (name === "SimpleRNN" ? "simple_rnn" : name.toLowerCase());

const cell = (class_name, units, more = {}) => layer(class_name, { units, ...more }, class_name.toLowerCase());
const stack = (...cells) => layer("StackedRNNCells", { cells }, "stack");
const rnn = (suffix, about, config, given = STEPS, more = {}) => one("RNN", suffix, about, config, given, more);
const TWO = stack(cell("LSTMCell", 3), { ...cell("GRUCell", 2), config: { name: "second", units: 2 } });

const cells = [
  rnn("simple_cell", "one SimpleRNNCell", { cell: cell("SimpleRNNCell", 4) }, STEPS, { layer: "SimpleRNNCell" }),
  rnn("gru_cell", "one GRUCell", { cell: cell("GRUCell", 3), return_sequences: true }, STEPS, { layer: "GRUCell" }),
  rnn("lstm_cell", "one LSTMCell", { cell: cell("LSTMCell", 3), return_sequences: true }, STEPS,
    { layer: "LSTMCell" }),
  rnn("lstm_cell_options", "one LSTMCell with sigmoid gates, no bias, backwards", {
    cell: cell("LSTMCell", 3, { recurrent_activation: "sigmoid", use_bias: false }), go_backwards: true,
  }, STEPS, { layer: "LSTMCell" }),
  rnn("simple_cell_relu", "one SimpleRNNCell with relu",
    { cell: cell("SimpleRNNCell", 4, { activation: "relu" }), return_sequences: true }, STEPS,
    { layer: "SimpleRNNCell" }),
  rnn("stacked", "an LSTMCell below a GRUCell", { cell: TWO, return_sequences: true }, STEPS,
    { layer: "StackedRNNCells" }),
  rnn("stacked_last", "two cells, the last step", { cell: TWO }, STEPS, { layer: "StackedRNNCells" }),
  rnn("stacked_three", "three cells of one kind, backwards", {
    cell: stack(...[4, 3, 2].map((units, i) => layer("SimpleRNNCell", { units }, `cell${"abc"[i]}`))),
    go_backwards: true,
    return_sequences: true,
  }, STEPS, { layer: "StackedRNNCells" }),
  rnn("stacked_stateful", "two cells that keep their states", {
    cell: TWO, stateful: true, batch_input_shape: [2, 5, 3],
  }, STEPS, { layer: "StackedRNNCells", calls: 2 }),
  whole("rnn_state", "RNN", "one cell's final states as outputs", functional(
    ["x"],
    [input("x", [5, 3]), called(layer("RNN", { cell: cell("LSTMCell", 3), return_state: true }), on("x"))],
    [["tested", 0, 0], ["tested", 0, 1], ["tested", 0, 2]],
  ), [STEPS]),
  whole("rnn_stacked_state", "StackedRNNCells", "several cells' final states as outputs", functional(
    ["x"],
    [input("x", [5, 3]), called(layer("RNN", {
      cell: stack(layer("LSTMCell", { units: 3 }, "lower"), layer("LSTMCell", { units: 3 }, "upper")),
      return_state: true,
    }), on("x"))],
    [0, 1, 2, 3, 4].map((index) => ["tested", 0, index]),
  ), [STEPS]),
  whole("rnn_stacked_initial_state", "StackedRNNCells", "several cells' initial states as inputs", functional(
    ["x", "a", "b", "c"],
    [
      input("x", [5, 3]),
      ...[["a", 2], ["b", 3], ["c", 3]].map(([name, units]) => input(name, [units])),
      called(layer("RNN", { cell: TWO, return_sequences: true }), on("x", "a", "b", "c")),
    ],
    ["tested"],
  ), [STEPS, [2], [3], [3]]),
  whole("rnn_masked", "RNN", "one cell behind a mask",
    sequential([5, 3], layer("Masking", { mask_value: 0 }, "mask"),
      layer("RNN", { cell: cell("GRUCell", 3), return_sequences: true })), [GAPS]),
  whole("rnn_stacked_masked", "StackedRNNCells", "two cells behind a mask",
    sequential([5, 3], layer("Masking", { mask_value: 0 }, "mask"),
      layer("RNN", { cell: TWO, return_sequences: true })),
    [GAPS]),
];

const extra = [
  whole("gru_stateful_masked", "GRU", "kept states behind a mask", sequential([5, 3],
    layer("Masking", { mask_value: 0, batch_input_shape: [2, 5, 3] }, "mask"),
    layer("GRU", { units: 3, stateful: true, return_sequences: true })), [GAPS], { calls: 2 }),
  one("LSTM", "unit_forget_bias", "unit_forget_bias is about initial values only", { units: 3 }, STEPS,
    { edit: adding({ unit_forget_bias: true }) }),
  one("GRU", "reset_before", "reset_after false, by name", { units: 3 }, STEPS,
    { edit: adding({ reset_after: false }) }),
  one("LSTM", "open_length", "the number of steps left open",
    { units: 3, return_sequences: true, batch_input_shape: [null, null, 3] }, STEPS),
  whole("lstm_stacked_layers", "LSTM", "three layers in a row, the mask goes along", sequential([5, 3],
    layer("Masking", { mask_value: 0 }, "mask"),
    layer("LSTM", { units: 4, return_sequences: true }, "first"),
    layer("GRU", { units: 3, return_sequences: true }, "second"),
    layer("LSTM", { units: 2 })), [GAPS]),
];

const film = (suffix, about, config, given = [3, 4, 5, 2], more = {}) =>
  one("ConvLSTM2D", suffix, about, { filters: 2, kernel_size: [3, 2], ...config }, given, more);
const convolutional = [
  film("", "the last step, valid padding", {}),
  film("sequences", "all steps", { return_sequences: true }),
  film("same", "same padding", { padding: "same", return_sequences: true }),
  film("strides", "strides", { strides: [2, 1], return_sequences: true }),
  film("same_strides", "same padding with strides", { padding: "same", strides: [2, 2] }),
  film("dilation", "a dilation of the input's convolution", { kernel_size: 2, dilation_rate: [2, 2] }),
  film("channels_first", "channels before the image", { data_format: "channels_first", return_sequences: true },
    [3, 2, 4, 5]),
  film("backwards", "from the last step to the first", { go_backwards: true, return_sequences: true }),
  film("no_bias", "without bias", { use_bias: false }),
  film("sigmoid", "sigmoid for the gates", { recurrent_activation: "sigmoid" }),
  film("relu", "relu as activation", { activation: "relu", kernel_size: [1, 1] }),
  film("activations_missing", "without both keys: tanh and hard_sigmoid", {}, [3, 4, 5, 2],
    { edit: without("activation", "recurrent_activation") }),
  film("dropout", "dropout is for training only", { dropout: 0.5, recurrent_dropout: 0.5 }),
  whole("conv_lstm2d_state", "ConvLSTM2D", "the last step and the states", functional(
    ["x"],
    [input("x", [3, 4, 5, 2]), called(layer("ConvLSTM2D", { filters: 2, kernel_size: 2, return_state: true }),
      on("x"))],
    [["tested", 0, 0], ["tested", 0, 1], ["tested", 0, 2]],
  ), [[3, 4, 5, 2]]),
  film("stateful", "the state of one predict is the next one's start",
    { stateful: true, batch_input_shape: [2, 3, 4, 5, 2] }, [3, 4, 5, 2], { calls: 2 }),
];

export const recurrent = [...ALL.flatMap(plain), ...GATED.flatMap(gated), ...cells, ...extra, ...convolutional];
