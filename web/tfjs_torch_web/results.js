// Before and after: what the steps did to each tensor.
import { el, number, part, percent, plural, remarks } from "./dom.js";
import { histogram } from "./histogram.js";
import { cards, nameOf } from "./tensors.js";

export function resultsPart({ tensors, warnings, changed_parameters: changed, parameters, changed_tensors: some, seconds }) {
  const intro = changed
    ? `${number(changed)} of ${plural(parameters, "number")}, in ${number(some)} of ${plural(tensors.length, "tensor")}. It took ${number(seconds)} seconds.`
    : "Nothing: every number is the same, to the bit.";
  const legend = el("p.legend.hint", { "aria-hidden": "true" }, el("span.key"), "before", el("span.key.new"), "after");
  return part("What changed", intro, remarks(warnings), changed > 0 && legend, cards([...tensors].sort((a, b) => !!b.changed - !!a.changed), card));
}

function card({ name, size, changed, largest_change: largest, before, after, range }) {
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
