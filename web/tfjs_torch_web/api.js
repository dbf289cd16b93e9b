// Talks to the server: uploads with progress, answers as files, errors as sentences.

// `message` says what went wrong, `todo` what to do about it.
export class Problem extends Error {
  constructor(message, todo, status) {
    super(message);
    Object.assign(this, { todo, status });
  }
}

export const token = { get: () => sessionStorage.token ?? "", set: (value) => (sessionStorage.token = value) };

let limit = Infinity; // bytes that the server takes at once

export const formats = () => fetch("formats").then((answer) => answer.json()).then((found) => {
  limit = found.limits.max_upload;
  return found;
}, () => {
  throw new Problem("The server does not answer.", "Start it with “tfjs-torch serve” and load this page again.");
});

const json = async (answer) => JSON.parse(await (await answer).blob.text());
export const inspect = (files, watch) => json(send("inspect", [files], {}, watch));
export const predict = (files, inputs, watch) => json(send("predict", [files], { inputs: JSON.stringify(inputs) }, watch));
export const publish = (files, watch) => json(send("models", [files], {}, watch));
export const withdraw = (id) => send(`models/${id}`, [], {}, {}, "*/*", "DELETE");
export const convertTo = (files, to, layout, watch) => send("convert", [files], { to, layout }, watch, to === "tfjs" ? "application/zip" : "*/*");

// Under the names that they were saved with.
const asSaved = (files) => files.map((file) => new File([file], file.original ?? file.name));
export const check = (files, watch) => json(send("check", [asSaved(files)], {}, watch));
export const repair = async (files, watch) => filesOf(await send("repair", [asSaved(files)], {}, watch, "multipart/form-data"));

// `models`: a step that mixes several gets them all. Gives the files of the first one, changed, and the report.
export const convert = async (models, fields, watch) =>
  filesOf(await send("convert", models, { to: "tfjs", histograms: 32, ...fields }, watch, "multipart/form-data"));

async function filesOf({ blob, type }) {
  const files = [...(await new Response(blob, { headers: { "Content-Type": type } }).formData()).values()];
  return { report: JSON.parse(await files.pop().text()), files };
}

// The same with a training in it: `epoch` hears how it goes, `started` gets a function that ends it early and keeps what it
// has learnt. The server keeps the result; it is fetched, and deleted there.
export async function train(models, data, fields, { signal, progress, started, epoch }) {
  const form = formOf(models, { histograms: 32, ...fields });
  for (const file of data) form.append("data", file);
  progress("Sending your files");
  const headers = { Accept: "text/event-stream", ...(token.get() && { Authorization: `Bearer ${token.get()}` }) };
  let done;
  try {
    const answer = await fetch("convert", { method: "POST", body: form, headers, signal });
    if (!answer.ok) throw await problemOf(answer);
    for await (const [kind, told] of events(answer.body)) {
      if (kind === "problem") throw problemIn(told, told.status);
      if (kind === "done") done = told;
      if (kind === "started") started(() => send(`trainings/${told.id}/stop`, [], {}));
      if (kind === "progress") epoch(told);
    }
    if (!done) throw broken();
    const files = done.files.map(async ({ name }) => new File([await (await fetch(`models/${done.id}/${encodeURIComponent(name)}`, { signal })).blob()], name));
    return { report: done.report, files: await Promise.all(files) };
  } catch (error) {
    throw error instanceof TypeError ? broken() : error; // so fetch calls a connection that is gone
  } finally {
    if (done) withdraw(done.id).catch(() => {});
  }
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    const whole = (text + value).split("\n\n");
    text = whole.pop();
    for (const each of whole) {
      const [, kind, data] = /^event: (.*)\ndata: (.*)$/.exec(each) ?? [];
      if (kind) yield [kind, JSON.parse(data)];
    }
  }
}

function formOf(models, fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  models.forEach((files, i) => files.forEach((file) => form.append("file", file, models[1] ? `${i + 1}/${file.name}` : file.name)));
  const bytes = models.flat().reduce((sum, file) => sum + file.size, 0);
  if (bytes > limit) throw new Problem(`These files are too large: the server takes ${limit} bytes, they have ${bytes}.`, "Whoever runs it can raise that with --max-upload.");
  return form;
}

const broken = () => new Problem("The server did not answer, or broke off.", "Is it still running? Are the files too large for it?");

async function send(path, models, fields, { signal, progress = () => {} } = {}, accept = "application/json", method = "POST") {
  const form = formOf(models, fields);
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    const share = ({ loaded, total }) => (total ? loaded / total : null);
    xhr.open(method, path);
    xhr.responseType = "blob";
    xhr.setRequestHeader("Accept", accept);
    if (token.get()) xhr.setRequestHeader("Authorization", `Bearer ${token.get()}`);
    xhr.upload.onprogress = (event) => progress("Sending your files", share(event));
    xhr.upload.onload = () => progress("PyTorch is working");
    xhr.onprogress = (event) => progress("Receiving the answer", share(event));
    xhr.onload = () => (xhr.status < 400 ? resolve(answerOf(xhr)) : problemOf(new Response(xhr.response, xhr)).then(reject));
    xhr.onerror = () => reject(broken());
    xhr.onabort = () => reject(new DOMException("", "AbortError"));
    signal?.addEventListener("abort", () => xhr.abort());
    xhr.send(models.length ? form : null);
  });
}

function answerOf(xhr) {
  const [, name] = /filename="([^"]+)/.exec(xhr.getResponseHeader("Content-Disposition")) ?? [];
  return { blob: xhr.response, type: xhr.getResponseHeader("Content-Type"), name };
}

// Names and code keep their letters.
const sentence = (text) => text && (/^[a-z]+ [a-z]/.test(text) ? text[0].toUpperCase() : text[0]) + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

const problemOf = async (answer) => problemIn(await answer.json().catch(() => ({})), answer.status);

function problemIn({ detail, title, where, what_to_do: todo }, status) {
  const place = !where || /^(request|server)$/.test(where) || detail.includes(where) ? "" : `${where}: `;
  return new Problem(place + sentence(detail ?? title ?? `The server refused this (${status}).`), sentence(todo), status);
}
