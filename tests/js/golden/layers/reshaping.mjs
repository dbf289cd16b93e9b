// Layers that move numbers about.
import { adding, one, without } from "./topology.mjs";

const FIRST = { data_format: "channels_first" };
const LEGACY = "tf.js samples at i * old / new, without half pixels";

export const reshaping = [
  one("Flatten", "rank3", "two axes", {}, [3, 4]),
  one("Flatten", "rank4", "an image", {}, [2, 3, 2]),
  one("Flatten", "rank5", "a volume", {}, [2, 2, 3, 2]),
  one("Flatten", "channels_last", "data_format given", { data_format: "channels_last" }, [2, 3, 2]),
  one("Flatten", "channels_first", "channels go last before", FIRST, [3, 2, 4]),
  one("Flatten", "channels_first_rank3", "channels go last before, rank 3", FIRST, [3, 4]),
  one("Flatten", "channels_first_rank5", "channels go last before, rank 5", FIRST, [2, 3, 2, 2]),

  one("Reshape", "split", "one axis into three", { target_shape: [2, 3, 2] }, [12]),
  one("Reshape", "join", "an image into rows", { target_shape: [6, 2] }, [2, 3, 2]),
  one("Reshape", "rest", "-1 for what is left", { target_shape: [-1, 4] }, [2, 3, 2]),
  one("Reshape", "rest_null", "null for what is left", { target_shape: [3, null] }, [2, 3, 2]),
  one("Reshape", "flat", "to one axis", { target_shape: [12] }, [3, 4]),

  one("Permute", "swap", "axes 2 and 1", { dims: [2, 1] }, [3, 4]),
  one("Permute", "turn", "axes 3, 1, 2", { dims: [3, 1, 2] }, [2, 3, 4]),
  one("Permute", "back", "axes 2, 3, 1", { dims: [2, 3, 1] }, [2, 3, 4]),

  one("RepeatVector", "", "a vector three times", { n: 3 }, [4]),
  one("RepeatVector", "once", "a vector once", { n: 1 }, [4]),

  one("ZeroPadding2D", "", "one on every side", {}, [3, 4, 2]),
  one("ZeroPadding2D", "scalar", "a single number", { padding: 2 }, [3, 4, 2], { edit: adding({ padding: 2 }) }),
  one("ZeroPadding2D", "pair", "one number for each axis", { padding: [1, 2] }, [3, 4, 2],
    { edit: adding({ padding: [1, 2] }) }),
  one("ZeroPadding2D", "asymmetric", "four numbers", { padding: [[1, 0], [2, 3]] }, [3, 4, 2]),
  one("ZeroPadding2D", "channels_first", "channels before the image", { padding: [[0, 1], [2, 1]], ...FIRST },
    [2, 3, 4]),
  one("ZeroPadding2D", "missing_keys", "without keys: one on every side", {}, [3, 4, 2],
    { edit: without("padding", "data_format") }),

  one("Cropping2D", "asymmetric", "four numbers", { cropping: [[1, 0], [2, 1]] }, [4, 6, 2]),
  one("Cropping2D", "scalar", "a single number", { cropping: 1 }, [4, 5, 2], { edit: adding({ cropping: 1 }) }),
  one("Cropping2D", "pair", "one number for each axis", { cropping: [1, 2] }, [4, 6, 2],
    { edit: adding({ cropping: [1, 2] }) }),
  one("Cropping2D", "channels_first", "channels before the image", { cropping: [[0, 1], [2, 1]], ...FIRST }, [2, 4, 6]),
  one("Cropping2D", "nothing", "nothing is cut", { cropping: [[0, 0], [0, 0]] }, [3, 4, 2]),

  one("UpSampling2D", "", "twice as large", {}, [2, 3, 2]),
  one("UpSampling2D", "nearest", "2 by 3", { size: [2, 3] }, [3, 2, 2]),
  one("UpSampling2D", "missing_keys", "without keys", {}, [2, 3, 2],
    { edit: without("size", "data_format", "interpolation") }),
  one("UpSampling2D", "bilinear", "bilinear, 2 by 2", { interpolation: "bilinear" }, [3, 4, 2], { quirk: LEGACY }),
  one("UpSampling2D", "bilinear_3x2", "bilinear, 3 by 2", { size: [3, 2], interpolation: "bilinear" }, [2, 3, 2],
    { quirk: LEGACY }),
  one("UpSampling2D", "channels_first", "channels before the image", { size: [2, 3], ...FIRST }, [2, 3, 2]),
  one("UpSampling2D", "channels_first_bilinear", "bilinear, channels before the image",
    { size: [3, 2], interpolation: "bilinear", ...FIRST }, [2, 2, 3], { quirk: LEGACY }),
];
