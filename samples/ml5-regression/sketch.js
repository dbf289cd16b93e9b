// Shows a small network the wind at some places of a map, then asks it for the wind everywhere.

const statusLine = document.getElementById("status");
const saveButton = document.getElementById("save");
const canvas = document.getElementById("canvas");
const pen = canvas.getContext("2d");

// "cpu" is quick enough for 400 winds, and counts alike on every computer.
ml5.setBackend("cpu");
const nn = ml5.neuralNetwork({ task: "regression", hiddenUnits: 32, learningRate: 0.05 });

const places = [];
for (let i = 0; i < 400; i++) {
  const place = { x: random(0, canvas.width), y: random(0, canvas.height) };
  places.push(place);
  nn.addData(place, windAt(place));
}
nn.normalizeData();
nn.train({ epochs: 150, batchSize: 16 }, whileTraining, finishedTraining);

// The wind that we teach: it turns round the middle of the map, and is strongest halfway out.
function windAt({ x, y }) {
  const right = (x - 320) / 160;
  const down = (y - 200) / 160;
  const strength = 60 * Math.exp(-(right * right + down * down) / 2);
  return { east: -down * strength, south: right * strength };
}

function whileTraining(epoch, logs) {
  statusLine.textContent = `Training… round ${epoch + 1}, loss ${logs.loss.toFixed(5)}`;
}

async function finishedTraining(result, error) {
  if (error) {
    statusLine.textContent = `Training failed: ${error.message}`;
    return;
  }
  await drawMap();
  canvas.addEventListener("mousemove", askAtMouse);
  saveButton.addEventListener("click", () => nn.save());
  saveButton.disabled = false;
  statusLine.textContent = statusLine.textContent.replace("Training…", "Trained:");
}

async function ask(place) {
  const [east, south] = await nn.predict(place);
  return { east: east.value, south: south.value };
}

async function drawMap() {
  for (let x = 20; x < canvas.width; x += 40) {
    for (let y = 20; y < canvas.height; y += 40) {
      drawArrow({ x, y }, await ask({ x, y }), "#1f77b4");
    }
  }
  for (const place of places.slice(0, 50)) {
    drawArrow(place, windAt(place), "#d95f02");
  }
}

function drawArrow({ x, y }, { east, south }, colour) {
  pen.fillStyle = pen.strokeStyle = colour;
  pen.beginPath();
  pen.arc(x, y, 2.5, 0, 2 * Math.PI);
  pen.fill();
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x + east, y + south);
  pen.stroke();
}

async function askAtMouse(event) {
  const wind = await ask({ x: event.offsetX, y: event.offsetY });
  document.getElementById("answer").textContent =
    `east ${wind.east.toFixed(1)}, south ${wind.south.toFixed(1)}`;
}

// The same "random" numbers at every start, so that the lesson never changes. (The start weights of ml5 do.)
function random(low, high) {
  random.seed = ((random.seed ?? 1) * 48271) % 2147483647;
  return low + (high - low) * (random.seed / 2147483647);
}
