// Trains a small network, lets a server change it with PyTorch, and loads it again.

// What the server can do with the weights. Its page, http://localhost:8000, shows more steps.
const CHANGES = {
  "set the smaller half of the weights to zero": [{ step: "prune", amount: 0.5 }],
  "add noise": [{ step: "noise", std: 0.5, seed: 1 }],
  "make all weights smaller": [{ step: "scale", factor: 0.5 }],
  "nothing": [],
};

// Three bunches of dots on the canvas: where the middle is, and the colour that also is the label.
const BUNCHES = { crimson: [80, 90], seagreen: [220, 110], royalblue: [140, 230] };

// Some places to ask about: the middles, and a place between all three.
const PLACES = [...Object.values(BUNCHES), [147, 143]];

const statusLine = document.getElementById("status");
const serverField = document.getElementById("server");
const changeList = document.getElementById("change");
const sendButton = document.getElementById("send");
const table = document.getElementById("answers");

for (const words of Object.keys(CHANGES)) changeList.add(new Option(words));

// "cpu" is quick enough for a small network, and counts alike on every computer.
ml5.setBackend("cpu");
const nn = ml5.neuralNetwork({ task: "classification" });

const dots = [];
for (let i = 0; i < 40; i++) {
  for (const [colour, [x, y]] of Object.entries(BUNCHES)) {
    dots.push({ x: x + scatter(), y: y + scatter(), colour });
  }
}
for (const { x, y, colour } of dots) nn.addData({ x, y }, { colour });
nn.normalizeData();
nn.train({ epochs: 40, batchSize: 16 }, finishedTraining);

async function finishedTraining(result, error) {
  if (error) {
    statusLine.textContent = `Training failed: ${error.message}`;
    return;
  }
  await paint(nn, "before");
  for (const [x, y] of PLACES) {
    const row = table.insertRow();
    row.insertCell().textContent = `${x}, ${y}`;
    row.insertCell().textContent = await ask(nn, x, y);
    row.insertCell();
  }
  sendButton.addEventListener("click", sendAndLoad);
  sendButton.disabled = false;
  statusLine.textContent = "Trained. Send the network to PyTorch.";
}

async function sendAndLoad() {
  sendButton.disabled = true;
  statusLine.textContent = "Sending…";
  try {
    const answer = await convert(await filesOf(nn), CHANGES[changeList.value]);
    const changed = await loadNetwork(answer);
    await paint(changed, "after");
    for (const [i, [x, y]] of PLACES.entries()) {
      table.rows[i + 1].cells[2].textContent = await ask(changed, x, y);
    }
    const report = JSON.parse(await answer.get("report.json").text());
    statusLine.textContent = `PyTorch changed ${report.changed_parameters} of ${report.parameters} weights.`;
  } catch (error) {
    statusLine.textContent = error.message;
  }
  sendButton.disabled = false;
}

// nn.save() gives the browser three files to download. These are the same three, without a download.
async function filesOf(nn) {
  const files = [new File([JSON.stringify(nn.neuralNetworkData.meta)], "model_meta.json")];
  const keep = async ({ modelTopology, weightSpecs, weightData }) => {
    const weightsManifest = [{ paths: ["./model.weights.bin"], weights: weightSpecs }];
    files.push(new File([JSON.stringify({ modelTopology, weightsManifest })], "model.json"));
    files.push(new File([weightData], "model.weights.bin"));
    return {};
  };
  await nn.neuralNetwork.model.save(ml5.tf.io.withSaveHandler(keep));
  return files;
}

// Three files and the steps go to the server; the three files and report.json come back.
async function convert(files, steps) {
  const form = new FormData();
  for (const file of files) form.append(file.name, file);
  const address = `${serverField.value}/convert?process=${encodeURIComponent(JSON.stringify(steps))}`;
  const headers = { Accept: "multipart/form-data" };
  const response = await fetch(address, { method: "POST", body: form, headers }).catch(() => {
    throw new Error(`No server answers at ${serverField.value}. Start it with: tfjs-torch serve`);
  });
  if (!response.ok) throw new Error((await response.json()).detail);
  return response.formData();
}

// ml5 loads from addresses, and a file can have one, too.
async function loadNetwork(answer) {
  const address = (name) => URL.createObjectURL(answer.get(name));
  const changed = ml5.neuralNetwork({ task: "classification" });
  await changed.load({
    model: address("model.json"),
    metadata: address("model_meta.json"),
    weights: address("model.weights.bin"),
  });
  return changed;
}

// "royalblue 97 %": the network's first choice.
async function ask(network, x, y) {
  const [best] = await network.classify({ x, y });
  return `${best.label} ${(best.confidence * 100).toFixed(1)} %`;
}

// Colours the canvas with what the network says about each place, and puts the dots on top.
async function paint(network, canvas) {
  const pen = document.getElementById(canvas).getContext("2d");
  for (let x = 0; x < 300; x += 10) {
    for (let y = 0; y < 300; y += 10) {
      const [best] = await network.classify({ x: x + 5, y: y + 5 });
      pen.fillStyle = "white";
      pen.fillRect(x, y, 10, 10);
      pen.globalAlpha = best.confidence / 2;
      pen.fillStyle = best.label;
      pen.fillRect(x, y, 10, 10);
      pen.globalAlpha = 1;
    }
  }
  for (const { x, y, colour } of dots) {
    pen.fillStyle = colour;
    pen.fillRect(x - 2, y - 2, 4, 4);
  }
}

// A number from -70 to 70, more often a small one.
function scatter() {
  return (Math.random() + Math.random() - 1) * 70;
}
