// Controls for the options of a step, built from their JSON schema.
import { el, uid } from "./dom.js";

// Gives {element, read()}: read() is undefined where nothing was typed. `tensors` are names to choose from.
export function control(name, schema, tensors, onchange) {
  const id = uid();
  const { title = name, description, default: value, type, enum: choices } = schema;
  const common = { id, "aria-describedby": `${id}h`, oninput: onchange };
  const label = el("label", { for: id }, title);
  const hint = el("p.hint", { id: `${id}h` }, description);
  const field = (body, read) => ({ element: el("div.field", label, body, hint), read });
  if (choices) {
    const box = el("select", common, choices.map((each) => el("option", { selected: each === value }, String(each))));
    return field(box, () => choices[box.selectedIndex]);
  }
  if (type === "boolean") {
    const box = el("input", { ...common, type: "checkbox", checked: value });
    return { element: el("div.field.check", box, label, hint), read: () => box.checked };
  }
  if (type === "number" || type === "integer") {
    const [slider, box] = amount(schema, common, title, onchange);
    return field(el("div.pair", slider, box), () => (box.value ? Number(box.value) : undefined));
  }
  const list = `${id}l`;
  const box = el("input", { ...common, type: "text", value, list: name === "tensors" && list, autocomplete: "off" });
  const kinds = new Set(tensors.map((each) => `*${each.slice(each.lastIndexOf("/"))}`));
  const known = name === "tensors" && el("datalist", { id: list }, [...kinds, ...tensors].slice(0, 200).map((each) => el("option", { value: each })));
  return field([box, known], () => (box.value && type === "array" ? box.value.split(/[\s,]+/).map(Number) : box.value || undefined));
}

// A number, with a slider where the schema has two bounds that one can slide between.
function amount({ minimum: min, maximum: max, default: value, type }, common, title, onchange) {
  const step = type === "integer" ? 1 : "any";
  const oninput = ({ target }) => {
    if (slider) (target === box ? slider : box).value = target.value;
    onchange();
  };
  const box = el("input", { ...common, type: "number", min, max, step, value, oninput });
  const slider = max - min < 1e5 && el("input", { type: "range", min, max, step: type === "integer" ? 1 : (max - min) / 100, value, "aria-label": `${title}, slider`, oninput });
  return [slider, box];
}
