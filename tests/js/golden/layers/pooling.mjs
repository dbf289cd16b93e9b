// Max and average pooling, over windows and over everything.
import { adding, one, without } from "./topology.mjs";

const spelled = (value) => [value].flat().join("x");

const windows = (classes, rows, channels) =>
  classes.flatMap((class_name) =>
    rows.map(([padding, size, pool_size, strides]) => {
      const parts = [padding, `n${spelled(size)}`, `p${spelled(pool_size)}`, `s${spelled(strides ?? "none")}`];
      return one(class_name, parts.join("_"), `${padding} padding, ${parts.slice(1).join(", ")}`,
        { padding, pool_size, strides: strides ?? null }, [...[size].flat(), channels]);
    }));

const ROWS_1D = [
  ["valid", 8, 2], ["valid", 7, 3, 2], ["valid", 9, 2, 3], ["same", 7, 2], ["same", 8, 3, 2], ["same", 7, 4, 3],
  ["same", 6, 3, 1],
];
const ROWS_2D = [
  ["valid", [5, 6], [2, 2]], ["valid", [6, 7], [3, 2], [2, 1]], ["valid", [7, 6], [2, 2], [3, 3]],
  ["same", [5, 6], [2, 2]], ["same", [6, 6], [3, 3], [2, 2]], ["same", [5, 7], [3, 2], [1, 3]],
  ["same", [7, 4], [4, 3], [3, 2]], ["same", [4, 5], [3, 3], [1, 1]], ["same", [5, 4], [1, 2], [2, 3]],
];
const ROWS_3D = [
  ["valid", [4, 5, 4], [2, 2, 2]], ["valid", [5, 4, 4], [3, 2, 1], [2, 1, 2]], ["same", [3, 5, 4], [2, 2, 2]],
  ["same", [4, 4, 5], [3, 3, 2], [2, 2, 1]],
];
const SHIFTED = "with strides beyond the window tf.js shifts 3-D windows where Keras does not";
const POOLS = { 1: ["MaxPooling1D", "AveragePooling1D"], 2: ["MaxPooling2D", "AveragePooling2D"],
  3: ["MaxPooling3D", "AveragePooling3D"] };
const FIRST = { data_format: "channels_first" };
const GLOBAL_1D = ["GlobalMaxPooling1D", "GlobalAveragePooling1D"];
const GLOBAL_2D = ["GlobalMaxPooling2D", "GlobalAveragePooling2D"];

export const pooling = [
  ...windows(POOLS[1], ROWS_1D, 3),
  ...windows(POOLS[2], ROWS_2D, 2),
  ...windows(POOLS[3], ROWS_3D, 2),
  ...POOLS[1].flatMap((name) => [
    one(name, "missing_keys", "a window of 2, strides as the window", {}, [7, 3],
      { edit: without("pool_size", "strides", "padding") }),
    one(name, "channels_first", "data_format channels_first", { pool_size: 2 }, [6, 5], {
      edit: adding(FIRST), quirk: "tf.js pools along axis 1 all the same",
    }),
  ]),
  ...POOLS[2].flatMap((name) => [
    one(name, "missing_keys", "a window of 2 by 2, strides as the window", {}, [5, 6, 2],
      { edit: without("pool_size", "strides", "padding", "data_format") }),
    one(name, "scalars", "single numbers for both axes", { pool_size: 3, strides: 2 }, [7, 6, 2],
      { edit: adding({ pool_size: 3, strides: 2 }) }),
    one(name, "channels_first", "channels before the image", { pool_size: [2, 3], ...FIRST }, [2, 5, 6]),
    one(name, "channels_first_same", "channels before the image, same padding",
      { pool_size: [3, 2], strides: [2, 2], padding: "same", ...FIRST }, [2, 6, 5]),
  ]),
  ...POOLS[3].flatMap((name) => [
    one(name, "missing_keys", "a window of 2 on every axis", {}, [4, 5, 4, 2],
      { edit: without("pool_size", "strides", "padding", "data_format") }),
    one(name, "channels_first", "channels before the volume", { pool_size: [2, 1, 2], ...FIRST }, [2, 4, 3, 5]),
    one(name, "same_n6_p2_s3", "same padding with strides beyond the window",
      { pool_size: 2, strides: 3, padding: "same" }, [6, 5, 6, 2], { quirk: SHIFTED }),
  ]),
  ...GLOBAL_1D.flatMap((name) => [
    one(name, "", "over all steps", {}, [5, 3]),
    one(name, "channels_first", "data_format channels_first", {}, [5, 3], {
      edit: adding(FIRST), quirk: "tf.js pools along axis 1 all the same",
    }),
    one(name, "keepdims", "keepdims true", {}, [5, 3], {
      edit: adding({ keepdims: true }), quirk: "tf.js drops the axes all the same",
    }),
  ]),
  ...GLOBAL_2D.flatMap((name) => [
    one(name, "", "over the image", {}, [4, 5, 3]),
    one(name, "channels_first", "channels before the image", FIRST, [3, 4, 5]),
    one(name, "keepdims", "keepdims true", {}, [4, 5, 3], {
      edit: adding({ keepdims: true }), quirk: "tf.js drops the axes all the same",
    }),
  ]),
];
