// BatchNormalization and LayerNormalization.
import { adding, configured, one, without } from "./topology.mjs";

const wide = (...shape) => ({ shape, low: -3, high: 3 });

// The cpu backend repeats the statistics along the last axis, whatever the axis. The truth for axis 1 is
// therefore a model of the last axis on inputs whose axes are moved.
const moved = (to, back) => ({
  instead: {
    edit: configured((config) => {
      config.axis = -1;
      config.batch_input_shape = to.map((axis) => config.batch_input_shape[axis]);
    }),
    inputs: to,
    outputs: back,
  },
});

export const normalization = [
  one("BatchNormalization", "rank2", "over features", {}, wide(4)),
  one("BatchNormalization", "rank3", "over the last of three axes", {}, wide(5, 3)),
  one("BatchNormalization", "rank4", "over channels", {}, wide(3, 4, 2)),
  one("BatchNormalization", "no_scale", "without gamma", { scale: false }, wide(3, 4, 2)),
  one("BatchNormalization", "no_center", "without beta", { center: false }, wide(3, 4, 2)),
  one("BatchNormalization", "statistics_only", "neither gamma nor beta", { center: false, scale: false }, wide(4)),
  one("BatchNormalization", "epsilon", "another epsilon", { epsilon: 0.5 }, wide(3, 4, 2)),
  one("BatchNormalization", "epsilon_small", "an epsilon of 1e-5", { epsilon: 1e-5, momentum: 0.9 }, wide(4)),
  one("BatchNormalization", "axis3", "axis 3 of rank 4", { axis: 3 }, wide(3, 4, 2)),
  one("BatchNormalization", "axis_listed", "a list of one axis", { axis: 3 }, wide(3, 4, 2),
    { edit: adding({ axis: [3] }) }),
  one("BatchNormalization", "missing_keys", "nothing but the shape", {}, wide(4),
    { edit: without("axis", "epsilon", "momentum", "center", "scale") }),
  one("BatchNormalization", "keras_keys", "renorm, fused and synchronized", {}, wide(3, 4, 2), {
    edit: adding({ renorm: true, fused: true, virtual_batch_size: 2, synchronized: false }),
    quirk: "tf.js does not look at these keys",
  }),
  one("BatchNormalization", "axis1_rank4",
    "over channels that come first; made on moved axes, for the cpu backend is wrong here", { axis: 1 }, wide(3, 4, 5),
    moved([0, 2, 3, 1], [0, 3, 1, 2])),
  one("BatchNormalization", "axis1_rank3",
    "over axis 1 of 3; made on moved axes, for the cpu backend is wrong here", { axis: 1 }, wide(4, 5),
    moved([0, 2, 1], [0, 2, 1])),
  one("BatchNormalization", "axis2_rank4",
    "over the width; made on moved axes, for the cpu backend is wrong here", { axis: 2 }, wide(3, 4, 5),
    moved([0, 1, 3, 2], [0, 1, 3, 2])),

  one("LayerNormalization", "rank2", "over the features", {}, wide(5)),
  one("LayerNormalization", "rank3", "over the last axis", {}, wide(3, 5)),
  one("LayerNormalization", "rank4", "over the last axis", {}, wide(2, 3, 4)),
  one("LayerNormalization", "axes", "over the last two axes", { axis: [1, 2] }, wide(3, 4)),
  one("LayerNormalization", "axes_of_rank4", "over all but the batch", { axis: [1, 2, 3] }, wide(2, 3, 4)),
  one("LayerNormalization", "axis1", "over axis 1 of rank 3", { axis: 1 }, wide(3, 4)),
  one("LayerNormalization", "axis1_rank4", "over axis 1 of rank 4", { axis: [1] }, wide(2, 3, 4)),
  one("LayerNormalization", "axes_apart", "over axes 1 and 3", { axis: [1, 3] }, wide(2, 3, 4)),
  one("LayerNormalization", "axes_reversed", "axes in falling order, as many entries on both", { axis: [2, 1] },
    wide(3, 3)),
  one("LayerNormalization", "epsilon", "another epsilon", { epsilon: 0.5 }, wide(3, 5)),
  one("LayerNormalization", "no_scale", "without gamma", { scale: false }, wide(3, 5)),
  one("LayerNormalization", "no_center", "without beta", { center: false }, wide(3, 5)),
  one("LayerNormalization", "plain", "neither gamma nor beta", { center: false, scale: false }, wide(3, 5)),
  one("LayerNormalization", "missing_keys", "nothing but the shape", {}, wide(3, 5),
    { edit: without("axis", "epsilon", "center", "scale") }),
];
