// Small models built as Teachable Machine builds its own, with random weights, and what tf.js makes of a picture.
import { Random } from "../random.mjs";
import { tf } from "../tfjs.mjs";

const { layers } = tf;
const TIMES = { timeStamp: "2020-05-04T12:00:00.000Z", userMetadata: {} };

/** The colours of the one picture of all cases; tests/test_teachable.py paints it again. */
export const pixel = (i) => (i * 7919) % 251;

const head = (features, units) => tf.sequential({
  layers: [
    layers.dense({ inputShape: [features], units: 10, activation: "relu", kernelInitializer: "varianceScaling" }),
    layers.dense({ units, activation: "softmax", kernelInitializer: "varianceScaling", useBias: false }),
  ],
});

function joint(base, features, units) {
  const truncated = tf.sequential();
  truncated.add(base);
  truncated.add(layers.globalAveragePooling2d({}));
  const model = tf.sequential();
  model.add(truncated);
  model.add(head(features, units));
  return model;
}

/** A corner of MobileNetV2: padding of one side, strides, an inverted residual. */
function colours() {
  const input = tf.input({ shape: [224, 224, 3], name: "input_1" });
  const apply = (x, ...some) => some.reduce((before, layer) => layer.apply(before), x);
  const norm = (name) => layers.batchNormalization({ name, epsilon: 0.001 });
  const first = apply(
    input,
    layers.zeroPadding2d({ padding: [[0, 1], [0, 1]], name: "Conv1_pad" }),
    layers.conv2d({ filters: 4, kernelSize: 3, strides: 4, padding: "valid", useBias: false, name: "Conv1" }),
    norm("bn_Conv1"),
    layers.reLU({ maxValue: 6, name: "Conv1_relu" }),
  );
  const second = apply(
    first,
    layers.depthwiseConv2d({ kernelSize: 3, padding: "same", useBias: false, name: "block_1_depthwise" }),
    norm("block_1_depthwise_BN"),
    layers.reLU({ maxValue: 6, name: "block_1_depthwise_relu" }),
    layers.conv2d({ filters: 4, kernelSize: 1, useBias: false, name: "block_1_project" }),
  );
  const sum = layers.add({ name: "block_1_add" }).apply([first, second]);
  const out = apply(
    sum, layers.conv2d({ filters: 16, kernelSize: 1, useBias: false, name: "Conv_1" }), norm("Conv_1_bn"),
    layers.reLU({ maxValue: 6, name: "out_relu" }),
  );
  return tf.model({ inputs: input, outputs: out });
}

/** As the embedded models: 96 x 96 in grey, stride 2 with padding of one side only. */
function grey() {
  const input = tf.input({ shape: [96, 96, 1] });
  const one = layers.conv2d({ filters: 4, kernelSize: 3, strides: 2, padding: "same", activation: "relu" }).apply(input);
  const two = layers.batchNormalization({ epsilon: 0.0010000000474974513 }).apply(one);
  const out = layers.conv2d({
    filters: 8, kernelSize: 3, strides: 2, padding: "same", activation: "relu", name: "conv_pw_13_relu",
  }).apply(two);
  return tf.model({ inputs: input, outputs: out });
}

const pose = () => tf.sequential({
  layers: [
    layers.dense({ inputShape: [5 * 5 * 51], units: 8, activation: "relu" }),
    layers.dropout({ rate: 0.5 }),
    layers.dense({ units: 2, useBias: false, activation: "softmax" }),
  ],
});

/** The shape of speech-commands' net with its new head, "NewHeadDense". */
function audio() {
  const model = tf.sequential();
  model.add(layers.conv2d({ inputShape: [43, 232, 1], filters: 4, kernelSize: [2, 8], activation: "relu" }));
  model.add(layers.maxPooling2d({ poolSize: [2, 2], strides: [2, 2] }));
  model.add(layers.conv2d({ filters: 4, kernelSize: [2, 4], activation: "relu" }));
  model.add(layers.maxPooling2d({ poolSize: [4, 8], strides: [4, 8] }));
  model.add(layers.flatten());
  model.add(layers.dense({ units: 12, activation: "relu" }));
  model.add(tf.sequential({ layers: [layers.dense({ units: 3, activation: "softmax", inputShape: [12], name: "NewHeadDense" })] }));
  return model;
}

const versions = { tfjsVersion: "1.3.1", tmVersion: "2.4.7" };

export const TEACHABLE = [
  {
    name: "image",
    make: () => joint(colours(), 16, 3),
    metadata: {
      ...versions, packageVersion: "0.8.4-alpha2", packageName: "@teachablemachine/image", ...TIMES,
      modelName: "tm-my-image-model", labels: ["cat", "dog", "nobody"], imageSize: 224,
    },
  },
  {
    name: "image-grayscale",
    make: () => joint(grey(), 8, 2),
    metadata: {
      ...versions, packageVersion: "0.8.4-alpha2", packageName: "@teachablemachine/image", ...TIMES,
      modelName: "tm-my-image-model", labels: ["on", "off"], grayscale: true, imageSize: 96,
    },
  },
  {
    name: "pose",
    make: pose,
    metadata: {
      ...versions, packageVersion: "0.8.6", packageName: "@teachablemachine/pose", ...TIMES,
      modelName: "my-pose-model", labels: ["up", "down"],
      modelSettings: {
        posenet: { architecture: "MobileNetV1", outputStride: 16, inputResolution: 257, multiplier: 0.75 },
      },
    },
  },
  {
    name: "audio",
    make: audio,
    metadata: {
      tfjsSpeechCommandsVersion: "0.4.0", modelName: "TMv2", timeStamp: TIMES.timeStamp,
      wordLabels: ["Background Noise", "clap", "whistle"],
    },
  },
];

/** The model with weights from a seed of its own: tf.js' initial ones differ at every run. */
export function drawn({ name, make }) {
  const model = make();
  const random = new Random(`teachable/${name}`);
  for (const weight of model.weights) {
    const size = weight.shape.reduce((a, b) => a * b, 1);
    const terms = weight.shape.length > 1 ? size / weight.shape.at(-1) : 1;
    const spread = Math.min(1, 2 / Math.sqrt(terms));
    const low = weight.originalName.endsWith("variance") ? 0.5 : -spread;
    weight.write(tf.tensor(random.floats(size, low, low < 0 ? spread : 1.5), weight.shape));
  }
  return model;
}

/** The picture as the model takes it: x / 127 - 1 of the pixels. */
export function picture(model) {
  const shape = model.inputs[0].shape.slice(1);
  const size = shape.reduce((a, b) => a * b, 1);
  return tf.tensor(Float32Array.from({ length: size }, (_, i) => pixel(i)), [1, ...shape]).div(127).sub(1);
}
