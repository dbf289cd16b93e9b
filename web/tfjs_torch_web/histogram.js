// A histogram of a tensor's numbers as a small picture; two of them overlaid for before and after.
import { el, number, svg } from "./dom.js";

const [WIDTH, HEIGHT] = [240, 64];

// `before` and `after` (or null) are counts over equal bins from `low` to `high`.
export function histogram(before, after, [low, high], label) {
  const most = Math.max(...before, ...(after ?? []));
  // Heights are square roots, so that a rare value stays visible beside a thousand zeros.
  const bars = (kind, counts) => svg(`path.${kind}`, { d: counts.map((count, i) => {
    const step = WIDTH / counts.length;
    return count ? `M${i * step + 0.5} ${HEIGHT}v${-Math.max(1.5, Math.sqrt(count / most) * HEIGHT)}h${step - 1}V${HEIGHT}z` : "";
  }).join("") });
  return el("div.histogram",
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
      bars(after ? "before" : "after", before), after && bars("after.over", after),
      low < 0 && high > 0 && svg("path.zero", { d: `M${(low / (low - high)) * WIDTH} 0V${HEIGHT}` })),
    el("p.axis.hint", { "aria-hidden": "true" }, el("span", number(low)), el("span", number(high))));
}
