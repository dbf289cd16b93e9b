// The panel and its modules without the rest of the page, for tests: real tf.js, a server that is a function.
import { decode, describeMeta, encode, readMeta } from "../../web/tfjs_torch_web/ml5meta.js";
import { mountTryIt } from "../../web/tfjs_torch_web/tryit.js";

const TFJS = "/tests/js/node_modules/@tensorflow/tfjs/dist/tf.es2017.min.js";
const files = (id) => [...document.getElementById(id).files];
const parsed = async (name) => {
  const file = files("files").find((each) => each.name.endsWith(name));
  return file ? JSON.parse(await file.text()) : null;
};

async function loadTf() {
  if (globalThis.tf) return;
  const script = document.createElement("script");
  script.src = TFJS;
  document.head.append(script);
  await new Promise((resolve) => (script.onload = resolve));
  await tf.setBackend("cpu");
}

// What ml5meta.js and tf.js answer to ml5's own inputs: encoded numbers and decoded answers.
globalThis.answersOf = async (inputs) => {
  await loadTf();
  const weights = files("files").filter(({ name }) => name.endsWith(".bin"));
  const json = files("files").find(({ name }) => name.endsWith(".json") && !name.includes("_meta"));
  const network = await tf.loadLayersModel(tf.io.browserFiles([json, ...weights]));
  const inspected = { outline: { inputs: network.inputs.map(({ name, shape }) => ({ name, shape })) }, metadata: null };
  const model = readMeta(await parsed("_meta.json"), inspected);
  return inputs.map((input) => {
    const [{ data, shape }] = encode(model, valuesOf(model, input));
    const numbers = tf.tidy(() => network.predict(tf.tensor(data, shape)).dataSync());
    return { encoded: [...data], shape, answer: decode(model, numbers), problem: model.problem };
  });
};

function valuesOf({ inputs }, input) {
  if (["list", "pixels"].includes(inputs[0].kind)) return [input];
  return inputs.map(({ name }, i) => (Array.isArray(input) ? input[i] : input[name]));
}

globalThis.describe = (meta, metadata) => describeMeta(meta, metadata);
globalThis.read = (meta, inspected) => readMeta(meta, inspected);
globalThis.encodeAs = (model, values) => ({ labels: model.labels, numbers: [...encode(model, values)[0].data] });

// Opens the panel for the chosen files. `inspected`: more of the server's answer; `server`: what the stand-in for
// POST /predict answers, or null: it fails.
globalThis.mount = async ({ src = TFJS, integrity, inspected = {}, server = null }) => {
  globalThis.asked = [];
  const predict = async (given, inputs) => {
    asked.push({ names: given.map(({ name }) => name), inputs });
    if (!server) throw new Error("The server does not answer.");
    return { outputs: server };
  };
  const [meta, metadata] = [await parsed("_meta.json"), await parsed("metadata.json")];
  globalThis.panel = mountTryIt(document.getElementById("panel"), {
    files: files("files"),
    changed: files("changed").length ? files("changed") : null,
    inspected: { parameters: 100, meta, metadata, ...inspected },
    formats: { tfjs: { src, integrity } },
    api: { predict },
  });
};
globalThis.change = () => panel.update(files("changed"));
