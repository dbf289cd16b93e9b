// Every convolution: window sizes, strides, padding, dilation, data formats.
import { adding, configured, one, without } from "./topology.mjs";

const FIRST = { data_format: "channels_first" };
const spelled = (value) => [value].flat().join("x");
const words = ({ padding, kernel_size, strides = 1, dilation_rate = 1 }, size) =>
  [padding, `n${spelled(size)}`, `k${spelled(kernel_size)}`, `s${spelled(strides)}`]
    .concat(spelled(dilation_rate) === "1" ? [] : [`d${spelled(dilation_rate)}`]);

/** A case for each row [padding, size, kernel, stride, dilation] of a geometry table. */
const geometry = (class_name, rows, channels, common) =>
  rows.map(([padding, size, kernel_size, strides = 1, dilation_rate = 1]) => {
    const config = { padding, kernel_size, strides, ...common };
    if (dilation_rate !== 1) config.dilation_rate = dilation_rate;
    const parts = words(config, size);
    return one(class_name, parts.join("_"), `${parts[0]} padding, ${parts.slice(1).join(", ")}`, config,
      [...[size].flat(), channels]);
  });

const ROWS_1D = [
  ["valid", 7, 3], ["valid", 8, 2], ["valid", 8, 3, 2], ["valid", 9, 2, 3], ["valid", 9, 3, 1, 2],
  ["same", 7, 3], ["same", 7, 2], ["same", 8, 3, 2], ["same", 7, 3, 2], ["same", 8, 4, 3], ["same", 7, 1, 3],
  ["same", 8, 2, 1, 3], ["same", 7, 5],
];
const ROWS_2D = [
  ["valid", [5, 6], [3, 2]], ["valid", [6, 7], [2, 3], [2, 1]], ["valid", [7, 8], [3, 3], [3, 2]],
  ["valid", [8, 7], [3, 2], 1, [2, 3]], ["valid", [4, 5], [1, 1]],
  ["same", [5, 6], [3, 3]], ["same", [5, 6], [2, 4]], ["same", [6, 6], [3, 3], [2, 2]],
  ["same", [5, 7], [3, 3], [2, 2]],
  ["same", [6, 5], [3, 2], [3, 1]], ["same", [7, 8], [2, 5], [3, 3]], ["same", [5, 6], [1, 1], [2, 2]],
  ["same", [7, 6], [3, 3], 1, [2, 2]], ["same", [6, 7], [2, 3], 1, [3, 1]], ["same", [3, 4], [5, 5], [2, 2]],
];
const ROWS_3D = [
  ["valid", [4, 5, 3], [2, 3, 1]], ["valid", [5, 4, 5], [2, 2, 3], [2, 1, 2]],
  ["valid", [5, 4, 4], [2, 2, 2], 1, [2, 1, 3]],
  ["same", [3, 4, 5], [3, 2, 3]], ["same", [4, 5, 4], [3, 3, 2], [2, 2, 2]],
  ["same", [5, 4, 3], [2, 2, 2], 1, [2, 2, 1]],
];
const ROWS_2D_TRANSPOSE = [
  ["valid", [3, 4], [3, 2]], ["valid", [3, 4], [3, 3], [2, 2]], ["valid", [3, 2], [2, 2], [3, 3]],
  ["valid", [2, 3], [4, 5], [2, 1]], ["valid", [3, 4], [1, 2], [2, 3]],
  ["same", [3, 4], [3, 3]], ["same", [3, 4], [2, 4]], ["same", [3, 4], [3, 3], [2, 2]],
  ["same", [3, 2], [4, 4], [2, 2]],
  ["same", [3, 2], [2, 2], [3, 3]], ["same", [2, 3], [1, 1], [2, 3]], ["same", [2, 3], [5, 2], [2, 1]],
  ["same", [3, 3], [5, 4], [2, 3]],
];
const ROWS_3D_TRANSPOSE = [
  ["valid", [2, 3, 2], [2, 3, 1]], ["valid", [2, 2, 3], [3, 2, 2], [2, 1, 3]],
  ["same", [2, 3, 2], [3, 2, 3]], ["same", [2, 2, 3], [3, 4, 2], [2, 2, 2]],
];
const ROWS_DEPTHWISE = [
  ["valid", [5, 6], [3, 2]], ["valid", [7, 6], [2, 2], [2, 2]], ["same", [5, 6], [3, 3]], ["same", [6, 5], [2, 4]],
  ["same", [6, 7], [3, 3], [2, 2]], ["same", [7, 7], [2, 2], [3, 3]],
];
const ROWS_SEPARABLE = [...ROWS_DEPTHWISE, ["valid", [7, 8], [2, 3], 1, [3, 2]], ["same", [6, 5], [3, 2], 1, [2, 2]]];

// tf.js' own 3-D padding may be negative: where the stride is larger than the window.
const SHIFTED = { quirk: "with strides beyond the window tf.js shifts 3-D windows where Keras does not" };
const shifted3d = (class_name, suffix, config, shape) =>
  one(class_name, suffix, "same padding with strides beyond the window", { filters: 2, padding: "same", ...config },
    shape, SHIFTED);

const options = (class_name, base, shape, firstShape) => [
  one(class_name, "no_bias", "without bias", { ...base, use_bias: false }, shape),
  one(class_name, "relu", "with an activation inside", { ...base, activation: "relu" }, shape),
  one(class_name, "tanh_no_bias", "an activation and no bias", { ...base, activation: "tanh", use_bias: false }, shape),
  one(class_name, "channels_first", "channels before the image", { ...base, ...FIRST }, firstShape),
  one(class_name, "channels_first_same_strides", "channels before the image, same padding, strides",
    { ...base, ...FIRST, padding: "same", strides: 2, activation: "relu" }, firstShape),
];

export const convolutional = [
  ...geometry("Conv1D", ROWS_1D, 3, { filters: 4 }),
  one("Conv1D", "no_bias", "without bias", { filters: 4, kernel_size: 3, use_bias: false }, [7, 3]),
  one("Conv1D", "relu", "with an activation inside", { filters: 4, kernel_size: 3, activation: "relu" }, [7, 3]),
  one("Conv1D", "missing_keys", "strides, padding and dilation left away", { filters: 4, kernel_size: 3 }, [7, 3],
    { edit: without("strides", "padding", "dilation_rate", "activation", "use_bias") }),
  one("Conv1D", "channels_first", "channels before the steps",
    { filters: 4, kernel_size: 3, data_format: "channels_first" }, [3, 7], {
      edit: adding({ data_format: "channels_first" }),
      quirk: "tf.js moves the channels last and never back",
    }),

  ...geometry("Conv2D", ROWS_2D, 3, { filters: 4 }),
  ...options("Conv2D", { filters: 4, kernel_size: [3, 2] }, [5, 6, 3], [3, 5, 6]),
  one("Conv2D", "softmax", "softmax over the filters", { filters: 4, kernel_size: 2, activation: "softmax" },
    [4, 3, 2]),
  one("Conv2D", "scalars", "kernel_size and strides as single numbers", { filters: 3, kernel_size: 3, strides: 2 },
    [6, 7, 2], { edit: adding({ kernel_size: 3, strides: 2, dilation_rate: 1 }) }),
  one("Conv2D", "missing_keys", "strides, padding, data_format and dilation left away",
    { filters: 3, kernel_size: [2, 3] }, [5, 6, 2],
    { edit: without("strides", "padding", "data_format", "dilation_rate", "activation", "use_bias") }),
  one("Conv2D", "camel_case", "keys as JavaScript spells them",
    { filters: 3, kernel_size: [2, 3], use_bias: false, strides: 2 }, [5, 6, 2], {
      edit: configured((config) => {
        const spelled = { kernel_size: "kernelSize", use_bias: "useBias", data_format: "dataFormat" };
        for (const [key, name] of Object.entries(spelled)) {
          config[name] = config[key];
          delete config[key];
        }
      }),
    }),
  one("Conv2D", "open_size", "height and width left open",
    { filters: 3, kernel_size: 3, strides: 2, padding: "same", batch_input_shape: [null, null, null, 2] }, [5, 6, 2]),
  one("Conv2D", "kernel_constraint", "a constraint over the last axis", { filters: 3, kernel_size: 2 }, [4, 5, 2], {
    edit: adding({ kernel_constraint: { class_name: "MaxNorm", config: { max_value: 0.5, axis: 3 } } }),
    quirk: "a constraint in the file changes the weights while they are loaded",
  }),

  ...geometry("Conv3D", ROWS_3D, 2, { filters: 3 }),
  ...options("Conv3D", { filters: 3, kernel_size: [2, 3, 2] }, [3, 4, 3, 2], [2, 3, 4, 3]),
  shifted3d("Conv3D", "same_n4_k1_s2", { kernel_size: 1, strides: 2 }, [4, 4, 5, 2]),
  shifted3d("Conv3D", "same_n6_k2_s3", { kernel_size: 2, strides: 3 }, [6, 5, 7, 2]),
  shifted3d("Conv3D", "same_n6_k1_s3", { kernel_size: [1, 2, 1], strides: [3, 3, 2] }, [6, 6, 4, 2]),

  ...geometry("Conv2DTranspose", ROWS_2D_TRANSPOSE, 3, { filters: 4 }),
  ...options("Conv2DTranspose", { filters: 4, kernel_size: [3, 2] }, [3, 4, 3], [3, 3, 4]),
  one("Conv2DTranspose", "keras_keys", "output_padding and dilation_rate",
    { filters: 3, kernel_size: 3, strides: 2, padding: "same" }, [3, 4, 2], {
      edit: adding({ output_padding: [0, 0], dilation_rate: [2, 2] }),
      quirk: "tf.js does not look at these keys",
    }),
  one("Conv2DTranspose", "missing_keys", "strides, padding and data_format left away", { filters: 3, kernel_size: 3 },
    [3, 4, 2], { edit: without("strides", "padding", "data_format", "activation", "use_bias") }),

  ...geometry("Conv3DTranspose", ROWS_3D_TRANSPOSE, 2, { filters: 3 }),
  ...options("Conv3DTranspose", { filters: 3, kernel_size: [2, 3, 2] }, [2, 3, 2, 2], [2, 2, 3, 2]),
  shifted3d("Conv3DTranspose", "same_n3_k1_s2", { kernel_size: 1, strides: 2 }, [3, 2, 2, 2]),
  shifted3d("Conv3DTranspose", "same_n2_k2_s3", { kernel_size: 2, strides: 3 }, [2, 3, 2, 2]),

  ...geometry("DepthwiseConv2D", ROWS_DEPTHWISE, 3, {}),
  ...options("DepthwiseConv2D", { kernel_size: [3, 2] }, [5, 6, 3], [3, 5, 6]),
  one("DepthwiseConv2D", "multiplier2", "two outputs a channel", { kernel_size: [2, 3], depth_multiplier: 2 },
    [4, 5, 3]),
  one("DepthwiseConv2D", "multiplier3_same", "three outputs a channel, strides",
    { kernel_size: 3, depth_multiplier: 3, padding: "same", strides: 2, activation: "relu" }, [5, 6, 2]),
  one("DepthwiseConv2D", "multiplier2_channels_first", "two outputs a channel, channels first",
    { kernel_size: [2, 3], depth_multiplier: 2, data_format: "channels_first" }, [3, 4, 5]),
  one("DepthwiseConv2D", "dilation", "a dilation of 2", { kernel_size: 3, dilation_rate: [2, 2] }, [6, 7, 2], {
    quirk: "tf.js convolves without the dilation",
  }),
  one("DepthwiseConv2D", "dilation_same", "a dilation of 2 with same padding",
    { kernel_size: 3, dilation_rate: [2, 2], padding: "same" }, [6, 7, 2], {
      quirk: "tf.js convolves without the dilation",
    }),
  one("DepthwiseConv2D", "missing_keys", "all that has a default left away", { kernel_size: [2, 3] }, [4, 5, 2],
    { edit: without("strides", "padding", "data_format", "dilation_rate", "depth_multiplier", "activation",
      "use_bias") }),

  ...geometry("SeparableConv2D", ROWS_SEPARABLE, 3, { filters: 4 }),
  one("SeparableConv2D", "no_bias", "without bias", { filters: 4, kernel_size: [3, 2], use_bias: false }, [5, 6, 3]),
  one("SeparableConv2D", "relu", "with an activation inside",
    { filters: 4, kernel_size: [3, 2], activation: "relu" }, [5, 6, 3]),
  one("SeparableConv2D", "channels_first_no_bias", "channels before the image, no bias",
    { filters: 4, kernel_size: [3, 2], data_format: "channels_first", use_bias: false, strides: 2 }, [3, 5, 6]),
  one("SeparableConv2D", "channels_first_bias", "channels before the image, as many rows as filters",
    { filters: 4, kernel_size: 3, data_format: "channels_first", padding: "same" }, [3, 4, 5], {
      quirk: "tf.js adds the bias along the height",
    }),
  one("SeparableConv2D", "multiplier2", "two outputs a channel before the mixing",
    { filters: 4, kernel_size: 3, depth_multiplier: 2 }, [5, 6, 3], {
      edit: adding({ depth_multiplier: 2 }),
      about: "two outputs a channel before the mixing; tf.js loads this key but never writes it",
    }),
];
