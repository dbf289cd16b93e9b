// Makes tests/cases/teachable: small models with the structure and the files of Teachable Machine's exports, and
// what real tf.js answers.
//
//     node tests/cases/make_teachable_with_tfjs.mjs [--into FOLDER]
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { drawn, picture, TEACHABLE } from "../js/golden/teachable.mjs";
import { loaded, saved } from "../js/layers_model.mjs";
import { inScope, TFJS } from "../js/tfjs.mjs";

const { values: options } = parseArgs({
  options: { into: { type: "string", default: join(dirname(fileURLToPath(import.meta.url)), "teachable") } },
});

for (const row of TEACHABLE) {
  await inScope(async () => {
    const files = await saved(drawn(row));
    const model = await loaded(files);
    const answers = Array.from(model.predict(picture(model)).dataSync());
    const folder = join(options.into, row.name);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "model.json"), JSON.stringify(files.document));
    await writeFile(join(folder, "weights.bin"), files.weights);
    await writeFile(join(folder, "metadata.json"), JSON.stringify(row.metadata));
    await writeFile(join(folder, "expected.json"), `${JSON.stringify({ by: TFJS, answers })}\n`);
  });
}
