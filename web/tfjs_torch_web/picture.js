// What the model is: a sentence, its figures, and a picture from input to output.
import { bytes, el, listing, number, plural, remarks, shapeText, svg } from "./dom.js";
import { lanes } from "./lanes.js";

const names = (columns) => columns.map(({ name }) => name);
const rows = (tensors) => listing(tensors.map(({ shape }) => (shape?.length === 2 ? plural(shape[1], "number") : shape ? `${shapeText(shape.slice(1))} numbers` : "numbers")));

// `meta` is what readMeta() found about inputs and labels.
export function headline({ format, tensors, outline }, { inputs, outputs, labels }) {
  if (format === "graph-model") return `This is a graph-model with ${plural(tensors.length, "tensor")}.`;
  if (!outline.layers.length) return `These are ${plural(tensors.length, "tensor")} of numbers, without the network around them.`;
  const [first] = inputs;
  const [, height, width] = outline.inputs[0]?.shape ?? [];
  const named = outputs.length > 0 && first.kind !== "list" && !/^\d+$/.test(first.name);
  const takes = first?.kind === "pixels" ? `a picture of ${shapeText([width, height])} pixels`
    : named ? `${plural(inputs.length, inputs.every(({ kind }) => kind === "number") ? "number" : "input")} (${listing(names(inputs), 6)})` : rows(outline.inputs);
  const answers = labels ? `one of ${plural(labels.length, "label")}: ${listing(labels)}`
    : outputs.length ? `${plural(outputs.length, "number")}: ${listing(names(outputs), 6)}` : rows(outline.outputs);
  return `This network takes ${takes} and answers with ${answers}.`;
}

export function facts({ parameters, tensors, layers, nbytes, optimizer_parameters: optimizer, oddities }, described) {
  const list = (kind, pairs) => el(kind, pairs.filter(([, value]) => value).map(([name, value]) => el("div", el("dt.hint", name), el("dd", value))));
  return [
    list("dl.figures", [["learned numbers", number(parameters)], ["tensors", tensors.length], ["layers", layers.length], ["of weights", bytes(nbytes)]]),
    list("dl.told", [...described.map(({ title, text }) => [title, text]), ["Optimizer", optimizer && plural(optimizer, "number")]]), remarks(oddities)];
}

export function picture(inspected, meta) {
  const { outline, ops } = inspected;
  const columns = dense(outline, meta);
  if (columns) return dots(columns);
  if (outline.layers.length) return lanes(inspected);
  return el("ul.row", { "aria-label": "Operations" }, Object.entries(ops).slice(0, 24).map(([op, n]) => el("li.pill", `${op} × ${n}`)));
}

// The columns of dots of a small network, one layer after the other, else null.
function dense({ layers, inputs }, { labels, outputs, inputs: known }) {
  const chain = layers.filter(({ class_name: kind }) => kind !== "InputLayer");
  const flat = ({ depth, output_shape: shape, inputs }, i) => !depth && shape?.length === 2 && shape[1] && (!i || inputs.join() === chain[i - 1].name);
  const size = inputs[0]?.shape?.[1];
  if (!chain.length || chain.length > 6 || !chain.every(flat) || inputs.length > 1 || !size || inputs[0].shape.length > 2) return null;
  const columns = chain.map(({ class_name: title, output_shape: shape }) => ({ title, size: shape[1], labels: [] }));
  columns.at(-1).labels = labels ?? names(outputs);
  return [{ title: "Input", size, labels: outputs.length && known.length === size ? names(known) : [] }, ...columns];
}

const [MOST, TALL] = [10, 270];
const clip = (text) => (text.length > 13 ? `${text.slice(0, 12)}…` : text);

// Drawn anew for each width, so that the text keeps its size.
function dots(columns) {
  const image = svg("svg", { role: "img", height: TALL + 50, "aria-label": `From input to output: ${columns.map(({ title, size }) => `${title} ${size}`).join(", ")}` });
  const box = el("div.dots", { tabindex: 0, role: "group", "aria-label": "The network" }, image);
  new ResizeObserver(() => box.clientWidth && draw(image, columns, Math.max(box.clientWidth, columns.length * 62 + 120))).observe(box);
  return box;
}

function draw(image, columns, width) {
  const last = columns.length - 1;
  const room = ({ labels }) => Math.max(36, ...labels.map((label) => 24 + 7.6 * clip(label).length));
  const step = (width - room(columns[0]) - room(columns[last])) / last;
  const text = (x, y, words, kind = "", anchor = "middle") => svg("text", { x, y, "text-anchor": anchor, class: kind }, words);
  const places = columns.map((column, i) => ({ ...column, x: room(columns[0]) + i * step, spots: spots(column.size) }));
  const wires = places.slice(1).flatMap(({ x, spots }, i) => places[i].spots.flatMap(([y]) => spots.map(([to]) => `M${places[i].x} ${y}L${x} ${to}`)));
  image.setAttribute("width", width);
  image.replaceChildren(svg("path.wires", { d: wires.join("") }), ...places.flatMap(({ title, size, labels, x, spots }, i) => [
    ...spots.map(([cy]) => svg(`circle.dot${i ? "" : ".first"}${i === last ? ".last" : ""}`, { cx: x, cy, r: 7 })),
    ...spots.map(([y, unit]) => text(x + (i ? 16 : -16), y + 5, clip(labels[unit] ?? ""), "", i ? "start" : "end")),
    text(x, size > MOST ? spots[6][0] + 30 : 0, size > MOST ? "⋮" : ""),
    text(x, TALL + 24, number(size), "size"), text(x, TALL + 44, title, "type"),
  ]));
}

// [height, unit] of the dots of a column; the middle of a long one is left out.
function spots(size) {
  const rows = Math.min(size, MOST + 1);
  const step = Math.min(42, (TALL - 36) / (rows - 1));
  const all = Array.from({ length: rows }, (_, i) => [TALL / 2 + (i - (rows - 1) / 2) * step, i > 7 ? size - rows + i : i]);
  return size > MOST ? all.toSpliced(7, 1) : all;
}
