// Runs one job of the server and shows how it goes: a bar, a button to cancel, problems as sentences in their place.
import { Problem } from "./api.js";
import { el, percent, say, small, uid } from "./dom.js";

// `box` holds bar and problem; `job` gets {signal, progress, add}, to add to what is shown beneath. Gives undefined when it failed or was cancelled.
export async function attempt(box, job) {
  const control = new AbortController();
  const before = document.activeElement;
  const id = uid();
  const label = el("span", { id }, "Starting…");
  const bar = el("progress", { "aria-labelledby": id });
  const row = el("div.working", label, bar, small("Cancel", () => control.abort()));
  let stage;
  const progress = (text, share) => {
    if (text !== stage) say((stage = text));
    label.textContent = share == null ? `${text}…` : `${text}: ${percent(share)}`;
    share == null ? bar.removeAttribute("value") : (bar.value = share);
  };
  box.replaceChildren();
  const shown = setTimeout(() => show(box, row), 150); // a short job shows no bar
  try {
    return await job({ signal: control.signal, progress, add: (node) => row.append(node) });
  } catch (error) {
    if (error.name !== "AbortError") return showProblem(box, error);
    before.focus();
    say("Cancelled.");
  } finally {
    clearTimeout(shown);
    row.remove();
  }
}

function show(box, node) {
  box.replaceChildren(node);
  node.scrollIntoView({ block: "nearest" });
}

export function showProblem(box, error) {
  if (!(error instanceof Problem)) console.error(error);
  const { message, todo, status } = error instanceof Problem ? error : { message: "Something on this page went wrong.", todo: "Load it again." };
  show(box, el("div.problem", { role: "alert", "data-status": status }, el("p", message), el("p", todo)));
  if (status === 401) document.dispatchEvent(new Event("token"));
}
