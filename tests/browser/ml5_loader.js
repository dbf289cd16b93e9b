// Loads the chosen files as an ml5 user does, and asks the network about every input.

async function loadAndRun(task, inputs) {
  // The same sums on every machine: no graphics card, no WebGL rounding.
  await ml5.tf.setBackend("cpu");
  await ml5.tf.ready();

  const nn = ml5.neuralNetwork({ task });
  await firstOf(nn.load(document.getElementById("files").files));

  const results = [];
  for (const input of inputs) {
    results.push(await firstOf(task === "regression" ? nn.predict(input) : nn.classify(input)));
  }
  return results;
}

// ml5 may lose an error in a promise or a file reader that nobody waits for, and then never answer.
function firstOf(promise) {
  const lost = new Promise((_, reject) => {
    window.addEventListener("unhandledrejection", (event) => reject(event.reason), { once: true });
    window.addEventListener("error", (event) => reject(event.error), { once: true });
    setTimeout(() => reject(new Error("ml5 did not answer within 30 seconds")), 30_000);
  });
  return Promise.race([promise, lost]);
}
