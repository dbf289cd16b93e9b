// "Change it": the steps that PyTorch will take, each with its controls, and the button that starts them.
import { control } from "./controls.js";
import { button, el, nameList, say, small, tile, total, uid } from "./dom.js";
import { dropZone } from "./drop.js";

const trains = ({ kind }) => kind.takes === "module";
const mixes = ({ kind }) => kind.others[1] !== 0;

// `run(fields, others, box, data)` is called by the button, `changed()` when the steps are no longer those of the last
// run. `rows`: a place to choose data to train with.
export function stepsPanel({ steps: kinds, quantize }, tensors, run, changed, rows) {
  let steps = [];
  const list = el("ol.steps");
  const box = el("div.box");
  const others = otherModels(changed);
  const palette = el("details", { open: true }, el("summary", "Add a step"), el("ul.tiles", kinds.map((kind) => tile(kind.title, kind.description, () => add(kind)))));
  const id = uid();
  const stored = el("select", { id, onchange: ready }, el("option", { value: "" }, "as they are"), quantize.map((dtype) => el("option", dtype)));
  const start = button("Run in PyTorch", () => {
    const process = JSON.stringify(steps.map(({ kind, read }) => ({ step: kind.name, ...read() })));
    run({ process, ...(stored.value && { quantize: stored.value }) }, steps.some(mixes) ? others.models() : [], box, steps.some(trains) && rows.read());
  }, { class: "primary large", disabled: true });

  function add(kind) {
    const step = card(kind, tensors, changed, put);
    put(step, steps.length);
    palette.open = false;
    step.element.querySelector("input, select").focus();
  }
  // Puts a step at a place of the list; -1 takes it out.
  function put(step, place) {
    steps = steps.filter((other) => other !== step);
    if (place >= 0) steps.splice(place, 0, step);
    list.replaceChildren(...steps.map(({ element }) => element));
    others.element.remove();
    steps.find(mixes)?.element.append(others.element);
    rows.element.remove();
    steps.find(trains)?.element.querySelector(".fields").before(rows.element);
    say(place < 0 ? `${step.kind.title} removed` : `${step.kind.title} is step ${steps.indexOf(step) + 1}`);
    if (place < 0) palette.firstChild.focus();
    ready();
  }
  function ready() {
    start.disabled = !steps.length && !stored.value;
    changed();
  }
  return [list, palette, el("p.row", el("label", { for: id }, "Store the numbers"), stored), start, box];
}

function card(kind, tensors, changed, put) {
  const controls = Object.entries(kind.options.properties).map(([name, schema]) => [name, control(name, schema, tensors, changed)]);
  const place = () => [...step.element.parentNode.children].indexOf(step.element);
  const icon = (sign, label, to) => {
    const node = button(sign, () => {
      put(step, to());
      node.focus();
    }, { class: "icon", "aria-label": `${label}: ${kind.title}` });
    return node;
  };
  const step = { kind, read: () => Object.fromEntries(controls.map(([name, { read }]) => [name, read()]).filter(([, value]) => value !== undefined)) };
  step.element = el("li.card.step",
    el("div.row", el("h3", kind.title), icon("↑", "Move up", () => Math.max(0, place() - 1)), icon("↓", "Move down", () => place() + 1),
      icon("✕", "Remove", () => -1)),
    el("p.hint", kind.description), el("div.fields", controls.map(([, { element }]) => element)));
  return step;
}

// Further models, for the steps that mix several.
function otherModels(changed) {
  let models = [];
  const list = el("ul.files");
  const drop = dropZone("Drop another model to mix in", (files) => show([...models, files]));
  function show(now) {
    models = now;
    list.replaceChildren(...models.map((files, i) => el("li", el("span", `Model ${i + 2}: ${nameList(files)} (${total(files)})`),
      small("Remove", () => show(models.filter((other) => other !== files)), { "aria-label": `Remove model ${i + 2}` }))));
    drop.zone.querySelector("button").focus();
    changed();
  }
  return { element: el("div", list, drop.element), models: () => models };
}
