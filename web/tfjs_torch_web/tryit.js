// "Try it": controls for a network's inputs, and what it answers before and after, side by side. tf.js computes in this
// browser (fetched when the panel opens); where it is out of reach or refuses the model, PyTorch does on the server.
// Classes: try-inputs try-canvas try-answers try-side try-row try-best (the likeliest) try-value try-change try-bar
// try-fill try-say; fields, field, hint and problem as elsewhere.
import { control } from "./controls.js";
import { button, el, number, uid } from "./dom.js";
import { decode, encode, ranged, readMeta } from "./ml5meta.js";

const MOST = 12; // answers that are shown
const TYPED = 32; // numbers of a list; the network gets them again and again where it takes more

// `files` and `changed`: the File objects of the model before and after (null: not yet). Gives {update(changed), close()}.
export function mountTryIt(container, { files, changed = null, inspected, formats, api }) {
  const model = readMeta(inspected.meta, inspected);
  const fields = el("div", { class: "fields" });
  const answers = el("div", { class: "try-answers" });
  const problem = el("p", { role: "alert" });
  const say = el("p", { class: "try-say", "aria-live": "polite" });
  const note = el("p", { class: "hint" }, "TensorFlow.js is on its way…");
  const inputs = el("fieldset", { class: "try-inputs" }, el("legend", {}, "Inputs"), fields, button("Random inputs", () => fill(true)));
  let after = model; // what the changed one takes and answers: a training may add labels
  let controls = [];
  let engine = null; // tf.js with the models of all sides
  let refusal = ""; // why PyTorch has to do it
  let opened, wanted, busy, stale, closed, resting;

  const open = button("Try it", () => {
    opened = true;
    container.replaceChildren(inputs, answers, say, problem, note);
    fill(false);
    fields.querySelector("input, select").focus();
  });
  container.replaceChildren(model.inputs.length ? open : model.problem);

  function fill(random) {
    controls = model.inputs.map((input) => (input.kind === "pixels" ? picture : field)(input, refresh, random));
    fields.replaceChildren(...controls.map(({ element }) => element));
    refresh();
  }

  function drop() {
    engine?.close();
    engine = null;
  }

  // One answer at a time; what changes meanwhile is answered after it.
  async function refresh() {
    wanted = true;
    if (busy || !opened) return;
    for (busy = true; wanted && !closed; ) {
      wanted = false;
      let trouble = model.problem;
      try {
        const sides = await answer(encode(model, controls.map(({ read }) => read())));
        show(sides.map((numbers, i) => decode(i ? after : model, numbers)));
      } catch (error) {
        answers.replaceChildren();
        trouble = `${error.message} ${error.todo ?? ""}`;
        note.textContent = refusal && `TensorFlow.js: ${refusal}`;
      }
      problem.textContent = trouble;
      problem.className = trouble && "problem";
      await new Promise((resume) => setTimeout(resume, refusal ? 150 : 0));
    }
    busy = false;
    if (closed) drop();
  }

  // The numbers of all sides, all by the same program.
  async function answer(tensors) {
    const sides = [files, changed].filter(Boolean);
    if (stale) drop();
    if (stale) refusal = "";
    stale = false;
    try {
      if (refusal) throw new Error(refusal);
      const small = inspected.parameters < 2e5 && tensors.every(({ data }) => data.length < 2e4);
      engine ??= await inBrowser(formats?.tfjs, sides, small);
      const numbers = await engine.run(tensors);
      note.textContent = `Computed by TensorFlow.js ${tf.version.tfjs} in your browser.`;
      return numbers;
    } catch (error) {
      drop();
      refusal = error.message;
    }
    const nested = tensors.map(({ shape, data }) => nest([...data], shape));
    const replies = await Promise.all(sides.map((side) => api.predict(side, nested)));
    note.textContent = `Computed by PyTorch on the server. TensorFlow.js did not: ${refusal.split("\n")[0].slice(0, 160)}`;
    return replies.map(({ outputs }) => outputs.flat(Infinity));
  }

  function show(sides) {
    const titles = sides.length > 1 ? ["Before", "After"] : ["Now"];
    answers.replaceChildren(...titles.map((title, i) => column(title, i ? after : model, sides, i)));
    const texts = sides.map((side) => largest(side, model.labels ? 1 : 4).map((one) => `${one.label} ${written(one)}`).join(", "));
    clearTimeout(resting); // nobody is told every step of a slider
    resting = setTimeout(() => {
      const same = texts[0] === texts[1];
      say.textContent = same ? `No change: ${texts[0]}.` : texts.map((text, i) => `${titles[i]}: ${text}.`).join(" ");
    }, 400);
  }

  return {
    async update(files) {
      const meta = files.find(({ name }) => name.endsWith("_meta.json"));
      after = meta ? readMeta(JSON.parse(await meta.text()), inspected) : model;
      changed = files;
      stale = true;
      refresh();
    },
    close() {
      closed = true;
      clearTimeout(resting);
      if (!busy) drop();
      container.replaceChildren();
    },
  };
}

// ---- Inputs: {element, read()}

function field({ name, kind, labels, min, max, count = 1 }, changed, random) {
  const [minimum, maximum] = ranged({ min, max }) ? [min, max] : [0, 1];
  const part = () => (random ? Math.random() : 0.5);
  const numbers = Array.from({ length: Math.min(count, TYPED) }, () => +(minimum + part() * (maximum - minimum)).toPrecision(4));
  const description = count > TYPED ? `The network takes ${number(count)}: it gets these again and again.` : null;
  const schema = kind === "list" ? { type: "array", default: numbers, description }
    : kind === "number" ? { type: "number", minimum, maximum, default: numbers[0] }
    : { enum: labels, default: labels[random ? Math.floor(part() * labels.length) : 0] };
  return control(name, schema, [], changed);
}

function picture({ name, width, height, channels, crop }, changed) {
  const id = uid();
  const canvas = el("canvas", { width, height, class: "try-canvas", role: "img", "aria-label": `${name}, ${width} × ${height}` });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const any = (most) => Math.random() * most;
  for (let i = 0; i < 6; i++) {
    pen.fillStyle = `hsl(${any(360)} 70% 50%)`;
    pen.fillRect(i && any(width), i && any(height), i ? any(width) : width, i ? any(height) : height);
  }
  let broken = false;
  const onchange = async ({ target }) => {
    const bitmap = await createImageBitmap(target.files[0]).catch(() => null);
    broken = !bitmap;
    const scale = bitmap && Math.max(width / bitmap.width, height / bitmap.height);
    const [w, h] = crop && bitmap ? [bitmap.width * scale, bitmap.height * scale] : [width, height];
    pen.clearRect(0, 0, width, height);
    if (bitmap) pen.drawImage(bitmap, (width - w) / 2, (height - h) / 2, w, h);
    changed();
  };
  const read = () => {
    if (broken) throw new Error("This file is not a picture.");
    const { data } = pen.getImageData(0, 0, width, height);
    if (channels > 1) return data.filter((_, i) => i % 4 < channels);
    return Array.from({ length: width * height }, (_, i) => 0.2989 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]);
  };
  const file = el("input", { type: "file", id, accept: "image/*", onchange });
  return { element: el("div", { class: "field" }, el("label", { for: id }, `${name}: choose a picture`), file, canvas), read };
}

// ---- Answers

const sizeOf = ({ confidence, value }) => confidence ?? value ?? NaN;
const written = ({ confidence, value }) => (confidence === undefined ? number(value) : `${(100 * confidence).toFixed(1)} %`);
const largest = (side, most) => (side.length > MOST ? [...side].sort((a, b) => sizeOf(b) - sizeOf(a)) : side).slice(0, most);

// One side: the labels in the network's own order, or the likeliest before where there are many.
function column(title, { labels, outputs }, sides, at) {
  const id = uid();
  const names = labels?.length <= MOST ? labels : largest(sides[0], MOST).map(({ label }) => label);
  const sizes = sides.flatMap((side) => largest(side, MOST)).map(sizeOf);
  const all = { min: Math.min(0, ...sizes), max: Math.max(0, ...sizes) };
  const rows = names.map((label, i) => {
    const [now, before] = [sides[at], sides[0]].map((side) => side.find((answer) => answer.label === label));
    const change = before ? sizeOf(now) - sizeOf(before) : 0;
    const step = labels ? (100 * change).toFixed(1).replace("-", "−") : number(change);
    return el("li", { class: labels && label === sides[at][0].label ? "try-row try-best" : "try-row" },
      el("span", {}, label), " ",
      el("span", { class: "try-value" }, written(now),
        /[1-9]/.test(step) && el("span", { class: "try-change" }, ` ${change > 0 ? "+" : ""}${step}`)),
      bar(sizeOf(now), labels ? { min: 0, max: 1 } : ranged(outputs[i]) ? outputs[i] : all));
  });
  return el("section", { class: "try-side", "aria-labelledby": id }, el("h3", { id }, title), el("ul", {}, rows));
}

// From zero to the value, on the scale of all values that may come.
function bar(value, { min, max }) {
  const place = (v) => Math.min(1, Math.max(0, (v - min) / (max - min || 1))) * 100;
  const [from, to] = [place(0), place(value)];
  const fill = el("span", { class: "try-fill" });
  Object.assign(fill.style, { left: `${Math.min(from, to)}%`, width: `${Math.abs(to - from)}%` });
  return el("span", { class: "try-bar", "aria-hidden": "true" }, fill);
}

// ---- tf.js

let script = null;

const fetched = ({ src, integrity }) => (script ??= new Promise((resolve, reject) => {
  const fail = () => reject(new Error("it could not be fetched."));
  setTimeout(fail, 15_000);
  document.head.append(el("script", { src, integrity, crossorigin: "anonymous", onload: resolve, onerror: fail }));
}));

async function inBrowser(source, sides, small) {
  if (!globalThis.tf?.setBackend) await fetched(source ?? { src: "" });
  // Small networks answer sooner, and more exactly, without a graphics card.
  if (small || !(await tf.setBackend("webgl").catch(() => false))) await tf.setBackend("cpu");
  const models = [];
  const close = () => models.forEach((model) => model.dispose());
  const answerOf = async (model, tensors) => {
    const outputs = tf.tidy(() => [model.predict(tensors.map(({ shape, data }) => tf.tensor(data, shape)))].flat());
    const numbers = await Promise.all(outputs.map((output) => output.data()));
    tf.dispose(outputs);
    return numbers.flatMap((some) => [...some]);
  };
  try {
    for (const files of sides) models.push(await tf.loadLayersModel(tf.io.fromMemory(await artifacts(files))));
  } catch (error) {
    close();
    throw error;
  }
  return { close, run: (tensors) => Promise.all(models.map((model) => answerOf(model, tensors))) };
}

// As tf.js reads files, but joined (it misreads a last shard that is the largest), and one weights file under any name
// (browsers save "model.weights (1).bin").
async function artifacts(files) {
  const base = (path) => path.split("/").at(-1);
  const weights = files.filter(({ name }) => !name.endsWith(".json"));
  for (const file of files.filter((each) => !weights.includes(each))) {
    const { modelTopology, weightsManifest } = JSON.parse(await file.text());
    if (!modelTopology || !weightsManifest) continue;
    const paths = weightsManifest.flatMap((group) => group.paths);
    const parts = paths.map((path) => weights.find(({ name }) => base(name) === base(path)) ?? (paths.length === 1 && weights[0]));
    if (!parts.every(Boolean)) break;
    const weightData = await new Blob(parts).arrayBuffer();
    return { modelTopology, weightSpecs: weightsManifest.flatMap((group) => group.weights), weightData };
  }
  throw new Error("it needs model.json and its weights as single files.");
}

function nest(numbers, [n, ...rest]) {
  const size = numbers.length / n;
  return rest.length ? Array.from({ length: n }, (_, i) => nest(numbers.slice(i * size, (i + 1) * size), rest)) : numbers;
}
