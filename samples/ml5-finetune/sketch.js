// Trains a small network roughly with ml5, has PyTorch train it further, and loads what comes back.

const SIDE = 300; // of each picture
const EPOCHS = 5; // of ml5: enough to begin with

const dots = []; // to learn from
const newDots = []; // that no network has learnt: they tell how good one is
let nn; // the network that ml5 trains
let statusLine, serverField, epochsField, finetuneButton, stopButton, bar;

function setup() {
  createCanvas(2 * SIDE + 20, SIDE + 24);
  noLoop();
  statusLine = select("#status");
  [serverField, epochsField, bar] = [select("#server"), select("#epochs"), select("#progress")];
  [finetuneButton, stopButton] = [select("#finetune"), select("#stop")];
  finetuneButton.mousePressed(finetune);

  randomSeed(7);
  for (let i = 0; i < 300; i++) dots.push(makeDot());
  for (let i = 0; i < 200; i++) newDots.push(makeDot());

  ml5.setBackend("cpu"); // quick enough for a small network
  nn = ml5.neuralNetwork({ task: "classification", hiddenUnits: 32 });
  for (const { x, y, colour } of dots) nn.addData({ x, y }, { colour });
  nn.normalizeData();
  statusLine.html(`ml5 trains for ${EPOCHS} epochs…`);
  nn.train({ epochs: EPOCHS }, finishedTraining);
}

async function finishedTraining(result, error) {
  if (error) {
    statusLine.html(`Training failed: ${error.message}`);
    return;
  }
  const right = await paint(nn, 0, "ml5");
  statusLine.html(`ml5 gets ${right} of ${newDots.length} new dots right. PyTorch can go on from here.`);
  finetuneButton.removeAttribute("disabled");
}

async function finetune() {
  finetuneButton.attribute("disabled", "");
  try {
    const form = new FormData();
    for (const file of await filesOf(nn)) form.append("files", file);
    form.append("data", dataOf(nn));
    const { id, files } = await train(form, Number(epochsField.value()));
    const better = await loadNetwork(files);
    await fetch(`${serverField.value()}/models/${id}`, { method: "DELETE" }); // it is here now
    const before = await accuracy(nn);
    const after = await paint(better, SIDE + 20, "ml5, then PyTorch");
    statusLine.html(`Of ${newDots.length} new dots, ml5 got ${before} right, and PyTorch ${after}.`);
  } catch (error) {
    statusLine.html(error.message);
  }
  stopButton.attribute("disabled", "");
  finetuneButton.removeAttribute("disabled");
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

// What nn.saveData() downloads: {"data": [{"xs": {"x": 10, "y": 20}, "ys": {"colour": "crimson"}}, ...]}
function dataOf(nn) {
  return new File([JSON.stringify({ data: nn.neuralNetworkData.data.raw })], "data.json");
}

// The server trains and tells about its epochs. Gives an id, and names and addresses of the new files, which it keeps.
async function train(form, epochs) {
  const server = serverField.value();
  const steps = JSON.stringify([{ step: "finetune", epochs }]);
  const response = await fetch(`${server}/convert?process=${encodeURIComponent(steps)}`, {
    method: "POST", body: form, headers: { Accept: "text/event-stream" },
  }).catch(() => {
    throw new Error(`No server answers at ${server}. Start it with: tfjs-torch serve`);
  });
  if (!response.ok) throw new Error((await response.json()).detail);
  for await (const [event, told] of eventsOf(response)) {
    if (event === "started") {
      stopButton.removeAttribute("disabled");
      stopButton.mousePressed(() => fetch(told.stop, { method: "POST" })); // what it has learnt by then is kept
    }
    if (event === "progress") {
      bar.value(told.epoch / told.epochs);
      statusLine.html(`PyTorch trains: epoch ${told.epoch} of ${told.epochs}, loss ${told.loss.toFixed(3)}`);
    }
    if (event === "problem") throw new Error(told.detail);
    if (event === "done") return told;
  }
  throw new Error("The server went away while it trained.");
}

// Server-sent events: blocks of lines with an empty line behind each.
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (text + value).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const event = block.match(/^event: (.*)$/m);
      const data = block.match(/^data: (.*)$/m);
      if (event && data) yield [event[1], JSON.parse(data[1])];
    }
  }
}

// All three addresses: the form of nn.load() that works in each ml5.
async function loadNetwork(files) {
  const address = (name) => files.find((file) => file.name === name).url;
  const better = ml5.neuralNetwork({ task: "classification" });
  await better.load({
    model: address("model.json"),
    metadata: address("model_meta.json"),
    weights: address("model.weights.bin"),
  });
  return better;
}

// How many of the new dots a network gets right.
async function accuracy(network) {
  let right = 0;
  for (const { x, y, colour } of newDots) {
    const [best] = await network.classify({ x, y });
    if (best.label === colour) right++;
  }
  return right;
}

// Colours a square with what the network says about each place, and puts the new dots on top.
async function paint(network, left, title) {
  noStroke();
  for (let x = 0; x < SIDE; x += 10) {
    for (let y = 0; y < SIDE; y += 10) {
      const [best] = await network.classify({ x: x + 5, y: y + 5 });
      const shade = color(best.label);
      fill(255);
      square(left + x, y, 10);
      shade.setAlpha(128 * best.confidence);
      fill(shade);
      square(left + x, y, 10);
    }
  }
  for (const { x, y, colour } of newDots) {
    fill(colour);
    circle(left + x, y, 5);
  }
  const right = await accuracy(network);
  fill(255);
  rect(left, SIDE, SIDE, 24);
  fill(0);
  textSize(14);
  text(`${title}: ${right} of ${newDots.length}`, left, SIDE + 18);
  return right;
}

// A disc in the middle, and a ring around it in two halves.
function makeDot() {
  const turn = random(TWO_PI);
  const colour = random(["crimson", "seagreen", "royalblue"]);
  const far = colour === "crimson" ? random(0, 60) : random(80, 140);
  const x = SIDE / 2 + (colour === "seagreen" ? -1 : 1) * (colour === "crimson" ? cos(turn) : abs(cos(turn))) * far;
  return { x, y: SIDE / 2 + sin(turn) * far, colour };
}
