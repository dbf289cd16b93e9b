// What the network learned: each tensor with its histogram, its range, and what is odd about it.
import { button, el, number, part, percent, plural, remarks, shapeText } from "./dom.js";
import { histogram } from "./histogram.js";

const FIRST = 30;

export const tensorPart = (tensors) => part("What it learned",
  "A network keeps what it knows in lists of numbers, called tensors. Tall bars: many of the numbers lie there.", cards(tensors, card));

// The first cards, and a button for the rest.
export function cards(items, card) {
  const list = el("ul.cards", items.slice(0, FIRST).map(card));
  const more = items.length > FIRST && button(`Show all ${items.length}`, () => {
    const rest = items.slice(FIRST).map(card);
    list.append(...rest);
    more.remove();
    rest[0].tabIndex = -1;
    rest[0].focus({ preventScroll: true });
  });
  return [list, more];
}

// A long name may break after its slashes.
export const nameOf = (name) => el("h3.mono", name.split(/(?<=[/_])/).map((piece) => [piece, el("wbr")]));

function card({ name, shape, dtype, size, quantization, statistics, group }) {
  const { min, max, mean, std, zeros, nan, infinite, histogram: counts } = statistics ?? {};
  const bad = [[nan, "not numbers (NaN)"], [infinite, "infinite"]].filter(([count]) => count).map(([count, what]) => `${plural(count, "value")}: ${what}. The network cannot work with that.`);
  const told = [min < max && `mean ${number(mean)}`, min < max && `deviation ${number(std)}`, min === max && min != null && `all ${number(min)}`, min < max && zeros > size / 10 && `${percent(zeros / size)} zeros`];
  return el("li.card", nameOf(name),
    el("p.hint", [shapeText(shape), quantization ? `stored as ${quantization.dtype}` : dtype, group].filter(Boolean).join(" · ")),
    min < max && histogram(counts, null, [min, max], `${plural(size, "number")} from ${number(min)} to ${number(max)}`),
    el("p.hint", told.filter(Boolean).join(", ")), remarks(bad));
}
