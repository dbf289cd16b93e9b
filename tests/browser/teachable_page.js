// What Teachable Machine's library and ml5 do with pictures and sound, said again in few words, for a real browser.

const image = async (address) => {
  const element = new Image();
  element.src = address;
  await element.decode();
  return element;
};

const inBase64 = (bytes) => {
  let text = "";
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(text);
};

/** The pixels of the centred square, RGBA: short side to `size`, sides rounded up, margins towards zero. */
async function croppedPixels([address, size]) {
  const picture = await image(address);
  const scale = size / Math.min(picture.width, picture.height);
  const [width, height] = [picture.width, picture.height].map((side) => Math.ceil(side * scale));
  const canvas = Object.assign(document.createElement("canvas"), { width: size, height: size });
  const context = canvas.getContext("2d");
  context.drawImage(picture, -Math.trunc((width - size) / 2), -Math.trunc((height - size) / 2), width, height);
  return inBase64(context.getImageData(0, 0, size, size).data);
}

/** ml5's picture: squeezed into 224 x 224 by ml5's own tf.js, then x / 127 - 1; float32. */
async function squashedNumbers([address]) {
  const { tf } = ml5;
  await tf.setBackend("cpu");
  const picture = await image(address);
  const made = tf.tidy(() => tf.image.resizeBilinear(tf.browser.fromPixels(picture), [224, 224]).div(127).sub(1));
  return inBase64(new Uint8Array((await made.data()).buffer));
}

const bytesOf = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0)).buffer;

const decodedSound = (base64) => new OfflineAudioContext(1, 1, 44100).decodeAudioData(bytesOf(base64));

/** The channels of a sound file at 44100 Hz, float32; null where it is refused. */
async function decodedChannels([base64]) {
  const sound = await decodedSound(base64).catch(() => null);
  const channels = [...Array(sound?.numberOfChannels ?? 0).keys()].map((i) => sound.getChannelData(i).slice());
  return sound && channels.map((samples) => inBase64(new Uint8Array(samples.buffer)));
}

/** The same of a sound file as `heard` gives of samples. */
async function heardFile([base64, frames, bins]) {
  return analysed(await decodedSound(base64), frames, bins);
}

/** What an analyser set up as speech-commands does gives every 1024 samples of mono float32 sound, in decibels. */
async function heard([base64, frames, bins]) {
  const samples = new Float32Array(bytesOf(base64));
  const sound = new AudioBuffer({ length: samples.length, sampleRate: 44100 });
  sound.copyToChannel(samples, 0);
  return analysed(sound, frames, bins);
}

async function analysed(sound, frames, bins) {
  const context = new OfflineAudioContext(1, sound.length, 44100);
  const source = Object.assign(context.createBufferSource(), { buffer: sound });
  const analyser = Object.assign(context.createAnalyser(), { fftSize: 2048, smoothingTimeConstant: 0 });
  source.connect(analyser).connect(context.destination);
  source.start();
  const made = new Float32Array(frames * bins);
  const column = new Float32Array(1024);
  for (let i = 0; i < frames; i++) {
    context.suspend(((i + 1) * 1024) / 44100).then(() => {
      analyser.getFloatFrequencyData(column);
      made.set(column.subarray(0, bins), i * bins);
      context.resume();
    });
  }
  await context.startRendering();
  return inBase64(new Uint8Array(made.buffer));
}
