// What ml5 will do with the files, in plain words, and the button that mends them.
import * as api from "./api.js";
import { attempt } from "./attempt.js";
import { button, download, el, part, say, small } from "./dom.js";
import { withSketch } from "./drop.js";

const KINDS = { error: ["✕", "Goes wrong"], warning: ["!", "May go wrong"], note: ["i", "Good to know"] };
const ROUTES = { string: "by the URL", object: "by {model, metadata, weights}", files: "by the file picker" };
const VERSIONS = { "0.x": "ml5 0.12", "1.x": "ml5 1.x" };
const OTHER_KINDS = ["teachable-machine", "feature-extractor", "knn", "plain-model"]; // nothing of ml5.neuralNetwork's
const OF_SKETCH = /^(load-|no-backend$|train-after-load$)/; // of how the files are loaded, not of the files
const FINE = "ml5 0.12 and 1.x load these files by every route.";

// A part of the page; what was found comes when the server has answered. `open(files, {done})` shows what was mended.
export function checkPart(files, open, repaired) {
  const body = el("div", { "aria-live": "polite" }, el("p.hint", "Looking…"));
  api.check(withSketch(files)).then((told) => body.replaceChildren(...content(told.findings, files, open)),
    (error) => body.replaceChildren(el("p.hint", `The files could not be checked. ${error.message}`)));
  return part("Check", "How ml5.neuralNetwork loads these files: in its versions, and by all its ways.", repaired && mended(repaired, files), body);
}

// The same where the model could not be opened at all; null where there is nothing to say.
export async function checkClosed(files, open) {
  if (!files.some(({ name }) => /\.(json|bin|zip)$/i.test(name))) return null;
  const told = await api.check(withSketch(files)).catch(() => null);
  return told?.findings.length ? el("div.closed", el("h2", "What ml5 would say"), content(told.findings, files, open)) : null;
}

function content(findings, files, open) {
  if (!findings.length) return [el("p.fine", el("span.sign", { "aria-hidden": "true" }, "✓"), FINE)];
  const box = el("div.box");
  const start = button("Repair", async () => {
    const answer = await attempt(box, (watch) => api.repair(files, watch));
    if (!answer) return;
    open(answer.files, { done: answer.report.done });
    say(`Repaired. ${answer.report.done.join(" ")}`);
  }, { class: "primary" });
  const mends = findings.some(({ repairable }) => repairable);
  const ofFiles = findings.filter(({ code }) => !OF_SKETCH.test(code));
  const fails = ofFiles.some((each) => Object.values(each.fails).some((routes) => routes.length));
  const others = findings.some(({ code }) => OTHER_KINDS.includes(code));
  const fine = ofFiles.length < findings.length ? `${FINE} It is what the sketch does with them:` : FINE;
  return [fails ? table(ofFiles) : !others && el("p.fine", fine), el("ul.findings", findings.map(card)), mends && start, mends && box].filter(Boolean);
}

// Which version fails by which way.
function table(findings) {
  const fails = (version, route) => findings.some((each) => each.fails[version]?.includes(route));
  const cell = (bad) => el(bad ? "td.bad" : "td", bad ? "✕ goes wrong" : "✓ works");
  return el("div.routes", { tabindex: 0, role: "group", "aria-label": "Versions and ways" }, el("table",
    el("thead", el("tr", el("td"), Object.values(ROUTES).map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", Object.entries(VERSIONS).map(([version, text]) => el("tr", el("th", { scope: "row" }, text),
      Object.keys(ROUTES).map((route) => cell(fails(version, route))))))));
}

function card({ severity, where, message, advice }) {
  const [sign, word] = KINDS[severity] ?? KINDS.note;
  return el(`li.card.${severity}`, el("h3", el("span.sign", { "aria-hidden": "true" }, sign), el("span", word), el("span.mono.hint", where)),
    el("p", message), el("p.hint", advice));
}

function mended(done, files) {
  return el("div.card", el("h3", "Repaired"), el("ul.done", done.map((text) => el("li", text))),
    el("p.row", "Download", files.map((file) => small(file.name, () => download(file, file.name), { "aria-label": `Save ${file.name}` }))));
}
