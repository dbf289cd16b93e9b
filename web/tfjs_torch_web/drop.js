// A place to drop a model: files, a folder or a zip; by mouse, keyboard or the file picker.
import { Problem } from "./api.js";
import { showProblem } from "./attempt.js";
import { button, el, uid } from "./dom.js";

// A file of a model -> what check looks at of the sketch's folder in which it came: .json, .bin, and scripts that somebody
// has written (at most 256 KB, as on the server).
const sketches = new WeakMap();
export const withSketch = (files) => sketches.get(files[0]) ?? files;

// `onfiles(files)` gets what was dropped or picked; `box` beneath is for progress and problems. `names` are drawn on sheets.
let pageDrop = () => {}; // what a drop beside every zone does
let elsewhere; // what takes the files then, where the large zone is not to be seen

export const onPageDrop = (take) => (elsewhere = take);

export function dropZone(title, onfiles, names) {
  const compact = !names;
  const id = uid();
  const box = el("div.box");
  const onchange = ({ target }) => {
    take([...target.files].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
    target.value = "";
  };
  const files = el("input", { type: "file", multiple: true, hidden: true, onchange });
  const folder = el("input", { type: "file", webkitdirectory: true, hidden: true, onchange });
  const zone = el(compact ? "div.drop.compact" : "div.drop", { role: "group", "aria-labelledby": id, ondrop, ondragover, ondragleave: ondragover },
    !compact && el("div.sheets", { "aria-hidden": "true" }, names.map((name) => el("span", name))),
    el("p.title", { id }, title),
    el("p.row", button("Choose files", () => files.click(), { class: compact ? "small" : "primary" }), button("Choose a folder", () => folder.click(), { class: compact && "small" })),
    el("p.hint", compact ? "The files, their folder, or a zip." : "The files, their folder, or a zip; and the file of saveData(), to train with it."), files, folder);

  const take = (list) => Promise.resolve(list).then((found) => found.length && onfiles(sifted(found.flat(9), true))).catch((error) => showProblem(box, error));
  function ondragover(event) {
    event.preventDefault();
    zone.classList.toggle("over", event.type === "dragover");
  }
  function ondrop(event) {
    ondragover(event);
    event.stopPropagation();
    take(dropped(event));
  }
  if (!compact) pageDrop = async (event) => {
    if (zone.checkVisibility()) return ondrop(event);
    const found = elsewhere && (await dropped(event)).flat(9);
    if (found?.length) elsewhere(sifted(found));
  };
  return { element: el("div", zone, box), zone, box };
}

// Files that miss every zone must not make the browser leave the page; the large zone takes them, while it is there.
for (const type of ["dragover", "drop"]) addEventListener(type, (event) => event.preventDefault());
addEventListener("drop", (event) => pageDrop(event));

async function dropped({ dataTransfer: { items, files } }) {
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
  return entries.length ? Promise.all(entries.map((entry) => walk(entry, ""))) : [...files].map((file) => ({ file, path: file.name }));
}

async function walk(entry, folder) {
  const path = folder + entry.name;
  if (entry.isFile) return { path, file: await new Promise((...both) => entry.file(...both)) };
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((...both) => reader.readEntries(...both)); // 100 at a time
    if (!some.length) return found;
    found.push(await Promise.all(some.map((child) => walk(child, `${path}/`))));
  }
}

// Of a folder (a whole sketch, perhaps), only what may belong to a model, with paths as seen from its model.json; and
// "model (1).json" under its own name again; `original` is the one that it came with.
function sifted(list, alone) {
  const folder = list.some(({ path }) => path.includes("/"));
  const seen = list.filter(({ path }) => !folder || !/(^|\/)(\.|node_modules\/)/.test(path));
  const kept = seen.filter(({ path }) => !folder || /\.(json|bin|zip|safetensors|pth?|npz|[ct]sv)$|(^|\/)[^.]+$/i.test(path));
  const homes = kept.filter(({ path }) => folder && /(^|\/)model\.json$/.test(path)).map(({ path }) => path.slice(0, -11)).sort();
  if (alone && homes.length > 1) throw new Problem(`There are several models: in ${homes.join(", ")}.`, "Drop the folder of one of them.");
  const home = kept.find(({ path }) => folder && path.endsWith("model.json"))?.path.slice(0, -10) ?? "";
  const files = kept.filter(({ path }) => path.startsWith(home)).map(({ path, file }) => {
    const original = path.slice(home.length);
    return Object.assign(new File([file], original.replace(/ \(\d+\)\./, ".")), { original });
  });
  const scripts = seen.filter(({ path, file }) => folder && /\.(m?js|html?)$/i.test(path) && file.size < 2 ** 18);
  if (scripts.length) {
    const all = [...seen.filter(({ path }) => /\.(json|bin)$/i.test(path)), ...scripts].map(({ path, file }) => Object.assign(new File([file], path), { original: path }));
    for (const file of files) sketches.set(file, all);
  }
  return files;
}
