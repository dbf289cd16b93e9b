// Loads a saved network as an ml5 user does and asks it about inputs. Written so that ml5 0.12.2 and 1.4.0 both take it.

// The same sums on every machine: no graphics card, no WebGL rounding.
async function start() {
  await ml5.tf.setBackend("cpu");
  await ml5.tf.ready();
  return ml5.version;
}

// `place`: what `nn.load` gets, or a word of `placeOf`. `query`: what stands after the page's address meanwhile.
async function ask({ place, task, inputs, how, query, calls, seconds }) {
  history.replaceState(null, "", query || location.pathname);
  const nn = ml5.neuralNetwork({ task });
  const answers = [];
  const work = async () => {
    const given = await placeOf(place);
    // ml5 0.x has loaded when it calls back, and never tells an error; 1.x gives a promise.
    await (calls ? new Promise((done) => nn.load(given, done)) : nn.load(given));
    for (const input of inputs) answers.push(await nn[how](input));
  };
  try {
    await firstOf(work(), seconds);
    return answers;
  } finally {
    if (nn.neuralNetwork.model) nn.neuralNetwork.model.dispose();
  }
}

async function placeOf(place) {
  const files = document.getElementById("files").files;
  if (place === "files") return files;
  if (place === "array") return [...files];
  if (place === "drop") return dropped(files);
  if (place === "blobs") return named([...files].map((file) => URL.createObjectURL(file)));
  if (place === "parsed") return named(await Promise.all([...files].map(parsed)));
  return place;
}

// In the order in which ml5's own files stand in an alphabet.
function named([model, weights, metadata]) {
  return { model, metadata, weights };
}

async function parsed(file) {
  return file.name.endsWith(".json") ? JSON.parse(await file.text()) : URL.createObjectURL(file);
}

function dropped(files) {
  const transfer = new DataTransfer();
  for (const file of files) transfer.items.add(file);
  return transfer.files;
}

// ml5 loses errors in promises that nobody waits for, and then never answers.
function firstOf(promise, seconds) {
  const listening = new AbortController();
  const lost = new Promise((_, reject) => {
    const { signal } = listening;
    window.addEventListener("unhandledrejection", (event) => reject(event.reason), { signal });
    window.addEventListener("error", (event) => reject(event.error), { signal });
    const late = () => reject(new Error(`ml5 did not answer within ${seconds} seconds`));
    const timer = setTimeout(late, seconds * 1000);
    signal.addEventListener("abort", () => clearTimeout(timer));
  });
  // What fails a little later belongs to this question, not to the next.
  const settled = () => new Promise((done) => setTimeout(done, 20)).then(() => listening.abort());
  return Promise.race([promise, lost]).finally(settled);
}
