// Dense, Embedding, Masking, InputLayer.
import { adding, configured, layer, one, sequential, whole, without } from "./topology.mjs";

const ids = (shape, high, more) => ({ shape, low: 0, high, integer: true, ...more });
const blanks = { shape: [5, 3], blank: { value: 0, steps: [[1, 4], [0, 2, 3]] } };

const constraint = (suffix, config, about) =>
  one("Dense", `constraint_${suffix}`, about, { units: 4 }, [3], {
    edit: adding({ kernel_constraint: config }),
    quirk: "a constraint in the file changes the weights while they are loaded",
  });

export const core = [
  one("Dense", "rank2", "units on the last axis", { units: 4 }, [3]),
  one("Dense", "rank3", "the last of three axes", { units: 4 }, [5, 3]),
  one("Dense", "rank4", "the last of four axes", { units: 2 }, [2, 3, 4]),
  one("Dense", "no_bias", "without bias", { units: 4, use_bias: false }, [3]),
  one("Dense", "one_unit", "a single unit and a single feature", { units: 1 }, [1]),
  one("Dense", "relu", "with an activation inside", { units: 6, activation: "relu" }, [3]),
  one("Dense", "softmax_rank3", "softmax over the last axis", { units: 4, activation: "softmax" }, [3, 2]),
  one("Dense", "input_dim", "input_dim in place of batch_input_shape", { units: 4 }, [3], {
    edit: configured((config) => {
      delete config.batch_input_shape;
      config.input_dim = 3;
    }),
  }),
  one("Dense", "fixed_batch", "a batch size in the shape", { units: 4, batch_input_shape: [2, 3] }, [3]),
  one("Dense", "missing_keys", "nothing but name, units and the shape", { units: 4 }, [3], {
    edit: without("activation", "use_bias", "kernel_initializer", "bias_initializer", "kernel_regularizer",
      "bias_regularizer", "activity_regularizer", "kernel_constraint", "bias_constraint", "trainable", "dtype"),
  }),
  one("Dense", "unknown_keys", "keys that tf.js does not know", { units: 4 }, [3], {
    edit: adding({ groups: 2, ragged: false, lora_rank: null, quantization_config: null }),
  }),
  whole("dense_dtype_policy", "Dense", "dtype as a policy, as Keras 3 writes it",
    sequential([3], layer("Activation", { activation: "tanh" }, "first"), layer("Dense", { units: 4 })), [[3]], {
      edit: adding({ dtype: { module: "keras", class_name: "DTypePolicy", config: { name: "mixed_float16" } } }),
      quirk: "tf.js computes in float32 whatever the policy",
    }),
  one("Dense", "regularized", "regularisers do not change what is computed", { units: 4 }, [3], {
    edit: adding({
      kernel_regularizer: { class_name: "L1L2", config: { l1: 0.1, l2: 0.2 } },
      bias_regularizer: { class_name: "L1L2", config: { l1: 0.5, l2: 0 } },
    }),
  }),
  one("Dense", "not_trainable", "trainable false", { units: 4, trainable: false }, [3]),
  constraint("max_norm", { class_name: "MaxNorm", config: { max_value: 0.5, axis: 0 } }, "columns cut to norm 0.5"),
  constraint("max_norm_axis1", { class_name: "MaxNorm", config: { max_value: 0.5, axis: 1 } }, "rows cut to norm 0.5"),
  constraint("min_max_norm", {
    class_name: "MinMaxNorm", config: { min_value: 0.9, max_value: 1, rate: 0.5, axis: 0 },
  }, "columns half way into a band of norms"),
  constraint("non_neg", { class_name: "NonNeg", config: {} }, "negative weights become 0"),
  constraint("unit_norm", { class_name: "UnitNorm", config: { axis: 0 } }, "columns of norm 1"),
  whole("dense_dotted_names", "Dense", "dots and slashes in a layer's name",
    sequential([3], layer("Dense", { units: 4 }, "features.0/proj-1")), [[3]]),

  one("Embedding", "ids", "one row for each id", { input_dim: 7, output_dim: 3 }, ids([5], 7)),
  one("Embedding", "int32_ids", "ids given as int32", { input_dim: 7, output_dim: 3 },
    ids([5], 7, { stored: "int32" })),
  one("Embedding", "fractional_ids", "ids lose their fraction", { input_dim: 7, output_dim: 3 },
    { shape: [5], low: 0, high: 6.99 }),
  one("Embedding", "rank3", "ids of rank 3", { input_dim: 7, output_dim: 3 }, ids([2, 4], 7)),
  one("Embedding", "input_length", "with input_length", { input_dim: 7, output_dim: 2, input_length: 4 }, ids([4], 7)),
  one("Embedding", "mask_zero", "mask_zero alone changes no number", { input_dim: 7, output_dim: 3, mask_zero: true },
    ids([5], 3)),
  one("Embedding", "no_shape", "without a shape: any number of ids", { input_dim: 7, output_dim: 3 }, ids([5], 7), {
    edit: without("batch_input_shape"),
  }),
  one("Embedding", "open_length", "the number of ids left open", {
    input_dim: 7, output_dim: 3, batch_input_shape: [null, null],
  }, ids([5], 7)),

  one("Masking", "zero", "steps of zeros", {}, blanks),
  one("Masking", "value", "steps that hold another value", { mask_value: -2 },
    { shape: [5, 3], blank: { value: -2, steps: [[1, 4], [0]] } }),
  one("Masking", "rank4", "one step is a vector of the last axis", { mask_value: 0 },
    { shape: [2, 3, 2], blank: { value: 0, steps: [[1], [0]] } }),
  one("Masking", "missing_value", "mask_value left away", {}, blanks, { edit: without("mask_value") }),

  whole("input_layer_in_sequential", "InputLayer", "an explicit InputLayer",
    sequential([3], layer("InputLayer", { dtype: "float32", sparse: false }, "fed"), layer("Dense", { units: 2 })),
    [[3]]),
];
