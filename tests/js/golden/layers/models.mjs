// Whole models: how layers are joined, named, shared and nested, and where masks go.
import { called, functional, input, layer, on, sequential, whole } from "./topology.mjs";

const dense = (units, name, more = {}) => layer("Dense", { units, ...more }, name);
const GAPS = { shape: [5, 3], blank: { value: 0, steps: [[0, 3], [2, 4]] } };
const LEAK = "a mask stays set for all later layers of a predict call, also for those that were handed none";
const small = sequential([4], dense(3, "first", { activation: "relu" }), dense(2, "second"));

const nest = (model, name) => ({ ...model, config: { ...model.config, name } });
/** A model as a layer of a functional model: its calls there count from 1. */
const nested = (model, name, ...calls) => called(nest(model, name), ...calls);

const sequentials = [
  whole("sequential", "Sequential", "the config as a dict", small, [[4]]),
  whole("sequential_batch3", "Sequential", "a batch of three", small, [[4]], { batch: 3 }),
  whole("sequential_bare_list", "Sequential", "the config as a bare list, as old Keras writes it", small, [[4]], {
    edit: (document) => (document.modelTopology.config = document.modelTopology.config.layers),
  }),
  whole("sequential_model_config", "Sequential", "the topology inside of model_config, as Keras writes it", small,
    [[4]], {
    edit: (document) => {
      const { class_name, config } = document.modelTopology;
      document.modelTopology = {
        keras_version: "2.4.0", backend: "tensorflow", model_config: { class_name, config },
        training_config: { loss: "mse", metrics: [], optimizer_config: { class_name: "SGD", config: {} } },
      };
    },
  }),
  whole("sequential_input_layer", "Sequential", "an InputLayer first, and shapes on inner layers too",
    sequential([4], layer("InputLayer", { dtype: "float32", sparse: false }, "fed"),
      dense(3, "first", { batch_input_shape: [null, 4] }), dense(2, "second")), [[4]]),
  whole("sequential_nested", "Sequential", "a Sequential in a Sequential",
    sequential([5], dense(4, "before"), nest(small, "inner"), dense(2, "after")),
    [[5]]),
  whole("sequential_nested_first", "Sequential", "a Sequential as the first layer",
    { class_name: "Sequential", config: { name: "net", layers: [
      nest(small, "inner"), dense(3, "after"),
    ] } }, [[4]]),
  whole("sequential_model_inside", "Sequential", "a functional model in a Sequential",
    sequential([4], dense(4, "before"), functional(["p"], [
      input("p", [4]), called(dense(4, "branch"), on("p")), called(layer("Add", {}, "sum"), on("p", "branch")),
    ], ["sum"], "inner"), dense(2, "after")), [[4]]),
  whole("sequential_cnn", "Sequential", "a small network of images", sequential([7, 8, 2],
    layer("Conv2D", { filters: 4, kernel_size: 3, padding: "same", strides: 2, use_bias: false }, "conv"),
    layer("BatchNormalization", {}, "norm"), layer("ReLU", { max_value: 6 }, "relu"),
    layer("DepthwiseConv2D", { kernel_size: [3, 2], padding: "same" }, "depthwise"),
    layer("MaxPooling2D", { pool_size: 2, padding: "same" }, "pool"), layer("Flatten", {}, "flat"),
    dense(3, "out", { activation: "softmax" })), [[7, 8, 2]]),
  whole("sequential_weights_reordered", "Sequential", "weights stand in another order in the file", small, [[4]], {
    edit: (document, files) => {
      const [{ weights }] = document.weightsManifest;
      const size = ({ shape }) => 4 * shape.reduce((a, b) => a * b, 1);
      let offset = 0;
      const parts = weights.map((spec) => files.weights.subarray(offset, (offset += size(spec))));
      files.weights = Buffer.concat(parts.reverse());
      weights.reverse();
    },
  }),
];

const functionals = [
  whole("functional_branches", "Model", "two inputs, two outputs, and a layer between", functional(
    ["a", "b"],
    [
      input("a", [3]), input("b", [4]),
      called(dense(4, "left"), on("a")), called(dense(4, "right", { activation: "tanh" }), on("b")),
      called(layer("Add", {}, "sum"), on("left", "right")),
      called(dense(2, "out"), on("sum")), called(dense(1, "side"), on("left")),
    ], ["out", "side"]), [[3], [4]]),
  whole("functional_class", "Functional", "the class name that newer Keras writes", functional(["a"],
    [input("a", [3]), called(dense(2, "out"), on("a"))], ["out"]), [[3]],
    { edit: (document) => (document.modelTopology.class_name = "Functional") }),
  whole("functional_no_kwargs", "Model", "calls of three entries, as some writers leave kwargs away", functional(
    ["a", "b"],
    [input("a", [3]), input("b", [3]), called(layer("Concatenate", { axis: 1 }, "both"), on("a", "b")),
      called(dense(2, "out"), on("both"))], ["out"]), [[3], [3]],
    { edit: (document) => document.modelTopology.config.layers.forEach((node) =>
      node.inbound_nodes.forEach((call) => call.forEach((reference) => reference.splice(3)))) }),
  whole("functional_kwargs", "Model", "kwargs of a call are not looked at", functional(["a"],
    [input("a", [3]), called(layer("Dropout", { rate: 0.5 }, "drop"), on("a")), called(dense(2, "out"), on("drop"))],
    ["out"]), [[3]],
    { edit: (document) => document.modelTopology.config.layers.forEach((node) =>
      node.inbound_nodes.forEach((call) => call.forEach((reference) => (reference[3] = { training: true })))) }),
  whole("functional_order", "Model", "layers listed before those that they need", functional(["a"],
    [input("a", [3]), called(dense(4, "first"), on("a")), called(dense(4, "second"), on("first")),
      called(layer("Add", {}, "sum"), on("first", "second"))], ["sum"]), [[3]],
    { edit: (document) => document.modelTopology.config.layers.reverse() }),
  whole("functional_inputs_order", "Model", "inputs in another order than the layers", functional(["b", "a"],
    [input("a", [3]), input("b", [4]), called(layer("Concatenate", { axis: 1 }, "both"), on("a", "b")),
      called(dense(2, "out"), on("both"))], ["out"]), [[4], [3]]),
  whole("functional_inner_output", "Model", "a layer in between as an output too", functional(["a"],
    [input("a", [3]), called(dense(4, "inner"), on("a")), called(dense(2, "out"), on("inner"))],
    ["out", "inner"]), [[3]]),
  whole("functional_input_as_output", "Model", "an input handed through", functional(["a"],
    [input("a", [3]), called(dense(2, "out"), on("a"))], ["a", "out"]), [[3]]),
  whole("functional_same_twice", "Model", "one tensor twice into one layer", functional(["a"],
    [input("a", [3]), called(dense(4, "inner"), on("a")),
      called(layer("Multiply", {}, "square"), on("inner", "inner"))],
    ["square"]), [[3]]),
  whole("functional_unused_layer", "Model", "a layer that no output needs", functional(["a"],
    [input("a", [3]), called(dense(2, "out"), on("a")), called(layer("ReLU", {}, "loose"), on("a"))], ["out"]), [[3]], {
      edit: (document) => document.modelTopology.config.layers.push(called(layer("ReLU", {}, "loose"), on("a"))),
    }),
  whole("functional_no_layer", "Model", "nothing but an input", functional(["a"], [input("a", [3])], ["a"]), [[3]]),
  whole("functional_residual", "Model", "residual branches of images", functional(["image"], [
    input("image", [5, 6, 3]),
    called(layer("Conv2D", { filters: 4, kernel_size: 3, padding: "same" }, "stem"), on("image")),
    called(layer("BatchNormalization", {}, "norm"), on("stem")),
    called(layer("Activation", { activation: "relu" }, "act"), on("norm")),
    called(layer("SeparableConv2D", { filters: 4, kernel_size: 3, padding: "same" }, "branch"), on("act")),
    called(layer("Add", {}, "sum"), on("stem", "branch")),
    called(layer("Concatenate", { axis: 3 }, "both"), on("sum", "act")),
    called(layer("GlobalAveragePooling2D", {}, "pool"), on("both")),
    called(dense(2, "out"), on("pool")),
  ], ["out"]), [[5, 6, 3]]),
];

const shared = [
  whole("shared_layer", "Model", "one layer called on two inputs", functional(["a", "b"], [
    input("a", [3]), input("b", [3]),
    called(dense(4, "both", { activation: "tanh" }), on("a"), on("b")),
    called(layer("Concatenate", { axis: 1 }, "joined"), on(["both", 0], ["both", 1])),
    called(dense(2, "out"), on("joined")),
  ], ["out"]), [[3], [3]]),
  whole("shared_layer_chain", "Model", "one layer called on its own output", functional(["a"], [
    input("a", [3]), called(dense(3, "again", { activation: "tanh" }), on("a"), on("again"), on(["again", 1])),
  ], [["again", 2], ["again", 0]]), [[3]]),
  whole("shared_lstm", "Model", "one LSTM called on two inputs", functional(["a", "b"], [
    input("a", [4, 2]), input("b", [3, 2]),
    called(layer("LSTM", { units: 3 }, "reader"), on("a"), on("b")),
    called(layer("Dot", { axes: 1, normalize: true }, "cosine"), on(["reader", 0], ["reader", 1])),
  ], ["cosine"]), [[4, 2], [3, 2]]),
  whole("shared_nested", "Model", "one Sequential called on two inputs: its calls are 1 and 2", functional(["a", "b"], [
    input("a", [4]), input("b", [4]),
    nested(small, "twin", on("a"), on("b")),
    called(layer("Concatenate", { axis: 1 }, "joined"), on(["twin", 2], ["twin", 1])),
    called(dense(1, "out"), on("joined")),
  ], ["out"]), [[4], [4]]),
];

const inside = functional(["p", "q"], [
  input("p", [3]), input("q", [3]),
  called(dense(3, "mix"), on("p")),
  called(layer("Add", {}, "sum"), on("mix", "q")),
  called(layer("Multiply", {}, "product"), on("mix", "q")),
], ["sum", "product"], "inner");

const nesting = [
  whole("nested_sequential", "Model", "a Sequential as a layer: its first call is 1", functional(["a"], [
    input("a", [4]), nested(small, "inner", on("a")), called(dense(2, "out"), on(["inner", 1])),
  ], ["out"]), [[4]]),
  whole("nested_sequential_last", "Model", "a Sequential as the output", functional(["a"], [
    input("a", [3]), called(dense(4, "before"), on("a")), nested(small, "inner", on("before")),
  ], [["inner", 1]]), [[3]]),
  whole("nested_model", "Model", "a model with two inputs and two outputs as a layer", functional(["a", "b"], [
    input("a", [3]), input("b", [3]), nested(inside, "inner", on("b", "a")),
    called(layer("Concatenate", { axis: 1 }, "joined"), on(["inner", 1, 1], ["inner", 1, 0])),
  ], ["joined"]), [[3], [3]]),
  whole("nested_model_outputs", "Model", "a nested model's outputs as outputs", functional(["a"], [
    input("a", [3]), nested(inside, "inner", on("a", "a")),
  ], [["inner", 1, 1], ["inner", 1, 0]]), [[3]]),
  whole("nested_twice", "Model", "a model in a model in a model", functional(["a"], [
    input("a", [4]),
    nested(functional(["m"], [
      input("m", [4]), nested(small, "deepest", on("m")), called(dense(3, "middle_out"), on(["deepest", 1])),
    ], ["middle_out"]), "middle", on("a")),
    called(dense(1, "out"), on(["middle", 1])),
  ], ["out"]), [[4]]),
  whole("nested_transfer", "Sequential", "a base of images and a head", {
    class_name: "Sequential",
    config: {
      name: "net",
      layers: [
        functional(["image"], [
          input("image", [6, 5, 3]),
          called(layer("Conv2D", { filters: 4, kernel_size: 3, strides: 2 }, "conv"), on("image")),
          called(layer("BatchNormalization", {}, "norm"), on("conv")),
          called(layer("ReLU", {}, "relu"), on("norm")),
          called(layer("GlobalAveragePooling2D", {}, "pool"), on("relu")),
        ], ["pool"], "base"),
        dense(3, "head", { activation: "softmax" }),
      ],
    },
  }, [[6, 5, 3]]),
];

const ids = { shape: [5], low: 0, high: 3, integer: true };
const masks = [
  whole("mask_embedding", "Embedding", "mask_zero leaves steps out", sequential([5],
    layer("Embedding", { input_dim: 6, output_dim: 3, mask_zero: true }), layer("LSTM", { units: 3 }, "reader")),
      [ids]),
  whole("mask_embedding_gru_sequences", "Embedding", "mask_zero leaves steps out of a sequence", sequential([5],
    layer("Embedding", { input_dim: 6, output_dim: 3, mask_zero: true }),
    layer("Dropout", { rate: 0.5 }, "drop"), dense(3, "mix"),
    layer("GRU", { units: 3, return_sequences: true }, "reader")), [ids]),
  whole("mask_leak_repeat", "RepeatVector", "a decoder is masked as the encoder was", sequential([5, 3],
    layer("Masking", { mask_value: 0 }, "mask"), layer("LSTM", { units: 4 }, "encoder"),
    layer("RepeatVector", { n: 5 }), layer("LSTM", { units: 3, return_sequences: true }, "decoder")), [GAPS],
    { quirk: LEAK }),
  whole("mask_leak_shorter", "RepeatVector", "a decoder of fewer steps takes the first of the mask", sequential([5, 3],
    layer("Masking", { mask_value: 0 }, "mask"), layer("LSTM", { units: 4 }, "encoder"),
    layer("RepeatVector", { n: 3 }), layer("GRU", { units: 3, return_sequences: true }, "decoder")), [GAPS],
    { quirk: LEAK }),
  whole("mask_leak_leaky_relu", "LeakyReLU", "a layer without masks in between", sequential([5, 3],
    layer("Masking", { mask_value: 0 }, "mask"), layer("LeakyReLU", {}),
    layer("SimpleRNN", { units: 3, return_sequences: true }, "reader")), [GAPS], { quirk: LEAK }),
  whole("mask_leak_conv", "Conv1D", "a convolution in between", sequential([5, 3],
    layer("Masking", { mask_value: 0 }, "mask"), layer("Conv1D", { filters: 3, kernel_size: 2, padding: "same" }),
    layer("LSTM", { units: 3, return_sequences: true }, "reader")), [GAPS], { quirk: LEAK }),
  whole("mask_leak_nested", "Sequential", "a mask goes into a nested model", sequential([5, 3],
    layer("Masking", { mask_value: 0 }, "mask"),
    nest(sequential([5, 3], layer("LSTM", { units: 3, return_sequences: true }, "reader")), "inner"),
    layer("GRU", { units: 2, return_sequences: true }, "after")), [GAPS],
    { quirk: LEAK }),
  whole("mask_two_branches", "Add", "one branch is masked, the other comes later", functional(["a", "b"], [
    input("a", [5, 3]), input("b", [5, 3]),
    called(layer("Masking", { mask_value: 0 }, "mask"), on("a")),
    called(layer("LSTM", { units: 3 }, "left"), on("mask")),
    called(layer("LSTM", { units: 3 }, "right"), on("b")),
    called(layer("Add", {}, "sum"), on("left", "right")),
  ], ["sum"]), [GAPS, [5, 3]], { quirk: LEAK }),
  whole("mask_two_branches_swapped", "Add", "one branch is masked, the other comes first", functional(["a", "b"], [
    input("a", [5, 3]), input("b", [5, 3]),
    called(layer("Masking", { mask_value: 0 }, "mask"), on("b")),
    called(layer("LSTM", { units: 3 }, "left"), on("a")),
    called(layer("LSTM", { units: 3 }, "right"), on("mask")),
    called(layer("Add", {}, "sum"), on("left", "right")),
  ], ["sum"]), [[5, 3], GAPS], { quirk: LEAK }),
  whole("mask_concatenate", "Concatenate", "two masked branches joined along the features", functional(["a", "b"], [
    input("a", [5, 3]), input("b", [5, 3]),
    called(layer("Masking", { mask_value: 0 }, "mask_a"), on("a")),
    called(layer("Masking", { mask_value: 0 }, "mask_b"), on("b")),
    called(layer("Concatenate", { axis: -1 }, "joined"), on("mask_a", "mask_b")),
    called(layer("LSTM", { units: 3, return_sequences: true }, "reader"), on("joined")),
  ], ["reader"]), [GAPS, { shape: [5, 3], blank: { value: 0, steps: [[1, 3], [0]] } }]),
  whole("mask_add_second", "Add", "of two branches only the second is masked: the sum is not", functional(["a", "b"], [
    input("a", [5, 3]), input("b", [5, 3]),
    called(layer("Masking", { mask_value: 0 }, "mask"), on("b")),
    called(layer("Add", {}, "sum"), on("a", "mask")),
    called(layer("LSTM", { units: 3, return_sequences: true }, "reader"), on("sum")),
  ], ["reader"]), [[5, 3], GAPS]),
  whole("mask_concatenate_second", "Concatenate", "of two branches only the second is masked", functional(["a", "b"], [
    input("a", [5, 3]), input("b", [5, 3]),
    called(layer("Masking", { mask_value: 0 }, "mask"), on("b")),
    called(layer("Concatenate", { axis: -1 }, "joined"), on("a", "mask")),
    called(layer("LSTM", { units: 3, return_sequences: true }, "reader"), on("joined")),
  ], ["reader"]), [[5, 3], GAPS]),
  whole("mask_encoder_decoder", "LSTM", "a masked encoder starts a decoder", functional(["source", "target"], [
    input("source", [5, 3]), input("target", [4, 2]),
    called(layer("Masking", { mask_value: 0 }, "mask"), on("source")),
    called(layer("LSTM", { units: 3, return_state: true }, "encoder"), on("mask")),
    called(layer("LSTM", { units: 3, return_sequences: true }, "decoder"),
      on("target", ["encoder", 0, 1], ["encoder", 0, 2])),
  ], ["decoder"]), [GAPS, [4, 2]], { quirk: LEAK }),
];

export const models = [...sequentials, ...functionals, ...shared, ...nesting, ...masks];
