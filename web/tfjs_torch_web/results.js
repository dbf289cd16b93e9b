// Before and after: what the steps did to each tensor.
import { el, listing, number, part, percent, plural, remarks, shapeText } from "./dom.js";
import { curve } from "./curve.js";
import { histogram } from "./histogram.js";
import { cards, nameOf } from "./tensors.js";

export function resultsPart({ tensors, warnings, finetune, changed_parameters: changed, parameters, changed_tensors: some, seconds }, more) {
  const intro = changed
    ? `${number(changed)} of ${plural(parameters, "number")}, in ${number(some)} of ${plural(tensors.length, "tensor")}. It took ${number(seconds)} seconds.`
    : "Nothing: every number is the same, to the bit.";
  const legend = el("p.legend.hint", { "aria-hidden": "true" }, el("span.key"), "before", el("span.key.new"), "after");
  return part("What changed", intro, remarks(warnings), finetune && learnt(finetune), more, changed > 0 && legend, cards([...tensors].sort((a, b) => (b.changed !== 0) - (a.changed !== 0)), card));
}

// How the training went.
function learnt({ rows, epochs, stopped, accuracy, loss, labels, new_labels: added }) {
  const figures = accuracy ? [["right before", percent(accuracy.before)], ["right after", percent(accuracy.after)]]
    : [["loss before", number(loss.before)], ["loss after", number(loss.after)]];
  const worse = loss?.before != null && loss.after > loss.before && "Its answers are further off than before. A smaller learning rate, or more epochs, may help.";
  const line = curve(epochs.length);
  line.show(epochs);
  return el("div.card", el("h3", `On your ${plural(rows, "row")}`),
    stopped && el("p", `Stopped after ${plural(epochs.at(-1).epoch, "epoch")} of ${number(epochs.at(-1).epochs)}.`),
    el("dl.figures", figures.map(([name, value]) => el("div", el("dt.hint", name), el("dd", value)))),
    added.length > 0 && el("p", `New labels: ${listing(added)}. It knows ${labels.length} now.`), worse && remarks([worse]), line.element);
}

function card({ name, shape, size, changed, largest_change: largest, before, after, range }) {
  if (changed === null) return el("li.card", nameOf(name), el("p.hint", `It has another shape now: ${shapeText(shape)}.`));
  if (!changed) return el("li.card", nameOf(name), el("p.hint", "unchanged"));
  const row = (title, { min, mean, max }) => el("tr", el("th", { scope: "row" }, title), [min, mean, max].map((value) => el("td", number(value))));
  const share = el("span");
  share.style.width = `${(100 * changed) / size}%`;
  return el("li.card", nameOf(name),
    el("p.hint", `${number(changed)} of ${plural(size, "number")} changed (${percent(changed / size)})`), el("div.share", share),
    before && [
      range?.[0] < range?.[1] && histogram(before.histogram, after.histogram, range, "Histogram before and after"),
      el("table", el("thead", el("tr", el("td"), ["lowest", "mean", "highest"].map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", row("before", before), row("after", after))),
      el("p.hint", `Largest change of a number: ${number(largest)}`),
      remarks(after.nan > before.nan ? [`${plural(after.nan, "value")} became NaN: the network cannot work with that.`] : [])]);
}
