// One byte stream cut into files in many ways, and whether tf.js read each of them right.
import { decode, exact, inScope } from "../tfjs.mjs";
import { float32, int32, strings, uint8 } from "./bytes.mjs";

// No value is zero or empty: the zeros that tf.js makes up must never pass for the truth.
const STREAMS = {
  // Several tensors: it matters where each one starts.
  many: {
    specs: [
      { name: "a", shape: [3], dtype: "float32" },
      { name: "b", shape: [1], dtype: "bool" },
      { name: "c", shape: [2], dtype: "int32" },
      { name: "d", shape: [], dtype: "float32" },
    ],
    bytes: Buffer.concat([float32(1, 2, 3), uint8(1), int32(5, 6), float32(7)]),
  },
  // One tensor, which starts at byte 0: only an empty first file can mislead tf.js.
  single: {
    specs: [{ name: "a", shape: [6], dtype: "float32" }],
    bytes: float32(1, 2, 3, 4, 5, 6),
  },
  // String elements are looked up one length at a time, so each one counts like a tensor of its own.
  strings: {
    specs: [
      { name: "s", shape: [3], dtype: "string" },
      { name: "a", shape: [1], dtype: "float32" },
    ],
    bytes: Buffer.concat([strings("one", "three", "7"), float32(1)]),
  },
};

/** File sizes whose sum is `total`: `total - sum(first)` is put last. */
function layoutsOf(total) {
  const third = Math.floor(total / 3);
  const firsts = [
    [],
    ...[0, 1, 3, 4, 5, 11, 12, 13, third, total / 2, total - 4, total - 1, total],
    ...[0, 1, 3, 4, 6, 7, third, third + 1, total / 2].map((u) => [u, u]),
    ...[[0, 4], [4, 0], [1, 8], [4, 8], [8, 4], [0, total], [total, 0]],
    ...[0, 1, 2, 4, 5, 6, 7].map((u) => [u, u, u]),
    ...[[0, 0, 4], [0, 4, 4], [4, 4, 0], [4, 0, 4], [5, 5, 6], [1, 2, 3]],
    ...[0, 1, 2, 4, 5, 6].map((u) => [u, u, u, u]),
    ...[[0, 4, 0, 4], [4, 4, 4, 5], [5, 4, 4, 4], [5, 5, 5, 0]],
  ].map((first) => [first].flat());
  const whole = firsts.filter((first) => first.every(Number.isInteger));
  const layouts = whole.map((first) => [...first, total - sum(first)]).filter((sizes) => sizes.at(-1) >= 0);
  return [...new Map(layouts.map((sizes) => [sizes.join(), sizes])).values()];
}

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

async function readsRight({ specs, bytes }, sizes) {
  let end = 0;
  const files = sizes.map((size) => exact(bytes.subarray(end, (end += size))));
  const values = (buffers) => inScope(async () => JSON.stringify(await decode(specs, buffers)));
  const truth = await values([exact(bytes)]);
  return truth === (await values(files).catch((error) => error.message));
}

export async function judgedLayouts() {
  const layouts = [];
  for (const [stream, content] of Object.entries(STREAMS)) {
    for (const sizes of layoutsOf(content.bytes.length)) {
      layouts.push({ stream, sizes, right: await readsRight(content, sizes) });
    }
  }
  return layouts;
}

export const streams = Object.fromEntries(
  Object.entries(STREAMS).map(([name, { specs, bytes }]) => [name, { specs, data: bytes.toString("hex") }]),
);
