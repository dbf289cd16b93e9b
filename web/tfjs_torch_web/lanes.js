// A large network as a list from input to output: lines show which layer reads which, nested models unfold.
import { el, plural, shapeText, svg } from "./dom.js";

const [LANE, MIDDLE, FEW] = [16, 26, 5];
const x = (lane) => lane * LANE + LANE / 2;

export function lanes({ outline, layers }) {
  const weights = new Map(layers.map(({ name, parameters }) => [name, parameters]));
  const open = [[]]; // the flat list with depths becomes a tree
  for (const layer of outline.layers) {
    const inside = [];
    open.length = layer.depth + 1;
    open.at(-1).push({ ...layer, inside });
    open.push(inside);
  }
  return el("div.lanes", { tabindex: 0, role: "group", "aria-label": "The network, from input to output" }, level(open[0], weights));
}

function level(layers, weights) {
  const rows = drawing(layers);
  const wide = LANE * Math.max(...rows.map(({ used }) => used));
  return el("ol", layers.map((layer, i) => {
    const text = words(layer, layers[i - 1], weights);
    text.style.marginLeft = `${wide + 8}px`;
    return el("li", rail(rows[i], wide), text);
  }));
}

function words({ name, class_name: kind, output_shape: shape, inputs, inside }, previous, weights) {
  const count = weights.get(name) || inside.reduce((sum, layer) => sum + (weights.get(layer.name) ?? 0), 0);
  const more = inside.length > 0 && el("details", { open: inside.length < FEW }, el("summary", `${plural(inside.length, "layer")} inside`));
  if (more) more.ontoggle = () => more.children[1] ?? more.append(level(inside, weights)); // drawn when it opens
  const elsewhere = inputs.length > 1 || (previous && inputs[0] && inputs[0] !== previous.name);
  return el("div.layer", el("strong", kind), el("span.mono.hint", name), shape && el("span.pair", glyph(shape), shapeText(shape.slice(1))),
    count > 0 && el("span.hint", plural(count, "number")), elsewhere && el("span.hint", `reads ${inputs.join(" + ")}`), more);
}

// A layer's output as a box: as tall as it has pixels, as wide as it has channels, both logarithmic.
function glyph(shape) {
  const [height, width] = [shape.length > 2 ? shape[1] : 1, shape.at(-1)].map((n) => 3 + 2.4 * Math.log2(n || 64));
  return svg("svg", { width: 32, height: 28, "aria-hidden": "true" }, svg("rect", { x: 16 - width / 2, y: 14 - height / 2, width, height, rx: 1.5 }));
}

// Straight lines grow with an unfolded row; those that change lanes bend within its first line of text.
const rail = ({ at, lines }, width) => svg("svg.rail", { width, "aria-hidden": "true" },
  lines.map(([from, to, y1, y2]) => (from === to ? svg("line", { x1: x(from), x2: x(to), y1, y2 })
    : svg("path", { d: `M${x(from)} 0C${x(from)} 16 ${x(to)} 10 ${x(to)} ${MIDDLE}` }))),
  svg("circle.dot", { cx: x(at), cy: MIDDLE, r: 5 }));

// For each layer the lane of its dot and the lines of its row, as in the history of a version control system.
function drawing(layers) {
  const left = new Map(); // how many layers still read which
  for (const { inputs } of layers) for (const name of new Set(inputs)) left.set(name, (left.get(name) ?? 0) + 1);
  const carried = []; // which layer's output each lane carries
  return layers.map(({ name, inputs }) => {
    const before = [...carried];
    const read = [...new Set(inputs)].map((input) => before.indexOf(input)).filter((lane) => lane >= 0);
    for (const lane of read) {
      left.set(before[lane], left.get(before[lane]) - 1);
      if (!left.get(before[lane])) carried[lane] = undefined;
    }
    const free = carried.indexOf(undefined);
    const at = read.find((lane) => !carried[lane]) ?? (free < 0 ? carried.length : free);
    carried[at] = left.get(name) ? name : undefined;
    const lines = read.map((lane) => [lane, at, 0, MIDDLE]);
    carried.forEach((value, lane) => value && lines.push([lane, lane, value === before[lane] ? 0 : MIDDLE, "100%"]));
    return { at, lines, used: carried.length };
  });
}
