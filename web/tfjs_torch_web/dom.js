// Builds the page: elements, numbers in words, and what screen readers are told.

const maker = (space) => (kind, ...rest) => {
  const [tag, ...names] = kind.split(".");
  const node = document.createElementNS(`http://www.w3.org/${space}`, tag);
  const props = rest[0]?.constructor === Object ? rest.shift() : {};
  if (names.length) node.setAttribute("class", names.join(" "));
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...rest.flat(3).filter((child) => child != null && child !== false));
  return node;
};

// el("p.hint", {id: "x"}, ...children): the properties may be left out, and so may a child (false, null).
export const el = maker("1999/xhtml");
export const svg = maker("2000/svg");
export const button = (text, onclick, props) => el("button", { type: "button", onclick, ...props }, text);
export const small = (text, onclick, props) => button(text, onclick, { class: "small", ...props });
export const tile = (title, text, onclick) => el("li", button([el("strong", title), el("span", text)], onclick, { class: "tile" }));
export const remarks = (texts) => texts.length > 0 && el("ul.remarks", texts.map((text) => el("li", text)));

let count = 0;
export const uid = () => `i${++count}`;

// A part of the page; its heading can take the focus.
export function part(title, intro, ...content) {
  const id = uid();
  return el("section.part", { "aria-labelledby": id },
    el("div.head", el("h2", { id, tabindex: -1 }, title), el("p.quiet", intro)), el("div.body", content));
}

export const say = (text) => (document.getElementById("status").textContent = text);

export function goTo(heading) {
  heading.focus({ preventScroll: true });
  heading.scrollIntoView();
}

export function number(value) {
  if (value == null) return "–";
  const text = Number.isInteger(value) || Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : `${+value.toPrecision(3)}`;
  return text.replaceAll("-", "−");
}

export const plural = (n, noun) => `${number(n)} ${noun}${n === 1 ? "" : "s"}`;
export const bytes = (n) => (n < 1e3 ? plural(n, "byte") : n < 1e6 ? `${number(n / 1e3)} kB` : `${number(n / 1e6)} MB`);
export const total = (files) => bytes(files.reduce((sum, { size }) => sum + size, 0));
export const percent = (share) => (share > 0 && share < 0.01 ? "less than 1 %" : `${Math.floor(share * 100)} %`);
export const shapeText = (shape) => shape.map((n) => n ?? "any").join("\u00a0×\u00a0") || "1";
export const nameList = (files) => files.map(({ name }) => name).join(", ");

export function listing(words, most = 8) {
  const some = words.length > most ? [...words.slice(0, most - 1), `${words.length - most + 1} more`] : words;
  return some.length < 2 ? some.join("") : `${some.slice(0, -1).join(", ")} and ${some.at(-1)}`;
}

export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  el("a", { href: url, download: name.split("/").at(-1) }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  say(`${name} downloaded`);
}

// Copies a text; where the browser has no clipboard for this page, its element is selected instead.
export const copyButton = (source) => small("Copy", async ({ target }) => {
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    say((target.textContent = "Copied"));
  } catch {
    source.select ? source.select() : getSelection().selectAllChildren(source);
  }
});

// Tabs with arrow keys; only the chosen one is in the tab order.
export function tabs(list, chosen = () => {}) {
  const all = [...list.children];
  const choose = (tab) => {
    for (const other of all) {
      other.setAttribute("aria-selected", other === tab);
      other.tabIndex = other === tab ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = other !== tab;
    }
    chosen(tab);
  };
  list.onclick = ({ target }) => all.includes(target) && choose(target);
  list.onkeydown = ({ key, target }) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (!step) return;
    const next = all.at((all.indexOf(target) + step) % all.length);
    next.focus();
    choose(next);
  };
  return choose;
}
