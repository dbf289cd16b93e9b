// Makes tests/cases/layers, what real tf.js computes for each layer, option and topology, and
// tests/cases/gradients, what one step of its training does.
//
//     node tests/cases/make_layers_with_tfjs.mjs [--force] [--into FOLDER]
import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { layerCase } from "../js/golden/layers/cases.mjs";
import { FAMILIES } from "../js/golden/layers/families.mjs";
import { gradientCase, gradients } from "../js/golden/layers/gradients.mjs";
import { inScope } from "../js/tfjs.mjs";

const { values: options } = parseArgs({
  options: { force: { type: "boolean" }, into: { type: "string", default: dirname(fileURLToPath(import.meta.url)) } },
});

/** One line for each key, so that a change shows as one line. */
function listing(fields) {
  const lines = Object.entries(fields).map(([key, value]) => ` ${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  return `{\n${lines.join(",\n")}\n}\n`;
}

const failed = [];

/** Writes what `make` gives for each row; a row that tf.js refuses must not hide the others. */
async function writeAll(folder, rows, make) {
  await mkdir(join(options.into, folder), { recursive: true });
  const names = new Set();
  for (const row of rows) {
    const path = join(options.into, folder, `${row.name}.json`);
    if (names.has(row.name)) throw new Error(`two cases are called ${folder}/${row.name}`);
    if (existsSync(path) && !options.force) throw new Error(`${path} is there already; --force makes it anew`);
    names.add(row.name);
    try {
      await writeFile(path, listing(await inScope(() => make(row))));
    } catch (error) {
      failed.push(`${folder}/${row.name}: ${error}`);
    }
  }
  console.error(`made ${folder}: ${rows.length} cases`);
}

for (const [family, rows] of Object.entries(FAMILIES)) {
  await writeAll(join("layers", family), rows, (row) => layerCase(family, row));
}
await writeAll("gradients", gradients, gradientCase);
if (failed.length) throw new Error(`not made:\n${failed.join("\n")}`);
