// Teaches a small network to name a colour from its red, green and blue.

// Each name stands for a range of hues, in degrees of the colour wheel.
const HUES = { red: [345, 372], yellow: [45, 66], green: [90, 150], blue: [200, 255] };

const statusLine = document.getElementById("status");
const saveButton = document.getElementById("save");
const picker = document.getElementById("picker");
const canvas = document.getElementById("canvas");
const pen = canvas.getContext("2d");

// "cpu" is quick enough for 200 colours, and counts alike on every computer.
ml5.setBackend("cpu");
const nn = ml5.neuralNetwork({ task: "classification" });

for (let i = 0; i < 50; i++) {
  for (const name of Object.keys(HUES)) {
    const rgb = toRGB(random(...HUES[name]), random(0.5, 1), random(0.4, 1));
    nn.addData(rgb, { colour: name });
  }
}
nn.normalizeData();
nn.train({ epochs: 60, batchSize: 20 }, whileTraining, finishedTraining);

function whileTraining(epoch, logs) {
  statusLine.textContent = `Training… round ${epoch + 1}, loss ${logs.loss.toFixed(4)}`;
}

async function finishedTraining(result, error) {
  if (error) {
    statusLine.textContent = `Training failed: ${error.message}`;
    return;
  }
  await drawColours();
  await nameTheColour();
  picker.addEventListener("input", nameTheColour);
  saveButton.addEventListener("click", () => nn.save());
  saveButton.disabled = false;
  statusLine.textContent = statusLine.textContent.replace("Training…", "Trained:");
}

// Paints the colour wheel, rolled out, with the name that ml5 gives to each colour.
async function drawColours() {
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.font = "14px sans-serif";
  for (let row = 0; row < 5; row++) {
    for (let column = 0; column < 10; column++) {
      const colour = toRGB(column * 36, 0.9, 1 - row * 0.15);
      const results = await nn.classify(colour);
      pen.fillStyle = `rgb(${colour.r}, ${colour.g}, ${colour.b})`;
      pen.fillRect(column * 64, row * 60, 64, 60);
      pen.fillStyle = colour.g > 128 ? "black" : "white";
      pen.fillText(results[0].label, column * 64 + 32, row * 60 + 30);
    }
  }
}

async function nameTheColour() {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(picker.value.slice(i, i + 2), 16));
  const results = await nn.classify({ r, g, b });
  document.getElementById("answer").textContent = results
    .map((result) => `${result.label} ${Math.round(result.confidence * 100)} %`)
    .join(", ");
}

// Hue in degrees, saturation and brightness from 0 to 1.
function toRGB(hue, saturation, brightness) {
  const channel = (n) => {
    const k = (n + hue / 60) % 6;
    return Math.round(255 * brightness * (1 - saturation * Math.max(0, Math.min(k, 4 - k, 1))));
  };
  return { r: channel(5), g: channel(3), b: channel(1) };
}

// The same "random" numbers at every start, so that the lesson never changes. (The start weights of ml5 do.)
function random(low, high) {
  random.seed = ((random.seed ?? 1) * 48271) % 2147483647;
  return low + (high - low) * (random.seed / 2147483647);
}
