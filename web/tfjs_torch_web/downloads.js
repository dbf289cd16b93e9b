// "Take it with you": the files one by one, other kinds of files, a link for sketches, and code to copy.
import { convertTo, publish, withdraw } from "./api.js";
import { attempt } from "./attempt.js";
import { button, copyButton, download, el, part, say, small, tile, total, uid } from "./dom.js";
import { snippets } from "./snippets.js";

const KINDS = {
  tfjs: ["zip", "all files in one"],
  safetensors: ["safetensors", "the weights, for Python"],
  pt: ["pt", "the weights, for PyTorch"],
  npz: ["npz", "the weights, for NumPy"],
  pt2: ["pt2", "the whole network, for PyTorch"],
  onnx: ["onnx", "the whole network, for other programs"],
};

// `context()` is {files, fields of the run, ...what is known of the inputs}: the changed files after a run, else the uploaded ones.
export function downloadsPart(formats, context) {
  const own = el("ul.files");
  const which = el("p.hint", { "aria-live": "polite" });
  const box = el("div.box");
  const code = snippets();
  const link = linkPanel(context, code.update);
  const id = uid();
  const layout = el("select", { id }, el("option", { value: "tfjs" }, "as in the browser"), el("option", { value: "torch" }, "as in PyTorch's own layers"));
  const take = async (to, ending) => {
    const got = await attempt(box, (watch) => convertTo(context().files, to, to === "tfjs" ? "tfjs" : layout.value, watch));
    if (got) download(got.blob, got.name ?? `model.${ending}`);
  };
  function update() {
    own.replaceChildren(...context().files.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map((file) => el("li",
      el("span.mono", file.name, el("br"), el("span.hint", total([file]))), small("Download", () => download(file, file.name), { "aria-label": `Download ${file.name}` }))));
    which.textContent = context().done ? "These are the files as PyTorch has changed them." : "These are the files as you gave them; run steps to change them.";
    link.reset();
  }
  update();
  const tiles = formats.to.map((to) => tile(`.${KINDS[to][0]}`, KINDS[to][1], () => take(to, KINDS[to][0])));
  const element = part("Take it with you", "Download every file of the list: a sketch needs all of them, under these names.", which, own,
    el("h3", "Other kinds of files"), el("ul.tiles", tiles), el("p.row", el("label", { for: id }, "Names and shapes for Python"), layout), box,
    link.element, el("h3", "Use it in your code"), code.element);
  return { element, update };
}

// A link by which sketches load the model from this server.
function linkPanel(context, tell) {
  const box = el("div.box");
  const result = el("div");
  const make = button("Get a link", async () => {
    const stored = await attempt(box, (watch) => publish(context().files, watch));
    if (stored) show(stored);
  });
  function show(stored) {
    const field = el("input", { type: "text", readonly: true, value: stored.url, "aria-label": "Link to the model" });
    const until = new Date(stored.expires).toLocaleString("en", { dateStyle: "long", timeStyle: "short" });
    const gone = small("Delete it now", async () => {
      if (!(await attempt(box, () => withdraw(stored.id)))) return;
      reset();
      say("Deleted");
      make.focus();
    });
    result.replaceChildren(el("div.pair", field, copyButton(field)), el("p.row.hint", stored.expires && `The server keeps it until ${until}.`, gone));
    make.hidden = true;
    tell({ ...context(), stored });
    field.focus();
  }
  function reset() {
    make.hidden = false;
    result.replaceChildren();
    tell(context());
  }
  return { element: el("div", el("h3", "A link for your sketch"), el("p.hint", "This server keeps a copy, and whoever has the link can load it."), make, result, box), reset };
}
