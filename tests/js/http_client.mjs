// Real tf.js as a client of the server. One JSON request a line on stdin, one answer a line on stdout:
// {...result} or {error}. The operations and their forms are the methods of TfjsClient in tests/tfjs_client.py.
import { createInterface } from "node:readline";

import { exact, httpReader, inScope, tf } from "./tfjs.mjs";

const INPUT = [[0.1, -0.5, 0.9], [1, 2, -3]];

function built({ units = 4, weightless = false, compiled = false }) {
  const model = tf.sequential();
  if (weightless) {
    model.add(tf.layers.activation({ activation: "tanh", inputShape: [3] }));
    return model;
  }
  const kernelInitializer = tf.initializers.glorotUniform({ seed: 7 });
  model.add(tf.layers.dense({ units, inputShape: [3], activation: "tanh", kernelInitializer }));
  model.add(tf.layers.dense({ units: 2, kernelInitializer: tf.initializers.glorotUniform({ seed: 8 }) }));
  if (compiled) model.compile({ optimizer: tf.train.adam(0.01), loss: "meanSquaredError" });
  return model;
}

async function fitted(request) {
  const model = built(request);
  if (request.compiled) await model.fit(tf.tensor(INPUT), tf.tensor([[0, 1], [1, 0]]), { epochs: 2, verbose: 0 });
  return model;
}

const predicted = (model) => model.predict(tf.tensor(INPUT)).arraySync();

/** What `fetch` is asked, in order, as [url, status, bytes of the body]. */
function watching(asked) {
  return async (url, init) => {
    const response = await fetch(url, init);
    asked.push([String(url), response.status, (await response.clone().arrayBuffer()).byteLength]);
    return response;
  };
}

async function sent(model, { url, method = "POST", headers = {}, compiled = false }) {
  const plain = method === "POST" && Object.keys(headers).length === 0;
  const target = plain ? url : tf.io.http(url, { requestInit: { method, headers } });
  const { responses } = await model.save(target, { includeOptimizer: compiled });
  return responses[0];
}

const operations = {
  async save(request) {
    const model = await fitted(request);
    const response = await sent(model, request);
    const text = await response.text();
    return { status: response.status, text, url: response.url, predictions: predicted(model) };
  },

  async load({ url, headers = {} }) {
    const asked = [];
    const options = { requestInit: { headers }, fetchFunc: watching(asked) };
    const model = await tf.loadLayersModel(tf.io.http(url, options));
    const shape = model.inputs[0].shape.map((size) => size ?? 1);
    const optimizer = model.optimizer ? await model.optimizer.getWeights() : [];
    return {
      asked,
      predictions: shape.join() === "1,3" ? predicted(model) : [],
      weights: model.getWeights().map((weight) => Array.from(weight.dataSync())),
      optimizer: optimizer.map(({ name }) => name),
    };
  },

  /** model.save(".../convert") and the answer's FormData as a model again. */
  async convert(request) {
    const model = built(request);
    const form = await (await sent(model, request)).formData();
    const files = {};
    for (const [name, file] of form) files[name] = Buffer.from(await file.arrayBuffer());
    const again = await tf.loadLayersModel(httpReader("model.json", async (path) => files[path]));
    const names = [...form].map(([name, file]) => [name, file.name]);
    return { names, predictions: predicted(model), again: predicted(again), report: JSON.parse(files["report.json"]) };
  },

  /** fetch + FormData of given files, as a page does it; the answer's parts in base64. */
  async form({ url, files }) {
    const form = new FormData();
    for (const [name, data] of files) form.append(name, new Blob([exact(Buffer.from(data, "base64"))]), name);
    const response = await fetch(url, { method: "POST", body: form, headers: { accept: "multipart/form-data" } });
    const parts = [];
    for (const [name, file] of await response.formData()) {
      parts.push([name, file.name, Buffer.from(await file.arrayBuffer()).toString("base64")]);
    }
    return { status: response.status, parts };
  },
};

async function respond(request) {
  try {
    return await inScope(() => operations[request.op](request));
  } catch (error) {
    return { error: `${error.name}: ${error.message}` };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await respond(JSON.parse(line)))}\n`);
}
