// Real ml5 0.12's KNNClassifier: taught, asked, saved, loaded again.

const asked = async (knn, vectors, k) => {
  const answers = [];
  for (const vector of vectors) answers.push(JSON.parse(JSON.stringify(await knn.classify(vector, k))));
  return answers;
};

/** {answers, text}: what a new one says after these [vector, label] pairs, and the JSON that it downloads. */
async function taught([examples, vectors, k]) {
  await ml5.tf.setBackend("cpu");
  const knn = ml5.KNNClassifier();
  for (const [vector, label] of examples) knn.addExample(vector, label);
  const answers = await asked(knn, vectors, k);
  const blobs = [];
  const create = URL.createObjectURL;
  URL.createObjectURL = (blob) => (blobs.push(blob), create(new Blob()));
  try {
    await knn.save("pets");
  } finally {
    URL.createObjectURL = create;
  }
  return { answers, text: await blobs[0].text() };
}

/** What one says that has loaded this JSON. */
async function reloaded([document, vectors, k]) {
  await ml5.tf.setBackend("cpu");
  const knn = ml5.KNNClassifier();
  await knn.load(document);
  return asked(knn, vectors, k);
}
