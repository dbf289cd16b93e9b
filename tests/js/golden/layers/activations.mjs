// Activation and the layers that are one activation each.
import { adding, configured, layer, one, sequential, whole, without } from "./topology.mjs";

const wide = (shape) => ({ shape, low: -5, high: 5 });
const NAMES = [
  "linear", "relu", "relu6", "elu", "selu", "sigmoid", "hard_sigmoid", "softplus", "softsign", "tanh", "softmax",
  "log_softmax", "gelu", "mish", "swish",
];
const asDict = (class_name, config = {}) => configured((keys) => (keys.activation = { class_name, config }));
const ignored = "tf.js does not look at these keys";

export const activations = [
  ...NAMES.map((name) => one("Activation", name, `the activation ${name}`, { activation: name },
    { shape: [4, 8], low: name === "relu6" ? -8 : -5, high: 8 })),
  ...["relu6", "hard_sigmoid", "softmax"].map((name) =>
    one("Activation", `dict_${name}`, `${name} spelled as a dict`, { activation: name }, wide([12]),
      { edit: asDict(name) })),
  one("Activation", "null", "null is linear", { activation: "tanh" }, wide([6]),
    { edit: adding({ activation: null }) }),
  one("Activation", "missing", "without the key: linear", { activation: "tanh" }, wide([6]),
    { edit: without("activation") }),
  one("Activation", "camel_case", "an activation as JavaScript spells it", { activation: "hard_sigmoid" }, wide([12]),
    { edit: adding({ activation: "hardSigmoid" }) }),
  one("Activation", "softmax_rank4", "softmax over the last axis", { activation: "softmax" }, wide([2, 3, 4])),
  one("Activation", "large_inputs", "softplus does not overflow", { activation: "softplus" },
    { shape: [8], low: -120, high: 120 }),
  one("Activation", "large_mish", "mish does not overflow", { activation: "mish" },
    { shape: [8], low: -120, high: 120 }),
  one("Activation", "layer_name", "a layer's class in place of an activation", { activation: "relu" }, wide([12]), {
    edit: asDict("LeakyReLU", { alpha: 0.2 }),
    quirk: "layers and activations share one table of names",
  }),

  one("ReLU", "", "no upper end", {}, wide([12])),
  one("ReLU", "max_value", "cut at 2.5", { max_value: 2.5 }, wide([12])),
  one("ReLU", "max_value_rank4", "cut at 0.5", { max_value: 0.5 }, wide([2, 3, 2])),
  one("ReLU", "keras_keys", "negative_slope and threshold", { max_value: 3 }, wide([12]), {
    edit: adding({ negative_slope: 0.5, threshold: 1 }), quirk: ignored,
  }),
  one("LeakyReLU", "", "slope 0.3 below 0", {}, wide([12])),
  one("LeakyReLU", "alpha", "another slope", { alpha: 0.1 }, wide([3, 4])),
  one("LeakyReLU", "alpha_zero", "slope 0", { alpha: 0 }, wide([12])),
  one("LeakyReLU", "alpha_ndarray", "a number as Keras writes those of numpy", {}, wide([12]),
    { edit: adding({ alpha: { type: "ndarray", value: 0.2 } }) }),
  one("LeakyReLU", "missing_alpha", "without the key", {}, wide([12]), { edit: without("alpha") }),
  one("LeakyReLU", "negative_slope", "the name that Keras 3 gives alpha", {}, wide([12]), {
    edit: configured((config) => {
      delete config.alpha;
      config.negative_slope = 0.05;
    }),
    quirk: `${ignored}; the slope stays 0.3`,
  }),
  one("PReLU", "rank2", "a slope for each feature", {}, wide([6])),
  one("PReLU", "rank3", "a slope for each step and feature", {}, wide([3, 4])),
  one("PReLU", "rank3_shared", "one slope for all steps", { shared_axes: [1] }, wide([3, 4])),
  one("PReLU", "rank4", "a slope for each pixel and channel", {}, wide([3, 2, 3])),
  one("PReLU", "rank4_shared", "a slope for each channel", { shared_axes: [1, 2] }, wide([3, 2, 3])),
  one("PReLU", "rank4_shared_rows", "a slope for each column and channel", { shared_axes: [1] }, wide([3, 2, 3])),
  one("PReLU", "shared_all", "a single slope", { shared_axes: [1, 2, 3] }, wide([3, 2, 3])),
  one("ELU", "", "alpha 1", {}, wide([12])),
  one("ELU", "missing_alpha", "without the key", {}, wide([12]), { edit: without("alpha") }),
  one("ThresholdedReLU", "", "above 1", {}, wide([12])),
  one("ThresholdedReLU", "theta", "above 0.5", { theta: 0.5 }, wide([3, 4])),
  one("ThresholdedReLU", "theta_negative", "above -1", { theta: -1 }, wide([12])),
  one("Softmax", "last", "axis -1", { axis: -1 }, wide([3, 5])),
  one("Softmax", "default_rank2", "axis 1, which is the last", {}, wide([6])),
  one("Softmax", "missing_axis", "without the key: axis 1", {}, wide([6]), { edit: without("axis") }),
  one("Softmax", "rank4", "axis 3 of 4", { axis: 3 }, wide([2, 2, 3])),
  one("Softmax", "axes", "over two axes at once", { axis: [1, 2] }, wide([3, 4])),
  one("Softmax", "one_axis_listed", "a list of one axis", { axis: [2] }, wide([3, 4])),
  whole("softmax_masked", "Softmax", "a mask as long as the features takes some of them away",
    sequential([5, 5], layer("Masking", { mask_value: 0 }, "mask"), layer("GlobalMaxPooling1D", {}, "pool"),
      layer("Softmax", { axis: -1 })),
    [{ shape: [5, 5], blank: { value: 0, steps: [[1], [0, 3]] } }], {
      quirk: "a mask stays set for all later layers of a predict call",
    }),
];
