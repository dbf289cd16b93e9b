// Little-endian bytes of a few numbers.
const packed = (size, write) => (...values) => {
  const bytes = Buffer.alloc(size * values.length);
  values.forEach((value, index) => bytes[write](value, size * index));
  return bytes;
};

export const float32 = packed(4, "writeFloatLE");
export const float32Bits = packed(4, "writeUInt32LE");
export const int32 = packed(4, "writeInt32LE");
export const uint16 = packed(2, "writeUInt16LE");
export const uint8 = (...values) => Buffer.from(values);

/** One string tensor's bytes: each element's length, then its bytes. */
export const strings = (...texts) =>
  Buffer.concat(texts.flatMap((text) => [float32Bits(Buffer.byteLength(text)), Buffer.from(text)]));
