// What model_meta.json (ml5) and metadata.json (Teachable Machine) say about a network's numbers, and those numbers as
// ml5 1.x computes them. No page needed. Whatever the two files say, describeMeta and readMeta do not throw.
import { listing, number } from "./dom.js";

const SLIDERS = 32; // more plain numbers than these are typed as a list

const object = (value) => (value !== null && typeof value === "object" ? value : {});
const filled = (value) => Array.isArray(value) && value.length > 0;
const product = (shape) => shape.reduce((all, n) => all * n, 1);
const isPicture = (shape) => shape.length === 3 && [1, 3, 4].includes(shape[2]);
export const ranged = (column) => Number.isFinite(column?.min) && Number.isFinite(column.max) && column.min < column.max;

// What a network takes and answers: {shapes, inputs, outputs, labels, normalized, problem}.
// inputs: [{name, at, kind: "number" | "category" | "pixels" | "list", min, max}], `at` being the place of its shape;
// outputs: [{name, min, max}] of model_meta.json, or none; labels: a classifier's in the order of its units, or null;
// problem: a sentence for the user, or "".
export function readMeta(meta, { outline, metadata }) {
  const saved = columnsOf(meta);
  const named = outline?.inputs?.length ? outline.inputs : saved ? [{ shape: [1, ...saved.units] }] : [];
  const shapes = named.map(({ shape }) => shape.slice(1).map((n, _, all) => n ?? (isPicture(all) ? 64 : 1)));
  const fitting = saved && ml5Inputs(saved, shapes);
  if (fitting) return { ...saved, shapes, inputs: fitting, problem: "" };
  const labels = teachable(metadata);
  const inputs = shapes.flatMap((shape, at) => plainInputs(shapes.length > 1 ? named[at].name : "input", shape, at, labels));
  const problem = !inputs.length ? "Only a model with layers can be tried here."
    : saved ? "model_meta.json does not fit this network; here are the network's plain numbers." : "";
  return { shapes, inputs, outputs: [], labels: labels ?? saved?.labels ?? null, normalized: true, problem };
}

// One value an input (a list may be shorter: it is repeated) -> [{shape, data: Float32Array}], one a shape.
export function encode({ shapes, inputs, normalized }, values) {
  return shapes.map((shape, at) => {
    const length = product(shape);
    if (length > 1e6) throw new Error("This network takes too many numbers to try it here.");
    const units = inputs.flatMap((input, i) => (input.at === at ? unitsOf(input, values[i], normalized) : []));
    return { shape: [1, ...shape], data: Float32Array.from({ length }, (_, i) => units[i % units.length]) };
  });
}

function unitsOf({ name, kind, labels, min, max }, value, normalized) {
  if (kind === "category") return labels.map((label) => Number(label === value));
  const values = [...(kind === "number" ? [value] : value ?? [])];
  if (!values.length || !values.every(Number.isFinite)) throw new Error(`${name}: type a number.`);
  return normalized ? values.map((v) => (min === max ? 0 : (v - min) / (max - min))) : values;
}

// The network's numbers -> [{label, confidence}], most likely first, or [{label, value}].
export function decode({ labels, outputs, normalized }, numbers) {
  const units = [...numbers];
  if (labels) return labels.map((label, i) => ({ label, confidence: units[i] })).sort((a, b) => b.confidence - a.confidence);
  if (!outputs.length) return units.map((value, i) => ({ label: `output ${i + 1}`, value }));
  return outputs.map(({ name, min, max }, i) =>
    ({ label: name, value: !normalized ? units[i] : min === max ? min : units[i] * (max - min) + min }));
}

// [{title, text}]: the two files in words. Either may be null.
export function describeMeta(meta, metadata) {
  const saved = columnsOf(meta);
  const labels = saved ? saved.labels : teachable(metadata);
  const facts = [];
  const tell = (title, text) => facts.push({ title, text });
  if (labels) tell("Task", `It says which of ${labels.length} labels fits best.`);
  else tell("Task", saved ? "It answers with numbers (regression)." : "Names and ranges are unknown: there is no model_meta.json.");
  if (saved) tell("Inputs", listing(saved.inputs.map((column) => columnText(column, saved.units))));
  if (labels) tell("Labels", listing(labels.map(short)));
  else if (saved) tell("Outputs", listing(saved.outputs.map((column) => columnText(column))));
  if (saved?.normalized) tell("Scaling", "ml5 scales every number to 0–1 by its range.");
  if (saved?.old) tell("Watch out", "ml5 0.4 saved this. Newer ml5 loads it, but fails when it answers.");
  if (saved && labels?.some((label, i) => /^\d+$/.test(label) && Number(label) < Number(labels[i - 1]))) {
    tell("Watch out", "These labels are numbers: ml5 0.x and classifySync mix them up; classify of ml5 1.x does not.");
  }
  return facts;
}

const short = (text) => (text.length > 40 ? `${text.slice(0, 39)}…` : text);

function columnText({ name, kind, labels, min, max }, units) {
  if (labels) return `${short(name)} (${listing(labels.map(short))})`;
  const range = ranged({ min, max }) ? ` from ${number(min)} to ${number(max)}` : "";
  return `${short(name)} (${kind === "array" ? `${units.join(" × ")} numbers` : "a number"}${range})`;
}

const teachable = (metadata) => [object(metadata).labels, object(metadata).wordLabels].find(filled)?.map(String) ?? null;

// ml5 0.4 kept the ranges beside the columns, {data, meta}; since 0.5 every column holds its own.
function columnsOf(meta) {
  const old = "inputs" in object(object(meta).meta);
  const { inputUnits, isNormalized, ...sides } = old ? meta.meta : object(meta);
  const { inputMin, inputMax, outputMin, outputMax } = object(old && meta.data);
  const inputs = columns(sides.inputs, inputMin, inputMax);
  const outputs = columns(sides.outputs, outputMin, outputMax);
  if (!inputs.length || !outputs.length) return null;
  const units = [inputUnits].flat().filter(Number.isFinite);
  return { inputs, outputs, labels: outputs[0].labels, units, old, normalized: Boolean(isNormalized) };
}

function columns(side, mins, maxs) {
  const at = (ranges, i) => (Array.isArray(ranges) ? ranges[i] : ranges);
  return Object.entries(object(side)).map(([name, told], i) => {
    const { dtype, min = at(mins, i), max = at(maxs, i), ...codes } = object(told);
    const labels = (dtype === "string" && labelsOf(codes)) || null;
    return { name, kind: labels ? "category" : dtype === "array" ? dtype : "number", min, max, labels };
  });
}

// JavaScript lists keys like "10" out of order, so the code says which unit a label is, not its place.
function labelsOf({ legend, uniqueValues }) {
  const units = Object.entries(object(legend)).map(([label, code]) => [label, filled(code) ? code.indexOf(1) : -1]);
  if (units.length) return units.sort((a, b) => a[1] - b[1]).map(([label]) => label);
  return filled(uniqueValues) && uniqueValues.map(String);
}

// null where the columns do not fit the network.
function ml5Inputs({ inputs, units }, [shape, ...others]) {
  const isArray = inputs[0].kind === "array";
  const width = isArray ? product(units) : inputs.reduce((all, { labels }) => all + (labels?.length ?? 1), 0);
  if (others.length || product(shape) !== width) return null;
  if (!isArray) return inputs.map((column) => ({ ...column, at: 0 }));
  const [w, h, channels] = units; // ml5 reads a picture row by row, whatever the network's axes are
  return [{ ...inputs[0], at: 0, kind: isPicture(units) ? "pixels" : "list", width: w, height: h, channels, count: width }];
}

// Teachable Machine crops pictures and takes −1…1; other networks mostly take 0…1.
function plainInputs(name, shape, at, crop) {
  const [height, width, channels] = shape;
  if (isPicture(shape)) return [{ name, at, kind: "pixels", width, height, channels, crop, min: crop ? 127.5 : 0, max: 255 }];
  const count = product(shape);
  if (shape.length !== 1 || count > SLIDERS) return [{ name, at, kind: "list", count, min: 0, max: 1 }];
  return Array.from({ length: count }, (_, i) => ({ name: `${name} ${i + 1}`, at, kind: "number", min: 0, max: 1 }));
}
