// Malformed and doubtful weight files, each as a model.json text with its weight files. `row` is the row
// of the format description's table of disagreements between tf.js and the official package, or null.
import { posix } from "node:path";

import { inScope, load } from "../tfjs.mjs";
import { float32, float32Bits, int32, strings, uint16, uint8 } from "./bytes.mjs";

const A = { name: "a", shape: [2], dtype: "float32" };
const a = (more) => ({ ...A, ...more });
const u8 = (more = {}, shape = [2]) => a({ shape, quantization: { dtype: "uint8", min: 0, scale: 1, ...more } });
const i32 = (more, shape) => ({ ...u8(more, shape), dtype: "int32" });
const TWO = float32(1, 2);

const textOf = (weightsManifest) => JSON.stringify({ weightsManifest });
const raw = (row, name, json, files) => ({ row, name, json, files });
const manifest = (row, name, weightsManifest, files) => raw(row, name, textOf(weightsManifest), files);
/** One group with one file. */
const one = (row, name, weights, bytes) => manifest(row, name, [{ paths: ["w.bin"], weights }], { "w.bin": bytes });
/** One tensor of a given shape, dtype or quantisation; two float32 lie in the file. */
const shape = (name, value) => one(null, `shape ${name}`, [a({ shape: value })], TWO);
const dtype = (row, value, bytes = TWO) => one(row, `dtype ${JSON.stringify(value)}`, [a({ dtype: value })], bytes);
const quantized = (row, name, spec, bytes = uint8(3, 4)) => one(row, `quantization ${name}`, [spec], bytes);
/** JSON text of a quantised tensor whose min and scale are spelled exactly so. */
const numbers = (row, name, min, scale) =>
  raw(row, `quantization ${name}`, textOf([{ paths: ["w.bin"], weights: [u8({ min: "MIN", scale: "SCALE" })] }])
    .replace('"MIN"', min).replace('"SCALE"', scale), { "w.bin": uint8(0, 4) });

const LENGTHS = [
  one(1, "float32 one element short", [a({ shape: [4] })], float32(1, 2, 3)),
  one(1, "float32 without a byte", [A], uint8()),
  one(1, "second tensor missing", [A, a({ name: "b" })], TWO),
  one(2, "float32 part of an element", [a({ shape: [4] })], Buffer.concat([float32(1, 2, 3), uint8(0)])),
  one(3, "one element too many", [A], float32(1, 2, 3)),
  one(3, "one byte too many", [A], Buffer.concat([TWO, uint8(9)])),
  manifest(4, "trailing bytes in group 1 of 2", [
    { paths: ["1.bin"], weights: [a({ shape: [1] })] },
    { paths: ["2.bin"], weights: [a({ shape: [1], name: "b" })] },
  ], { "1.bin": float32(1, 99), "2.bin": float32(2) }),
  manifest(null, "group 1 short, group 2 long by as much", [
    { paths: ["1.bin"], weights: [A] },
    { paths: ["2.bin"], weights: [a({ name: "b" })] },
  ], { "1.bin": float32(1), "2.bin": float32(2, 3, 4) }),
  manifest(33, "second file larger than the first", [
    { paths: ["1.bin"], weights: [a({ shape: [1] })] },
    { paths: ["2.bin"], weights: [a({ name: "b" }), a({ name: "c" })] },
  ], { "1.bin": float32(1), "2.bin": float32(2, 3, 4, 5) }),
  manifest(33, "empty first file", [{ paths: ["1.bin", "2.bin"], weights: [A] }], { "1.bin": uint8(), "2.bin": TWO }),
  manifest(32, "three files cut at odd bytes", [{ paths: ["1.bin", "2.bin", "3.bin"], weights: [A] }],
    { "1.bin": TWO.subarray(0, 3), "2.bin": TWO.subarray(3, 6), "3.bin": TWO.subarray(6) }),
  one(null, "bool one byte short", [a({ dtype: "bool" })], uint8(1)),
  one(null, "complex64 half an element", [a({ dtype: "complex64" })], float32(1, 2, 3)),
];

const SHAPES = [
  one(5, "empty tensors", [a({ shape: [0] }), a({ name: "b", shape: [0, 3] })], uint8()),
  manifest(6, "no file at all", [{ paths: [], weights: [a({ shape: [0] })] }], {}),
  one(7, "scalar", [a({ shape: [] })], float32(1)),
  one(8, "shape -1", [a({ shape: [-1] })], TWO),
  one(8, "shape -1 x -2", [a({ shape: [-1, -2] })], TWO),
  one(8, "shape 0 x -1", [a({ shape: [0, -1] })], uint8()),
  one(9, "shape null", [a({ shape: null })], TWO),
  one(9, "shape missing", [{ name: "a", dtype: "float32" }], TWO),
  shape("a number", 2),
  shape("a string", "2"),
  shape("an object", { 0: 2, length: 1 }),
  shape("with a fraction", [1.5]),
  shape("with a string", ["2"]),
  shape("with null", [null]),
  shape("with true", [true, 2]),
  shape("with a list", [[2]]),
  raw(null, "shape with 2.0", textOf([{ paths: ["w.bin"], weights: [A] }]).replace("[2]", "[2.0]"), { "w.bin": TWO }),
  shape("beyond 2^53", [2 ** 53 * 2]),
  shape("product beyond 2^63", [2 ** 32, 2 ** 32]),
  one(null, "shape empty times huge", [a({ shape: [0, 2 ** 40] })], uint8()),
];

const DTYPES = [
  ...["int64", "float64", "int8"].map((name) => dtype(16, name, float32(1, 2, 3, 4))),
  dtype(17, "bfloat16"),
  dtype(18, "float16"),
  dtype(19, "uint8"),
  dtype(19, "uint16"),
  ...["<f4", "f4", "float", "Float32", "float32 "].map((name) => dtype(41, name)),
  ...["int16", "uint32", "complex128", "object", "half", "", null, 1, ["float32"]].map((name) => dtype(null, name)),
  one(null, "dtype missing", [{ name: "a", shape: [2] }], TWO),
  one(16, "unknown dtype of an unused tensor", [a({ dtype: "int64", shape: [0] }), A], TWO),
  one(40, "bool bytes other than 0 and 1", [a({ dtype: "bool", shape: [3] })], uint8(0, 2, 255)),
];

const string = (shape) => a({ shape, dtype: "string" });
const STRINGS = [
  one(10, "string empty element", [string([2])], strings("", "x")),
  one(11, "string of no elements before an int32", [string([0]), a({ name: "b", shape: [1], dtype: "int32" })],
    int32(7)),
  one(12, "string body truncated", [string([1])], strings("abc").subarray(0, 5)),
  one(12, "string body missing", [string([1])], float32Bits(3)),
  one(12, "string second element missing", [string([2])], strings("abc")),
  one(12, "string length truncated", [string([1])], uint8(1, 0)),
  one(13, "string length 0xffffffff", [string([1]), A], Buffer.concat([float32Bits(0xffffffff), TWO, TWO])),
  one(14, "string scalar", [string([])], strings("é")),
  one(15, "string with quantization", [u8({}, [1])].map((spec) => ({ ...spec, dtype: "string" })), strings("a")),
  one(null, "string not UTF-8", [string([1])], Buffer.concat([float32Bits(2), uint8(0xff, 0xc0)])),
  one(null, "string with bytes left over", [string([1])], Buffer.concat([strings("a"), uint8(0)])),
];

const QUANTIZATIONS = [
  quantized(20, "null", a({ quantization: null }), TWO),
  quantized(20, "{}", a({ quantization: {} }), TWO),
  quantized(null, "a string", a({ quantization: "uint8" })),
  quantized(null, "a list", a({ quantization: ["uint8"] })),
  quantized(null, "false", a({ quantization: false }), TWO),
  quantized(21, "of int32 with ties", i32({ min: -2, scale: 0.5 }, [8]), uint8(0, 1, 2, 3, 4, 5, 6, 7)),
  quantized(null, "of int32 beyond int32", i32({ min: 2147483645, scale: 1.5 }, [4]), uint8(0, 1, 2, 255)),
  quantized(null, "of int32 beyond float64", i32({ min: 1.7e308, scale: 1.7e308 }), uint8(0, 1)),
  quantized(22, "of bool", { ...u8(), dtype: "bool" }),
  quantized(22, "of complex64", { ...u8(), dtype: "complex64" }),
  quantized(23, "without min", u8({ min: undefined })),
  quantized(23, "without scale", u8({ scale: undefined })),
  quantized(24, "float16 of int32", a({ dtype: "int32", quantization: { dtype: "float16" } }), uint16(0x3c00, 0)),
  quantized(25, "uint16 with an odd byte count", u8({ dtype: "uint16" }), uint8(1, 0, 2)),
  quantized(null, "float16 one element short", a({ quantization: { dtype: "float16" } }), uint16(0x3c00)),
  quantized(null, "float16 with min and scale", u8({ dtype: "float16", min: 5 }), uint16(0x3c00, 0x4000)),
  quantized(null, "uint8 one element short", u8(), uint8(3)),
  quantized(null, "uint8 one element too many", u8(), uint8(3, 4, 5)),
  ...["int8", "int32", "float32", "UINT8", "", null].map((value) =>
    quantized(null, `dtype ${JSON.stringify(value)}`, u8({ dtype: value }), TWO)),
  quantized(null, "dtype missing", u8({ dtype: undefined }), TWO),
  quantized(null, "min a string", u8({ min: "1" })),
  quantized(null, "scale null", u8({ scale: null })),
  quantized(null, "scale true", u8({ scale: true })),
  quantized(null, "scale a list", u8({ scale: [2] })),
  quantized(null, "scale 0", u8({ scale: 0 })),
  quantized(null, "scale negative", u8({ scale: -0.5 })),
  quantized(null, "original_dtype unlike dtype", u8({ original_dtype: "float64" })),
  quantized(null, "of float64", { ...u8(), dtype: "float64" }),
  quantized(null, "of uint8", { ...u8(), dtype: "uint8" }),
  numbers(26, "min NaN", "NaN", "1.0"),
  numbers(26, "scale Infinity", "0.0", "Infinity"),
  numbers(26, "min -Infinity", "-Infinity", "1.0"),
  numbers(null, "min beyond float64", "1e400", "1.0"),
  numbers(null, "min an integer of 401 digits", `1${"0".repeat(400)}`, "1.0"),
  numbers(null, "min -0.0 and scale -1.0", "-0.0", "-1.0"),
  numbers(49, "of many digits", "-0.10196078817", "0.00509803940852"),
  numbers(51, "integers", "-1", "1"),
  numbers(51, "integers beyond uint8", "-100000", "300"),
];

const named = (row, name) =>
  one(row, `name ${JSON.stringify(name)}`, [a({ name }), a({ name: "b" })], float32(1, 2, 3, 4));
const NAMES = [
  one(30, "duplicate names", [A, A], float32(1, 2, 3, 4)),
  manifest(30, "duplicate names in two groups", [{ paths: ["1.bin"], weights: [A] }, { paths: ["2.bin"], weights: [A] }],
    { "1.bin": TWO, "2.bin": float32(3, 4) }),
  ...["a b/é:0", "../a"].map((name) => named(31, name)),
  ...["__proto__", "constructor", "toString", "", "\ud800", "\0", 7, null, true, ["a"]].map((name) => named(null, name)),
  one(null, "name missing", [{ shape: [2], dtype: "float32" }], TWO),
  one(50, "optimizer weight", [A, a({ name: "iter", shape: [], dtype: "int32", group: "optimizer" })],
    Buffer.concat([TWO, int32(3)])),
  one(null, "group of another name", [a({ group: "encoder" })], TWO),
];

const FILE = { "w.bin": TWO };
const group = (name, value, files = FILE) => manifest(null, `group ${name}`, [value], files);
const paths = (row, name, value, files = FILE) => manifest(row, `paths ${name}`, [{ paths: value, weights: [A] }], files);
const GROUPS = [
  paths(36, "above the folder", ["../w.bin"], { "../w.bin": TWO }),
  paths(36, "absolute", ["/w.bin"]),
  paths(37, "with ./", ["./w.bin"]),
  paths(38, "missing file", ["gone.bin"]),
  paths(38, "one of two files missing", ["w.bin", "gone.bin"]),
  paths(39, "same file twice", ["w.bin", "w.bin"], { "w.bin": float32(1) }),
  paths(null, "a string", "w.bin"),
  paths(null, "null", null),
  paths(null, "an object", {}),
  paths(null, "with a number", [1]),
  paths(null, "with null", [null]),
  paths(null, "with an empty string", [""]),
  paths(null, "empty though bytes are needed", []),
  group("null", null),
  group("a list", [["w.bin"], [A]]),
  group("without paths", { weights: [A] }),
  group("without weights", { paths: ["w.bin"] }),
  group("with weights null", { paths: ["w.bin"], weights: null }),
  group("with weights an object", { paths: ["w.bin"], weights: { a: A } }),
  group("with a null weight", { paths: ["w.bin"], weights: [null] }),
  group("with a weight that is a string", { paths: ["w.bin"], weights: ["a"] }),
  group("with bytes but no weights", { paths: ["w.bin"], weights: [] }),
  manifest(42, "manifest an object", { paths: ["w.bin"], weights: [A] }, FILE),
  manifest(null, "manifest a string", "w.bin", FILE),
  manifest(null, "manifest null", null, FILE),
  manifest(null, "manifest empty", [], {}),
];

const GOOD = textOf([{ paths: ["w.bin"], weights: [A] }]);
const JSONS = [
  raw(null, "json without a manifest", "{}", FILE),
  raw(null, "json with a topology only", '{"modelTopology": {}}', {}),
  raw(null, "json null", "null", FILE),
  raw(null, "json a number", "12", FILE),
  raw(null, "json empty", "", FILE),
  raw(null, "json truncated", GOOD.slice(0, -1), FILE),
  raw(null, "json with a trailing comma", GOOD.replace("[2]", "[2,]"), FILE),
  raw(null, "json with a comment", `// weights\n${GOOD}`, FILE),
  raw(null, "json with more behind it", `${GOOD} x`, FILE),
  raw(null, "json with a key twice", GOOD.replace('"shape":[2]', '"shape":[1],"shape":[2]'), FILE),
  raw(null, "json with a byte order mark", `\ufeff${GOOD}`, FILE),
];

const TABLE = [LENGTHS, SHAPES, DTYPES, STRINGS, QUANTIZATIONS, NAMES, GROUPS, JSONS].flat();

/** Each case with what tf.js did: {error} or {tensors}. */
export async function judgedRefusals(hexTensor) {
  const judged = [];
  for (const { row, name, json, files } of TABLE) {
    const tfjs = await inScope(() => whatTfjsDid(json, files, hexTensor));
    const hexFiles = Object.fromEntries(Object.entries(files).map(([path, bytes]) => [path, bytes.toString("hex")]));
    judged.push({ row, case: name, json, files: hexFiles, tfjs });
  }
  return judged;
}

async function whatTfjsDid(json, files, hexTensor) {
  const all = { ...files, "model.json": Buffer.from(json) };
  const readFile = (path) => {
    if (!Object.hasOwn(all, posix.normalize(path))) throw new Error(`missing file: ${path}`);
    return all[posix.normalize(path)];
  };
  try {
    return { tensors: (await load("model.json", readFile)).map(hexTensor) };
  } catch (error) {
    return { error: `${error.name}: ${error.message}` };
  }
}
