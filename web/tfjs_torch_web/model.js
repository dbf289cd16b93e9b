// An open model: what it is, what it learned, the steps, what they did, trying it, and taking it away.
import * as api from "./api.js";
import { attempt } from "./attempt.js";
import { checkPart } from "./check.js";
import { button, el, goTo, nameList, part, small, total } from "./dom.js";
import { downloadsPart } from "./downloads.js";
import { rowsPicker, train } from "./finetune.js";
import { describeMeta, readMeta } from "./ml5meta.js";
import { facts, headline, picture } from "./picture.js";
import { resultsPart } from "./results.js";
import { stepsPanel } from "./steps.js";
import { tensorPart } from "./tensors.js";
import { mountTryIt } from "./tryit.js";

// Gives a function that closes the model; `another` is called by the button for that, `open(files, how)` shows other files
// in its place. `data`: files to train with; `how`: how it came about, {report} or what was repaired, {done}.
export function show(root, [files, data], inspected, formats, another, open, { report, done } = {}) {
  const meta = readMeta(inspected.meta, inspected);
  const now = { files, fields: {}, ...meta };
  const results = el("div", report && resultsPart(report));
  const trial = el("div");
  const stale = el("p.hint", { hidden: true }, "The steps are no longer those that ran. Run them again to see what they do.");
  const downloads = downloadsPart(formats, () => now);

  const reopen = (found, how) => open([...found, ...data], how); // with the data that are here

  async function run(fields, others, box, rows) {
    const answer = await attempt(box, (watch) => (rows ? train([files, ...others], rows, fields, watch) : api.convert([files, ...others], fields, watch)));
    if (!answer) return;
    Object.assign(now, { files: answer.files, fields, done: true });
    results.replaceChildren(resultsPart(answer.report, rows && button("Open the finetuned model", () => reopen(answer.files))));
    stale.hidden = true;
    downloads.update();
    tryIt.update(answer.files);
    goTo(results.querySelector("h2"));
  }

  const changed = () => (stale.hidden = now.files === files);
  const title = el("h1.answer", { tabindex: -1 }, headline(inspected, meta));
  const check = checkPart(files, reopen, done);
  const names = files.length > 4 ? `${files.length} files` : nameList(files);
  const rows = data.length ? `, and ${nameList(data)} to train with` : "";
  const steps = stepsPanel(withTraining(formats, meta.outputs.length > 0), inspected.tensors.map(({ name }) => name), run, changed, rowsPicker(data, meta, changed));
  root.replaceChildren(el("div",
    el("div.row.opened.quiet", el("p", `${names}: ${total(files)}${rows}`), small("Open another model", another)),
    title, picture(inspected, meta), facts(inspected, describeMeta(inspected.meta, inspected.metadata)),
    check, tensorPart(inspected.tensors),
    part("Change it", "Choose what PyTorch does with the numbers. Steps run from top to bottom.", steps, stale),
    results, part("Try it", "Give the network inputs of your own.", trial), downloads.element));
  const tryIt = mountTryIt(trial, { files, changed: null, inspected, formats, api });
  goTo((done ? check : results).querySelector("h2") ?? title);
  return () => {
    tryIt.close();
    root.replaceChildren();
  };
}

// With ml5's meta file, training is what most people come for; without it, nobody knows what data mean.
function withTraining({ steps, ...more }, possible) {
  const [training, others] = [steps.filter(({ takes }) => takes === "module"), steps.filter(({ takes }) => takes !== "module")];
  return { ...more, steps: possible ? [...training, ...others] : others };
}
