// Manifests written by hand, for what tf.js reads but never writes: quantisation, shards, groups.
import { float32, int32, strings, uint16, uint8 } from "./bytes.mjs";

const spec = (name, shape, dtype, more) => ({ name, shape, dtype, ...more });
const affine = (name, shape, min, scale, dtype = "uint8", more = {}) =>
  spec(name, shape, "float32", { quantization: { dtype, min, scale, ...more } });
const half = (name, shape) => spec(name, shape, "float32", { quantization: { dtype: "float16" } });
const rounded = (name, shape, min, scale, dtype) => spec(name, shape, "int32", { quantization: { dtype, min, scale } });

const range = (count, of = (i) => i) => Array.from({ length: count }, (_, i) => of(i));
const CODES = uint8(0, 1, 2, 127, 128, 254, 255);
const WIDE_CODES = uint16(0, 1, 255, 256, 32767, 32768, 65534, 65535);
const AFFINE_EXTREMES = [
  [-0.1, 0.1],
  [1e-40, 1e-45],
  [0, 1e-320],
  [-3e38, 2.5e36],
  [1e38, 1e38],
  [-1e308, 1e306],
  [5, -0.3],
  [7, 0],
  [16777216, 1.0000000000000002],
  [-0.10196078817, 0.00509803940852],
];

function specialHalves() {
  const subnormals = range(1024).filter((code) => code < 8 || code > 1016 || code % 7 === 0);
  const normals = range(30).flatMap((e) => [0, 1, 0x155, 0x200, 0x3ff].map((mantissa) => ((e + 1) << 10) | mantissa));
  const notFinite = [0, 1, 2, 0x155, 0x1ff, 0x200, 0x201, 0x3ff].map((mantissa) => 0x7c00 | mantissa);
  const codes = [...subnormals, ...normals, ...notFinite];
  return [...codes, ...codes.map((code) => code | 0x8000)];
}

function sharded(bytes, size) {
  const count = Math.ceil(bytes.length / size);
  const cut = (i) => [`group1-shard${i + 1}of${count}.bin`, bytes.subarray(i * size, (i + 1) * size)];
  return Object.fromEntries(range(count, cut));
}

/** One group in one file, unless `more` names other files. */
function folder(weights, bytes, { files = { "weights.bin": bytes }, paths = Object.keys(files) } = {}) {
  return groups([{ paths, weights }], files);
}

const groups = (weightsManifest, files) => ({
  ...files,
  "model.json": Buffer.from(JSON.stringify({ format: "layers-model", weightsManifest })),
});

const HALVES = specialHalves();
const ODD = Buffer.concat([uint8(1), float32(1, -2, 3.5), strings("ab", "", "日"), int32(-5, 6), uint8(0, 1)]);
const ODD_WEIGHTS = [
  spec("b", [], "bool"),
  spec("f", [3], "float32"),
  spec("s", [3], "string"),
  spec("i", [2], "int32"),
  spec("b2", [2], "bool"),
];
const SIX = float32(1, 2, 3, 4, 5, 6);

const CASES = {
  "hand-uint8": folder(
    [
      affine("a", [7], -1.5, 0.25),
      affine("scalar", [], 1 / 3, 0.7),
      affine("empty", [0], 0.5, 1),
      spec("raw", [1], "float32"),
    ],
    Buffer.concat([CODES, uint8(200), float32(0.1)]),
  ),
  "hand-uint8-extremes": folder(
    AFFINE_EXTREMES.map(([min, scale], i) => affine(`w${i}`, [7], min, scale)),
    Buffer.concat(AFFINE_EXTREMES.map(() => CODES)),
  ),
  "hand-uint8-integer-metadata": folder(
    [affine("a", [7], -1, 1), affine("b", [7], -100000, 3), affine("c", [7], 0, 65536), affine("d", [7], 2 ** 53, 1)],
    Buffer.concat([CODES, CODES, CODES, CODES]),
  ),
  "hand-uint16": folder(
    [
      affine("a", [2, 4], -2.7, 0.0001, "uint16"),
      affine("integers", [8], -3, 2, "uint16"),
      affine("original", [8], 1e-3, 1e-7, "uint16", { original_dtype: "float32" }),
      affine("overflow", [8], 0, 1e34, "uint16"),
    ],
    Buffer.concat([WIDE_CODES, WIDE_CODES, WIDE_CODES, WIDE_CODES]),
  ),
  "hand-float16": folder([half("special", [2, HALVES.length / 2])], uint16(...HALVES)),
  "hand-int32-ties": folder(
    [
      rounded("from -2", [8], -2, 0.5, "uint8"),
      rounded("below zero", [8], -100.5, 1, "uint8"),
      rounded("just under a half", [2], 0.49999999999999994, 1, "uint8"),
      rounded("wide", [8], -32767.5, 1, "uint16"),
    ],
    Buffer.concat([uint8(...range(8)), uint8(...range(8)), uint8(0, 1), WIDE_CODES]),
  ),
  // The last file is the smallest: one of the layouts that tf.js reads right.
  "hand-groups": groups(
    [
      { paths: ["a.bin"], weights: [spec("a", [2], "float32")] },
      { paths: [], weights: [spec("none", [0, 2], "float32")] },
      { paths: ["b1.bin", "b2.bin"], weights: [spec("b", [2], "float32"), spec("c", [], "int32")] },
    ],
    { "a.bin": float32(1, 2), "b1.bin": float32(3, 4), "b2.bin": int32(-9) },
  ),
  "hand-no-files": groups([{ paths: [], weights: [spec("a", [0], "float32"), spec("s", [0], "string")] }], {}),
  "hand-shards-odd": folder(ODD_WEIGHTS, ODD, { files: sharded(ODD, 5) }),
  "hand-paths": folder([spec("a", [12], "float32")], SIX, {
    files: { "weights": SIX },
    paths: ["./weights", "weights"],
  }),
  "hand-optimizer-group": folder(
    [
      spec("d/kernel", [2], "float32"),
      spec("iter", [], "int32", { group: "optimizer" }),
      spec("d/kernel/m", [2], "float32", { group: "optimizer" }),
      spec("d/bias", [1], "float32", { group: "model" }),
    ],
    Buffer.concat([float32(1, 2), int32(7), float32(3, 4, 5)]),
  ),
  "hand-bool-bytes": folder([spec("b", [4], "bool")], uint8(0, 1, 2, 255)),
  "hand-bom": withBom(folder([spec("a", [6], "float32")], SIX)),
};

function withBom(files) {
  return { ...files, "model.json": Buffer.concat([uint8(0xef, 0xbb, 0xbf), files["model.json"]]) };
}

export const manifestCases = () => Object.entries(CASES).map(([name, files]) => ({ name, files }));
