// Makes the golden cases that real tf.js writes or reads, and tf.js' column of refusals.json.
//
//     node tests/cases/make_with_tfjs.mjs [--force] [--into FOLDER]
import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { judgedLayouts, streams } from "../js/golden/layouts.mjs";
import { manifestCases } from "../js/golden/manifests.mjs";
import { modelCases } from "../js/golden/models.mjs";
import { judgedRefusals } from "../js/golden/refusals.mjs";
import { tensorCases } from "../js/golden/tensors.mjs";
import { decode, exact, inScope, load, TFJS } from "../js/tfjs.mjs";

const MADE_BY = `make_with_tfjs.mjs, ${TFJS}`;

const { values: options } = parseArgs({
  options: { force: { type: "boolean" }, into: { type: "string", default: dirname(fileURLToPath(import.meta.url)) } },
});

function hexTensor({ name, shape, dtype, bytes, strings }) {
  const hex = (buffer) => buffer.toString("hex");
  return { name, shape, dtype, ...(strings ? { strings: strings.map(hex) } : { data: hex(bytes) }) };
}

/** {"made_by", ...head, [key]: rows} with one row a line, so that a change shows as one line. */
function listing(head, key, rows) {
  const text = JSON.stringify;
  const top = Object.entries({ made_by: MADE_BY, ...head }).map(([name, value]) => ` ${text(name)}: ${text(value)},\n`);
  const lines = rows.map((row) => `  ${text(row)}`).join(",\n");
  return `{\n${top.join("")} ${text(key)}: [\n${lines}\n ]\n}\n`;
}

function fresh(path) {
  if (existsSync(path) && !options.force) throw new Error(`${path} is there already; --force makes it anew`);
  return path;
}

async function writeCase({ name, files }) {
  const folder = fresh(join(options.into, name));
  const tensors = await inScope(() => trueTensors(files));
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [path, bytes] of Object.entries(files)) await writeFile(join(folder, path), bytes);
  await writeFile(join(folder, "expected.json"), listing({}, "tensors", tensors.map(hexTensor)));
  console.error(`made ${name}: ${tensors.length} tensors`);
}

/** What tf.js reads from the files; the same from one joined buffer, or tf.js has misread its shards. */
async function trueTensors(files) {
  const tensors = await load("model.json", (path) => files[posix.normalize(path)]);
  const manifest = JSON.parse(new TextDecoder().decode(files["model.json"])).weightsManifest;
  const stream = manifest.flatMap(({ paths }) => paths.map((path) => files[posix.normalize(path)]));
  const joined = await decode(manifest.flatMap(({ weights }) => weights), [exact(Buffer.concat(stream))]);
  if (JSON.stringify(tensors) !== JSON.stringify(joined)) throw new Error("tf.js misreads the shards of this case");
  return tensors;
}

async function writeListing(file, head, key, rows) {
  await writeFile(fresh(join(options.into, file)), listing(head, key, rows));
  console.error(`made ${file}: ${rows.length} ${key}`);
}

for (const cases of [tensorCases(), modelCases(), manifestCases()]) {
  for await (const made of cases) await writeCase(made);
}
await writeListing("shard_layouts.json", { streams }, "layouts", await judgedLayouts());
await writeListing("refusals.json", {}, "cases", await judgedRefusals(hexTensor));
