// The page's frame: the tabs, the token and the first drop zone. What comes after is fetched when a model is there.
import * as api from "./api.js";
import { attempt, showProblem } from "./attempt.js";
import { button, el, say, tabs, uid } from "./dom.js";
import { dropZone, onPageDrop } from "./drop.js";

const at = (id) => document.getElementById(id);
let formats;
let close = () => {};

const choose = tabs(at("tabs"), (tab) => tab.id === "tab-back" && openBack());
const drop = dropZone("Drop your model here", (files) => openFiles(files), ["model_meta.json", "model.json", "model.weights.bin"]);
drop.zone.append(el("p", "No files at hand? ", button("Try the example", openExample, { class: "link" }), ": a network that names colours."));
at("start").append(drop.element);
document.addEventListener("token", () => askToken().focus());
begin().catch((error) => showProblem(at("notices"), error));

async function begin() {
  formats = await api.formats();
  at("version").textContent = `· version ${formats.version}`;
  if (formats.token && !api.token.get()) askToken();
}

async function openBack() {
  const { backTab } = await import("./back.js");
  if (at("back-body").firstChild) return;
  at("back-body").append(backTab((files, report) => {
    choose(at("tab-open"));
    openFiles(files, { report });
  }));
}

// A server may want a token; it is kept until the tab of the browser is closed.
function askToken() {
  const id = uid();
  const field = el("input", { type: "password", id, autocomplete: "off", required: true });
  const onsubmit = (event) => {
    event.preventDefault();
    api.token.set(field.value.trim());
    at("notices").replaceChildren();
    drop.box.replaceChildren();
    say("The token is kept until you close this tab.");
  };
  at("notices").replaceChildren(el("form", { onsubmit }, el("label", { for: id }, "This server is for those who know its token:"),
    el("div.pair", field, el("button.primary", "Use it"))));
  return field;
}

async function openExample() {
  const file = async (name) => new File([await (await fetch(`example/${name}`)).blob()], name);
  const files = await attempt(drop.box, () => Promise.all(["model.json", "model_meta.json", "model.weights.bin", "more-colours.json"].map(file)));
  if (files) openFiles(files);
}

// `how`: how they came about, where that is known.
async function openFiles(files, how) {
  const found = await attempt(drop.box, async (watch) => [await api.inspect(files, watch), (formats ??= await api.formats()),
    await import("./model.js"), await import("./finetune.js")]);
  if (!found) return explain(files);
  const [inspected, , { show }, { sorted }] = found;
  const parted = await sorted(files);
  close();
  at("start").hidden = true;
  onPageDrop(async (more) => {
    const [own, rows] = await sorted(more);
    openFiles(own.length ? more : [...parted[0], ...rows]); // another model, or data for this one
  });
  const another = () => {
    close();
    onPageDrop(null);
    at("start").hidden = false;
    drop.zone.querySelector("button").focus();
  };
  close = show(at("model"), parted, inspected, formats, another, openFiles, how);
}

// What is wrong with files that could not be opened.
async function explain(files) {
  const problem = drop.box.querySelector(".problem[data-status='400'], .problem[data-status='422']");
  if (!problem) return; // cancelled, or it is not the files
  const [{ checkClosed }, { sorted }] = await Promise.all([import("./check.js"), import("./finetune.js")]);
  const [own, data] = await sorted(files);
  const told = await checkClosed(own, (found, how) => openFiles([...found, ...data], how));
  if (told && problem.isConnected) drop.box.append(told);
}
