// Trains one network, answers with it and saves it. Written so that ml5 0.12.2 and 1.4.0 both take it.

let nn;

async function trained({ options, rows, train, normalize, mutate }) {
  await ml5.tf.setBackend("cpu");
  await ml5.tf.ready();
  nn = ml5.neuralNetwork(options);
  for (const [inputs, outputs] of rows) nn.addData(inputs, outputs);
  if (normalize) nn.normalizeData();
  if (mutate) nn.mutate(mutate);
  let lastEpoch = null;
  if (train) await firstOf(new Promise((resolve, reject) => {
    const whileTraining = (epoch, logs) => (lastEpoch = { epoch, ...logs });
    nn.train(train, whileTraining, (_, error) => (error ? reject(error) : resolve()));
  }), 60);
  const environment = { ml5: ml5.version, tfjs: ml5.tf.version, backend: ml5.tf.getBackend() };
  return { environment, lastEpoch, meta: nn.neuralNetworkData.meta };
}

// What the network is given and gives back inside, and what ml5 makes of it.
async function answered(input, how) {
  const model = nn.neuralNetwork.model;
  const seen = {};
  model.predict = (tensor) => {
    const output = Object.getPrototypeOf(model).predict.call(model, tensor);
    Object.assign(seen, { modelInput: tensor.arraySync(), modelOutput: output.arraySync() });
    return output;
  };
  const results = { [how]: await nn[how](input), [`${how}Sync`]: nn[`${how}Sync`](input) };
  delete model.predict;
  return { input, ...seen, ml5: results };
}
