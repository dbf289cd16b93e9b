// Layers that do something in training only: predict hands the input on.
import { one } from "./topology.mjs";

const same = (class_name, suffix, config, shape) => one(class_name, suffix, "hands its input on", config, shape);

export const regularization = [
  same("Dropout", "", { rate: 0.5 }, [6]),
  same("Dropout", "noise_shape", { rate: 0.3, noise_shape: [null, 1, 3], seed: 7 }, [4, 3]),
  same("Dropout", "rate_zero", { rate: 0 }, [6]),
  same("SpatialDropout1D", "", { rate: 0.5 }, [4, 3]),
  same("GaussianNoise", "", { stddev: 0.5 }, [6]),
  same("GaussianDropout", "", { rate: 0.5 }, [4, 3]),
  same("AlphaDropout", "", { rate: 0.5 }, [6]),
  same("AlphaDropout", "noise_shape", { rate: 0.5, noise_shape: [null, 1] }, [6]),
];
