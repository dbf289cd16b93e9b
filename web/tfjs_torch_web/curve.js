// The line of a training's loss, epoch by epoch.
import { el, number, svg } from "./dom.js";

const [WIDE, TALL] = [600, 120];
const LINES = { loss: "on what it learns", val_loss: "on what was kept aside" };

// Gives {element, show(epochs)}: `epochs` are [{epoch, loss, val_loss}], `most` the number of those to come.
export function curve(most) {
  const image = svg("svg", { role: "img", viewBox: `0 0 ${WIDE} ${TALL}`, preserveAspectRatio: "none" });
  const said = el("p.hint", { class: "axis hint" });
  const legend = el("p.legend.hint", { "aria-hidden": "true" });
  function show(epochs) {
    const kinds = Object.keys(LINES).filter((kind) => epochs.some((each) => Number.isFinite(each[kind])));
    const all = epochs.flatMap((each) => kinds.map((kind) => each[kind])).filter(Number.isFinite);
    const top = Math.max(...all) || 1;
    const place = (kind) => ({ [kind]: loss, epoch }) => `${(WIDE * (epoch - 1)) / Math.max(1, most - 1)} ${TALL - 3 - ((TALL - 6) * loss) / top}`;
    const dots = (kind) => epochs.filter((each) => Number.isFinite(each[kind])).map(place(kind));
    const first = epochs[0]?.loss;
    const last = epochs.at(-1)?.loss;
    image.setAttribute("aria-label", `Loss from ${number(first)} to ${number(last)}`);
    image.replaceChildren(...kinds.toReversed().map((kind) => svg(`path.${kind}`, { d: `M${dots(kind).join("L")}` })));
    said.replaceChildren(el("span", `loss ${number(first)}`), el("span", number(last)));
    legend.replaceChildren(...kinds.flatMap((kind) => [el(`span.key.${kind}`), LINES[kind]]));
  }
  return { element: el("div.curve", image, said, legend), show };
}
