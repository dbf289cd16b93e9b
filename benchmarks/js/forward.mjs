// tf.js' own forward pass: `node forward.mjs FOLDER [loads]` reads model.json and model.weights.bin and, where it is there,
// input.json and input.bin. One line {"calls": n} on stdin is answered with the seconds that n predictions took.
// The first answer is that of one prediction with the outputs written to output.bin; `loads` does nothing but that
// and answers with the seconds from the first byte read to the first output.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";

import tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";

// stdout belongs to the answers.
console.log = console.info = console.debug = console.warn = console.error;
const [folder, loads] = process.argv.slice(2);
const answer = (content) => process.stdout.write(`${JSON.stringify(content)}\n`);
const exact = (buffer) => buffer.buffer.slice(buffer.byteOffset, buffer.byteOffset + buffer.byteLength);

tf.enableProdMode();
const start = performance.now();
if (!(await tf.setBackend("wasm"))) throw new Error("tf.js did not start its wasm backend");
const { modelTopology, weightsManifest } = JSON.parse(readFileSync(join(folder, "model.json"), "utf8"));
const [{ paths, weights: weightSpecs }] = weightsManifest;
const weightData = exact(readFileSync(join(folder, paths[0])));
const model = await tf.loadLayersModel(tf.io.fromMemory({ modelTopology, weightSpecs, weightData }));
const { shape } = JSON.parse(readFileSync(join(folder, "input.json"), "utf8"));
const input = tf.tensor(new Float32Array(exact(readFileSync(join(folder, "input.bin")))), shape);

function predict() {
  const output = model.predict(input, { batchSize: shape[0] });
  const values = output.dataSync();
  output.dispose();
  return values;
}

const values = predict();
const seconds = (performance.now() - start) / 1000;
writeFileSync(join(folder, "output.bin"), new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
answer({ seconds });
if (!loads) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { calls } = JSON.parse(line);
    const start = performance.now();
    for (let i = 0; i < calls; i++) predict();
    answer({ seconds: (performance.now() - start) / 1000 });
  }
}
