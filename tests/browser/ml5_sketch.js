// What a sketch does with ml5: train, save, load, ask. Written so that ml5 0.12.2 and 1.4.0 both take it.

let nn;
let task;

// The same sums on every machine: no graphics card, no WebGL rounding.
async function start(wanted) {
  await ml5.tf.setBackend("cpu");
  await ml5.tf.ready();
  task = wanted;
  nn = ml5.neuralNetwork({ task });
}

async function train(wanted, rows, options) {
  await start(wanted);
  for (const [inputs, outputs] of rows) nn.addData(inputs, outputs);
  nn.normalizeData();
  await answered((done) => nn.train(options, done));
}

// `place`: an address, an object of addresses, or nothing for the chosen files.
async function load(wanted, place) {
  await start(wanted);
  await answered((done) => nn.load(place ?? document.getElementById("files").files, done));
}

async function ask(inputs) {
  const results = [];
  for (const input of inputs) {
    results.push(await (task === "regression" ? nn.predict(input) : nn.classify(input)));
  }
  return results;
}

// The network's own numbers for a tensor of inputs, by plain tf.js.
async function loadAndPredict(url, inputs) {
  await tf.setBackend("cpu");
  const model = await tf.loadLayersModel(url);
  return model.predict(tf.tensor(inputs)).array();
}

// ml5 1.4.0 hands an error to the callback, 0.12.2 loses it in a promise that nobody waits for.
function answered(work) {
  return new Promise((resolve, reject) => {
    window.addEventListener("unhandledrejection", (event) => reject(event.reason), { once: true });
    window.addEventListener("error", (event) => reject(event.error), { once: true });
    setTimeout(() => reject(new Error("ml5 did not answer within 30 seconds")), 30_000);
    work((_, error) => (error ? reject(error) : resolve()));
  });
}

// The sizes of the files that POST /convert answers with. Each letter of a file's text is one byte.
async function convert(address, files) {
  const form = new FormData();
  for (const [name, text] of Object.entries(files)) {
    form.append("files", new Blob([Uint8Array.from(text, (letter) => letter.charCodeAt(0))]), name);
  }
  const response = await fetch(address, { method: "POST", body: form, headers: { Accept: "multipart/form-data" } });
  const parts = [...(await response.formData()).values()];
  return { status: response.status, files: Object.fromEntries(parts.map((file) => [file.name, file.size])) };
}
