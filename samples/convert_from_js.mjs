// Sends a model's files to the server and keeps what comes back. Node 20 or newer, nothing to install.
//
//   tfjs-torch serve
//   node samples/convert_from_js.mjs http://localhost:8000 samples/ml5-classifier out '[{"step": "prune", "amount": 0.3}]'
//
// The last argument, the steps, can be left out: then the same files come back.

import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";

const [server, folder, out, steps = "[]"] = process.argv.slice(2);
if (!out) {
  console.error("Usage: node convert_from_js.mjs SERVER FOLDER OUT [STEPS]");
  process.exit(2);
}

// model.json, model_meta.json or metadata.json, and the weights: the server finds out by itself which is which.
const form = new FormData();
for (const name of await readdir(folder)) {
  if (/^(model.*|metadata)\.json$|\.bin$/.test(name)) {
    form.append(name, new Blob([await readFile(join(folder, name))]), name);
  }
}

const address = new URL("/convert", server);
address.searchParams.set("process", steps);
const response = await fetch(address, {
  method: "POST",
  body: form,
  headers: { Accept: "multipart/form-data" },
});
if (!response.ok) {
  const problem = await response.json(); // RFC 9457: {title, detail, where, what_to_do, ...}
  console.error(`${response.status} ${problem.title}: ${problem.detail}`);
  process.exit(1);
}

await mkdir(out, { recursive: true });
for (const [, file] of await response.formData()) {
  const content = Buffer.from(await file.arrayBuffer());
  await writeFile(join(out, basename(file.name)), content);
  console.log(`${join(out, basename(file.name))}: ${content.length} bytes`);
  if (file.name === "report.json") {
    const report = JSON.parse(content);
    for (const warning of report.warnings) console.log(warning);
    console.log(`${report.changed_parameters} of ${report.parameters} numbers changed`);
  }
}
