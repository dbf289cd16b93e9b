// Layers that prepare inputs. Inside of a LayersModel most of them throw at predict, so these cases hold
// what the loaded layer makes of tensors by itself (`alone`).
import { tf } from "../../tfjs.mjs";
import { configured, one, without } from "./topology.mjs";

const ALONE = "tf.js throws when a model with this layer predicts; made with layer.apply(tensor)";
const alone = (class_name, suffix, about, config, given, more = {}) =>
  one(class_name, suffix, `${about}; ${ALONE}`, config, given, { alone: true, ...more });
const ids = (shape, high) => ({ shape, low: 0, high, integer: true });
const image = (...shape) => ({ shape, low: 0, high: 8 });
const CORNERS = "tf.js aligns corners unless crop_to_aspect_ratio is set, and never crops; Keras has half pixels";

// tf.js cannot even build a model around this layer, so its topology is written by hand.
const randomWidth = (suffix, about, config, given) => ({
  ...one("Activation", suffix, `${about}; tf.js cannot load a model with this layer; made with layer.apply(tensor)`, {},
    given),
  name: `random_width_${suffix}`,
  layer: "RandomWidth",
  edit: configured((keys, node) => {
    node.class_name = "RandomWidth";
    delete keys.activation;
    Object.assign(keys, config);
  }),
  alone: () => tf.layers.randomWidth({ name: "tested", ...config }),
  quirk: "tf.js changes the width at inference too",
});

export const preprocessing = [
  one("Rescaling", "", "scale and offset", { scale: 0.5, offset: -1 }, image(3, 4, 2)),
  one("Rescaling", "pixels", "1/255", { scale: 1 / 255 }, { shape: [2, 3, 3], low: 0, high: 256, integer: true }),
  one("Rescaling", "arrays", "a scale and an offset for each channel", { scale: [0.5, 2, -1], offset: [1, 0, 3] },
    image(2, 3, 3)),
  one("Rescaling", "missing_offset", "without offset", { scale: 3 }, [5], { edit: without("offset") }),

  alone("CenterCrop", "even", "as much on both sides", { height: 2, width: 3 }, image(4, 5, 2)),
  alone("CenterCrop", "odd", "one more below and to the right", { height: 2, width: 3 }, image(5, 6, 2)),
  alone("CenterCrop", "one_column", "one column too many", { height: 4, width: 4 }, image(4, 5, 2), {
    quirk: "tf.js cuts the left column, Keras the right one",
  }),
  alone("CenterCrop", "one_row", "one row too many", { height: 3, width: 4 }, image(4, 4, 2)),
  alone("CenterCrop", "all", "the whole image", { height: 3, width: 4 }, image(3, 4, 2)),
  alone("CenterCrop", "larger", "larger than the image", { height: 5, width: 6 }, image(3, 4, 2), {
    quirk: "tf.js enlarges without half pixels",
  }),
  alone("CenterCrop", "higher", "higher than the image but narrower", { height: 5, width: 3 }, image(3, 5, 2), {
    quirk: "tf.js resizes both axes without half pixels",
  }),

  alone("Resizing", "larger", "bilinear, larger", { height: 5, width: 7 }, image(3, 4, 2), { quirk: CORNERS }),
  alone("Resizing", "smaller", "bilinear, smaller", { height: 2, width: 3 }, image(5, 4, 2), { quirk: CORNERS }),
  alone("Resizing", "nearest", "nearest, larger", { height: 5, width: 7, interpolation: "nearest" }, image(3, 4, 2),
    { quirk: CORNERS }),
  alone("Resizing", "nearest_smaller", "nearest, smaller", { height: 2, width: 3, interpolation: "nearest" },
    image(5, 6, 2), { quirk: CORNERS }),
  alone("Resizing", "aspect_ratio", "bilinear with crop_to_aspect_ratio",
    { height: 5, width: 7, crop_to_aspect_ratio: true }, image(3, 4, 2), { quirk: CORNERS }),
  alone("Resizing", "aspect_ratio_nearest", "nearest with crop_to_aspect_ratio",
    { height: 2, width: 5, interpolation: "nearest", crop_to_aspect_ratio: true }, image(3, 4, 2), { quirk: CORNERS }),

  alone("CategoryEncoding", "multi_hot", "which ids occur", { num_tokens: 6, output_mode: "multi_hot" }, ids([4], 6)),
  alone("CategoryEncoding", "missing_mode", "without output_mode: multi_hot", { num_tokens: 6 }, ids([4], 6),
    { edit: without("output_mode") }),
  alone("CategoryEncoding", "one_hot", "one id a row", { num_tokens: 6, output_mode: "one_hot" }, ids([1], 6)),
  alone("CategoryEncoding", "count", "how often each id occurs", { num_tokens: 4, output_mode: "count" }, ids([7], 4)),
  alone("CategoryEncoding", "int", "the ids themselves", { num_tokens: 6, output_mode: "int" }, ids([4], 6)),

  randomWidth("larger", "a width that is not random: half as much again", { factor: [0.5, 0.5] }, image(3, 4, 2)),
  randomWidth("smaller", "a width that is not random: half", { factor: [-0.5, -0.5] }, image(3, 6, 2)),
  randomWidth("nearest", "a width that is not random, nearest", { factor: [0.5, 0.5], interpolation: "nearest" },
    image(3, 4, 2)),
];
