// Layers with several inputs.
import { joined, without } from "./topology.mjs";

const POINTWISE = ["Add", "Multiply", "Average", "Maximum", "Minimum"];
const FRONT = "tf.js puts the missing axes of a lower rank at axis 1, not in front";

const pointwise = POINTWISE.flatMap((name) => [
  joined(name, "two", "two inputs", {}, [[4], [4]]),
  joined(name, "three", "three inputs of rank 4", {}, [[2, 3, 2], [2, 3, 2], [2, 3, 2]]),
  joined(name, "broadcast", "a length of 1 is repeated", {}, [[3, 4], [1, 4], [3, 1]]),
  joined(name, "ranks", "ranks 3 and 2", {}, [[3, 4], [4]], { quirk: FRONT }),
  joined(name, "ranks_three", "ranks 2, 4 and 3", {}, [[3], [2, 4, 3], [4, 3]], { quirk: FRONT }),
]);

const NEGATIVE = "tf.js joins along the last axis, whatever the negative axis; only the declared shape differs";

const concatenate = [
  joined("Concatenate", "two", "the last axis", {}, [[3], [4]]),
  joined("Concatenate", "missing_axis", "without the key: the last axis", {}, [[3], [4]], { edit: without("axis") }),
  joined("Concatenate", "three_rank3", "three inputs", { axis: -1 }, [[2, 3], [2, 1], [2, 4]]),
  joined("Concatenate", "axis1", "axis 1 of rank 3", { axis: 1 }, [[2, 3], [4, 3]]),
  joined("Concatenate", "axis2_rank4", "axis 2 of rank 4", { axis: 2 }, [[2, 3, 2], [2, 1, 2]]),
  joined("Concatenate", "axis3_rank4", "axis 3 of rank 4", { axis: 3 }, [[2, 3, 2], [2, 3, 3]]),
  joined("Concatenate", "axis1_three", "axis 1, three inputs of rank 4", { axis: 1 },
    [[1, 2, 2], [2, 2, 2], [3, 2, 2]]),
  joined("Concatenate", "axis_minus2", "axis -2 of rank 3", { axis: -2 }, [[2, 3], [2, 3]], { quirk: NEGATIVE }),
  joined("Concatenate", "axis_minus3", "axis -3 of rank 4", { axis: -3 }, [[2, 3, 2], [2, 3, 2]], { quirk: NEGATIVE }),
];

const DIVISOR = "tf.js takes sums of squares below 1e-7 as 1e-7, Keras below 1e-12";

const dot = [
  joined("Dot", "vectors", "rank 2 with rank 2", { axes: 1 }, [[4], [4]]),
  joined("Dot", "vectors_last", "axes -1", { axes: -1 }, [[4], [4]]),
  joined("Dot", "vectors_normalized", "the cosine", { axes: 1, normalize: true }, [[4], [4]]),
  joined("Dot", "vectors_tiny", "the cosine of tiny vectors", { axes: -1, normalize: true },
    [{ shape: [4], low: -1e-4, high: 1e-4 }, [4]], { quirk: DIVISOR }),
  joined("Dot", "axes2", "both over axis 2", { axes: 2 }, [[3, 4], [2, 4]]),
  joined("Dot", "axes1_rank3", "both over axis 1", { axes: 1 }, [[3, 4], [3, 2]]),
  joined("Dot", "axes_pair", "axis 2 with axis 1", { axes: [2, 1] }, [[3, 4], [4, 2]]),
  joined("Dot", "axes_pair_swapped", "axis 1 with axis 2", { axes: [1, 2] }, [[4, 3], [2, 4]]),
  joined("Dot", "axes_negative_pair", "axes counted from the end", { axes: [-1, -2] }, [[3, 4], [4, 2]]),
  joined("Dot", "rank3_normalized", "rank 3, normalised", { axes: [2, 1], normalize: true }, [[3, 4], [4, 2]]),
  joined("Dot", "axes2_normalized", "both over axis 2, normalised", { axes: 2, normalize: true }, [[3, 4], [2, 4]]),
  joined("Dot", "rank3_with_rank2", "rank 3 with rank 2", { axes: [2, 1] }, [[3, 4], [4]]),
  joined("Dot", "rank2_with_rank3", "rank 2 with rank 3", { axes: [1, 2] }, [[4], [3, 4]]),
  joined("Dot", "rank2_with_rank3_axis1", "rank 2 with axis 1 of rank 3", { axes: [1, 1] }, [[4], [4, 3]]),
];

export const merging = [...pointwise, ...concatenate, ...dot];
