// More training: the data for it, and how it goes.
import * as api from "./api.js";
import { curve } from "./curve.js";
import { bytes, el, listing, number, percent, say, small, uid } from "./dom.js";

const MOST = 32e6; // bytes of a JSON that is looked into
const STOP = "Stop and keep";

// Whether a file holds rows to train with: what saveData() of ml5 writes, or a table.
async function isData(file) {
  if (/\.[ct]sv$/i.test(file.name)) return true;
  if (!/\.json$/i.test(file.name) || file.size > MOST) return false;
  const text = await file.text();
  return text.includes('"xs"') && /"(data|entries)"/.test(text) && !/"(input|output)Units"|"weightsManifest"/.test(text);
}

// [the files of the model, those with data]
export async function sorted(files) {
  const rows = await Promise.all(files.map(isData));
  return [files.filter((_, i) => !rows[i]), files.filter((_, i) => rows[i])];
}

// A place to choose data: {element, read() -> files}. `dropped`: those that came with the model.
export function rowsPicker(dropped, { inputs, outputs }, changed) {
  const id = uid();
  const names = outputs.length ? ` with the columns ${listing([...inputs, ...outputs].map(({ name }) => name), 10)}` : "";
  const input = el("input", { type: "file", id, accept: ".json,.csv,.tsv", "aria-describedby": `${id}h`, onchange: changed });
  const came = dropped.map((file) => `${file.name} (${bytes(file.size)})`).join(", ");
  const element = el("div.field", came && el("p", `Data to train with: ${came}`),
    el("label", { for: id }, came ? "Or another file" : "Data to train with"), input, el("p.hint", { id: `${id}h` },
      `The file that nn.saveData() saved, or a CSV${names}. The server deletes it afterwards.`));
  return { element, read: () => (input.files.length ? [...input.files] : dropped) };
}

// Trains on the server; shows bar, numbers and loss line. Gives {report, files}.
export function train(models, data, fields, { signal, progress, add }) {
  const epochs = [];
  const said = el("p.hint", { class: "hint told-epoch" });
  const shown = el("div.learning");
  let line;
  function started(stop) {
    const node = small(STOP, () => {
      if (node.textContent !== STOP) return;
      say((node.textContent = "Stopping after this epoch…"));
      stop().catch((error) => {
        node.textContent = STOP;
        say((said.textContent = error.message));
      });
    });
    shown.append(el("div.row", node, said));
    add(shown);
  }
  function epoch(told) {
    epochs.push(told);
    if (!line) shown.append((line = curve(told.epochs)).element);
    progress("Training", told.epoch / told.epochs);
    const right = told.val_accuracy ?? told.accuracy;
    said.textContent = `Epoch ${number(told.epoch)} of ${number(told.epochs)} · loss ${number(told.loss)}${right === undefined ? "" : ` · ${percent(right)} right`}`;
    line.show(epochs);
  }
  return api.train(models, data, fields, { signal, progress, started, epoch });
}
