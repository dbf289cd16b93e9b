// The second tab: weights from PyTorch and a model.json become ml5's files again.
import { convert } from "./api.js";
import { attempt } from "./attempt.js";
import { button, el, say, small, total, uid } from "./dom.js";
import { dropZone } from "./drop.js";

// `open(files, report)` shows the result.
export function backTab(open) {
  let files = [];
  const list = el("ul.files");
  const lacks = el("p");
  const box = el("div.box");
  const id = uid();
  const layout = el("select", { id }, [["", "not sure"], ["tfjs", "the browser's"], ["torch", "those of PyTorch's own layers"]].map(([value, text]) => el("option", { value }, text)));
  const start = button("Make the ml5 files", make, { class: "primary large" });
  const drop = dropZone("Drop the weights and model.json", (more) => show([...files.filter(({ name }) => !more.some((file) => file.name === name)), ...more]),
    ["model_meta.json", "model.json", "my.safetensors"]);

  function show(now) {
    files = now;
    const has = (kind) => files.some(({ name }) => kind.test(name));
    const missing = [!has(/\.(safetensors|pth?|npz)$/i) && "the weights (.safetensors, .pt or .npz)", !has(/(?<!meta|metadata)\.json$|\.zip$/i) && "model.json"].filter(Boolean);
    start.disabled = missing.length > 0;
    lacks.textContent = missing.length ? `Still missing: ${missing.join(" and ")}.`
      : `Ready. ${has(/meta|zip$/i) ? "" : "If you have model_meta.json, add it: a sketch needs it. "}${has(/\.bin|zip$/) ? "" : "Add the old model.weights.bin, too, to see what changed."}`;
    if (files.length) say(lacks.textContent);
    list.replaceChildren(...files.map((file) => el("li", el("span.mono", file.name, " ", el("span.hint", total([file]))), small("Remove", () => {
      show(files.filter((other) => other !== file));
      drop.zone.querySelector("button").focus();
    }, { "aria-label": `Remove ${file.name}` }))));
  }

  async function make() {
    const answer = await attempt(box, (watch) => convert([files], layout.value && { layout: layout.value }, watch));
    if (answer) open(answer.files, answer.report);
  }

  show([]);
  return el("div.body", drop.element, list, lacks, el("p.row", el("label", { for: id }, "The names in the weights are"), layout), start, box);
}
