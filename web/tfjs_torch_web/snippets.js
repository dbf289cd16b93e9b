// Code to copy for ml5, fetch and Python, made for the model at hand.
import { copyButton, el, tabs, uid } from "./dom.js";

export function snippets() {
  const panes = Object.keys(CODE).map((name) => ({ name, tab: uid(), pane: uid(), code: el("code") }));
  const list = el("div.tabs", { role: "tablist", "aria-label": "Language" }, panes.map(({ name, tab, pane }, i) =>
    el("button", { type: "button", role: "tab", id: tab, "aria-controls": pane, "aria-selected": String(!i), tabindex: i ? -1 : 0 }, name)));
  tabs(list);
  const element = el("div", list, panes.map(({ tab, pane, code }, i) =>
    el("div", { role: "tabpanel", id: pane, "aria-labelledby": tab, hidden: i > 0 }, el("pre", { tabindex: 0 }, code), copyButton(code))));
  return { element, update: (context) => panes.forEach(({ name, code }) => (code.textContent = CODE[name](context))) };
}

const quote = (value) => JSON.stringify(value);

const CODE = {
  ml5({ files, inputs, outputs, labels, stored }) {
    const file = (wanted) => {
      const found = (stored?.files ?? files).find(({ name }) => name.endsWith(wanted));
      return quote(found?.url ?? found?.name ?? wanted);
    };
    const model = stored ? quote(stored.url) : file("model.json");
    if (!outputs.length) return labels ? `const classifier = await ml5.imageClassifier(${stored ? model : quote("https://your.site/model.json")});` : `const model = await tf.loadLayersModel(${model});`;
    const image = inputs[0].kind === "pixels";
    const values = inputs.slice(0, 9).map(({ name, labels, min = 0, max = 1 }) => `${quote(name)}: ${labels ? quote(labels[0]) : Math.round(min + max) / 2}`);
    return `ml5.setBackend?.("webgl"); // ml5 1.x wants it before anything else
const nn = ml5.neuralNetwork({ task: "${!labels ? "regression" : image ? "imageClassification" : "classification"}" });
nn.load({
  model: ${model},
  metadata: ${file("model_meta.json")},
  weights: ${file(".bin")},
}, async () => {
  const results = await nn.${labels ? "classify" : "predict"}(${image ? "{ image: canvas }" : `{ ${values.join(", ")} }`});
  console.log(results);
});`;
  },
  fetch: ({ fields }) => `// \`input\` is an <input type="file" multiple> with the files of a model.
const form = new FormData();
for (const file of input.files) form.append("file", file);
${Object.entries(fields).map(([name, value]) => `form.append("${name}", ${value[0] === "[" ? `JSON.stringify(${value})` : quote(value)});\n`).join("")}const answer = await fetch(${quote(new URL("convert", document.baseURI))}, {
  method: "POST",
  body: form,
  headers: { Accept: "multipart/form-data" },
});
const files = [...(await answer.formData()).values()]; // the last one is report.json`,
  Python: () => `from tfjs_torch import load_file, load_model, save_file

state_dict = load_file("my-model")  # the folder with the files: {name: tensor}
model = load_model("my-model")  # the network itself, a torch.nn.Module

save_file(state_dict, "changed", like="my-model")  # back to the same files`,
};
