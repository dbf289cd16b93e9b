// Single tensors, encoded by tf.io.encodeWeights and written by tf.js' HTTP handler.
import { httpWriter, tensorOf, tf } from "../tfjs.mjs";
import { float32, float32Bits, int32 } from "./bytes.mjs";

const utf8 = (...texts) => texts.map((text) => Buffer.from(text));
const MAX_INT = 2 ** 31 - 1;
const MIN_INT = -(2 ** 31);

// prettier-ignore
const SPECIAL_FLOATS = [
  0x00000000, 0x80000000,                                     // +0, -0
  0x7f800000, 0xff800000,                                     // +Inf, -Inf
  0x7fc00000, 0xffc00000, 0x7fc12345, 0xffffffff,             // quiet NaNs, with and without payload
  0x7f800001, 0xff812345,                                     // signalling NaNs
  0x00000001, 0x80000001, 0x007fffff, 0x807fffff, 0x00800000, // subnormals and the first normal
  0x7f7fffff, 0xff7fffff, 0x3f800000, 0x3f800001, 0xbf7fffff, // largest, smallest, around 1
];
const NOT_UTF8 = Buffer.from([0xff, 0xfe, 0x80]);
const STRINGS = [...utf8("", "a", "é", "日本", "🙂", "\0", "a\0b", "tail\0"), NOT_UTF8];

const float = (name, shape, ...values) => ({ name, shape, dtype: "float32", bytes: float32(...values) });
const int = (name, shape, ...values) => ({ name, shape, dtype: "int32", bytes: int32(...values) });
const bool = (name, shape, ...values) => ({ name, shape, dtype: "bool", bytes: Buffer.from(values) });
const complex = (name, shape, ...parts) => ({ name, shape, dtype: "complex64", bytes: float32(...parts) });
const string = (name, shape, ...strings) => ({ name, shape, dtype: "string", strings });

const EMPTY = [bool, complex, float, int, string].flatMap((make) => [
  make(`${make.name} 0`, [0]),
  make(`${make.name} 0x3`, [0, 3]),
  make(`${make.name} 2x0x2`, [2, 0, 2]),
]);

const NAMES = ["a b", "a/b/c", "a:0", "é", "日本/重み", "🙂", "10", "2", " a", "A", 'quote"back\\slash', "tab\tline\n"];

const CASES = {
  "js-float32": [{ name: "special", shape: [4, 5], dtype: "float32", bytes: float32Bits(...SPECIAL_FLOATS) }],
  "js-int32": [int("extremes", [7], 0, 1, -1, MAX_INT, MIN_INT, MAX_INT - 1, MIN_INT + 1)],
  "js-bool": [bool("b", [2, 3], 0, 1, 1, 0, 0, 1)],
  "js-string": [string("s", [3, 3], ...STRINGS), string("s long", [1], Buffer.alloc(300, "long "))],
  "js-complex64": [complex("c", [2, 2], 1, 2, -0, 0, Infinity, -Infinity, 1e-45, -3.4e38)],
  "js-scalars": [
    bool("bool", [], 1),
    complex("complex64", [], 1.5, -2.5),
    float("float32", [], -0),
    int("int32", [], -7),
    string("string", [], Buffer.from("é")),
    string("string empty", [], Buffer.alloc(0)),
  ],
  "js-empty": [...EMPTY, int("last", [1], 123456789)],
  // The byte example of the format's description: what follows the bools starts at odd offsets.
  "js-mixed-unaligned": [
    int("i", [2], 1, 2),
    bool("b", [3], 1, 0, 1),
    string("s", [3], ...utf8("a", "é", "")),
    complex("c", [1], 1, 2),
    float("f", [], 1.5),
    bool("b2", [1, 1, 1], 1),
    float("rank 6", [1, 2, 1, 2, 1, 1], 1, 2, 3, 4),
  ],
  "js-names": NAMES.map((name, index) => int(name, [1], index)),
};

export async function* tensorCases() {
  for (const [name, rows] of Object.entries(CASES)) {
    const named = rows.map((row) => ({ name: row.name, tensor: tensorOf(row) }));
    const { specs, data } = await tf.io.encodeWeights(named);
    const files = {};
    await httpWriter(files).save({ weightSpecs: specs, weightData: data });
    yield { name, files };
  }
}
