// All tables of cases, by the folder that Keras keeps such layers in.
import { activations } from "./activations.mjs";
import { convolutional } from "./convolutional.mjs";
import { core } from "./core.mjs";
import { merging } from "./merging.mjs";
import { models } from "./models.mjs";
import { normalization } from "./normalization.mjs";
import { pooling } from "./pooling.mjs";
import { preprocessing } from "./preprocessing.mjs";
import { recurrent } from "./recurrent.mjs";
import { regularization } from "./regularization.mjs";
import { reshaping } from "./reshaping.mjs";
import { wrappers } from "./wrappers.mjs";

export const FAMILIES = {
  core, activations, convolutional, pooling, normalization, merging, reshaping, regularization, recurrent, wrappers,
  preprocessing, models,
};
