// A row of the tables -> a case: built, saved, edited, loaded again, and run by real tf.js.
import { tensorOf, raw, TFJS, tf } from "../../tfjs.mjs";
import { applied, built, filled, loaded, predicted, saved } from "../../layers_model.mjs";
import { Random } from "../../random.mjs";

const MADE_BY = `make_layers_with_tfjs.mjs, ${TFJS}`;

/** {file name: text} of one case. */
export async function layerCase(family, row) {
  const seed = `${family}/${row.name}`;
  const random = new Random(seed);
  const model = await built(row.topology, random);
  const files = await saved(model);
  row.edit?.(files.document, files);
  const calls = [];
  const batch = row.batch ?? 2;
  for (let i = 0; i < (row.calls ?? 1); i++) {
    calls.push(row.inputs.map((given, which) => inputOf(given, model.inputs[which].sourceLayer.name, batch, random)));
  }
  const judged = await answers(row, files, calls);
  return {
    made_by: MADE_BY,
    layer: row.layer,
    about: row.about,
    semantics: "tfjs",
    model: files.document,
    weights: files.weights.toString("base64"),
    ...(row.calls ? { calls: judged.map(asJson) } : asJson(judged[0])),
    ...(row.quirk && { quirk: row.quirk }),
  };
}

function inputOf({ shape, blank, ...given }, name, batch, random) {
  const full = filled({ ...given, name, shape: given.unbatched ? shape : [batch, ...shape] }, random);
  if (blank) blankSteps(full, blank);
  return full;
}

/** Overwrites whole time steps: `steps` lists those of each batch row. */
function blankSteps({ shape, bytes }, { value, steps }) {
  const numbers = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const step = shape.slice(2).reduce((a, b) => a * b, 1);
  steps.forEach((times, row) => times.forEach((time) => {
    numbers.fill(value, (row * shape[1] + time) * step, (row * shape[1] + time + 1) * step);
  }));
}

/** What the loaded model makes of each call's inputs, one call after the other. */
async function answers({ alone, instead }, files, calls) {
  if (instead) return answersOnMovedAxes(instead, files, calls);
  const run = await runner(alone, files);
  const done = [];
  for (const inputs of calls) done.push({ inputs, outputs: await run(inputs) });
  return done;
}

/** `alone`: true to call the loaded model's last layer by itself, or a layer where no model can be loaded. */
async function runner(alone, files) {
  if (typeof alone === "function") return (inputs) => applied(alone(), inputs);
  const model = await loaded(files);
  return (inputs) => (alone ? applied(model.layers.at(-1), inputs) : predicted(model, inputs));
}

async function answersOnMovedAxes({ edit, inputs: to, outputs: back }, { document, weights }, calls) {
  const other = structuredClone(document);
  edit(other);
  const model = await loaded({ document: other, weights });
  const move = (rows, axes) => Promise.all(rows.map((row) => raw(row.name, tf.transpose(tensorOf(row), axes))));
  const done = [];
  for (const inputs of calls) {
    done.push({ inputs, outputs: await move(await predicted(model, await move(inputs, to)), back) });
  }
  return done;
}

const asJson = ({ inputs, outputs }) => ({ inputs: inputs.map(row), outputs: outputs.map(row) });
const row = ({ name, shape, dtype, bytes }) => ({ name, shape, dtype, data: bytes.toString("base64") });
