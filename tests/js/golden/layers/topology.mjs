// Short forms for the tables of cases: topologies, and cases around a single layer.

export const layer = (class_name, config, name = "tested") => ({ class_name, config: { name, ...config } });

/** A Sequential whose first layer takes `shape` (without the batch). */
export function sequential(shape, ...layers) {
  const [first, ...rest] = layers;
  const fed = { ...first, config: { batch_input_shape: [null, ...shape], ...first.config } };
  return { class_name: "Sequential", config: { name: "net", layers: [fed, ...rest] } };
}

/** One call of a functional model's layer on ["name"] or ["name", node, tensor] references. */
export const on = (...references) =>
  references.map((reference) => {
    const [name, node = 0, tensor = 0] = [reference].flat();
    return [name, node, tensor, {}];
  });

/** A layer of a functional model, with one `on(...)` for each of its calls. */
export const called = ({ class_name, config }, ...calls) => ({
  class_name, name: config.name, config, inbound_nodes: calls,
});

export const input = (name, shape, more = {}) =>
  called(layer("InputLayer", { batch_input_shape: [null, ...shape], dtype: "float32", sparse: false, ...more }, name));

/** A functional model; `inputs` and `outputs` are references as in `on`. */
export function functional(inputs, layers, outputs, name = "net") {
  const references = (all) => on(...all).map(([layerName, node, tensor]) => [layerName, node, tensor]);
  return {
    class_name: "Model",
    config: { name, layers, input_layers: references(inputs), output_layers: references(outputs) },
  };
}

// MaxPooling2D -> max_pooling2d, Conv2DTranspose -> conv2d_transpose, LeakyReLU -> leaky_relu
const words = (class_name) =>
  class_name.replace("ReLU", "Relu").replace(/(?<=[a-z]|\dD)([A-Z])/g, "_$1").toLowerCase();
const named = (class_name, suffix) => [words(class_name), suffix].filter(Boolean).join("_");
const asInput = (given) => (Array.isArray(given) ? { shape: given } : given);

/** A case of one layer in a Sequential: `given` is its input's shape, or {shape, low, high, ...}. */
export const one = (class_name, suffix, about, config, given, more = {}) => ({
  name: named(class_name, suffix),
  layer: class_name,
  about,
  topology: sequential(asInput(given).shape, layer(class_name, config)),
  inputs: [asInput(given)],
  ...more,
});

/** A case of one layer that joins several inputs. */
export const joined = (class_name, suffix, about, config, given, more = {}) => {
  const inputs = given.map(asInput);
  const names = inputs.map((_, i) => "abc"[i]);
  return {
    name: named(class_name, suffix),
    layer: class_name,
    about,
    topology: functional(
      names,
      [...inputs.map(({ shape }, i) => input(names[i], shape)), called(layer(class_name, config), on(...names))],
      ["tested"],
    ),
    inputs,
    ...more,
  };
};

/** A case around a whole topology. */
export const whole = (name, class_name, about, topology, given, more = {}) => ({
  name, layer: class_name, about, topology, inputs: given.map(asInput), ...more,
});

/** Changes the config of one layer, wherever it is, in a document that tf.js has saved. */
export const configured = (change, name = "tested") => (document) => {
  const visit = (value) => {
    if (value === null || typeof value !== "object") return;
    if (value.class_name && value.config?.name === name) change(value.config, value);
    Object.values(value).forEach(visit);
  };
  visit(document.modelTopology);
};

/** Adds keys to the config of the layer in question after tf.js has saved it. */
export const adding = (keys, name) => configured((config) => Object.assign(config, keys), name);

/** Leaves keys of the config away, as older writers do. */
export const without = (...keys) => configured((config) => keys.forEach((key) => delete config[key]));
