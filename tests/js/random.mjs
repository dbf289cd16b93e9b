// A seeded source of numbers: golden cases must come out byte for byte the same on every run.

/** A 32-bit seed from any text, so that a case's numbers hang on its own name and on no other case. */
function seedOf(text) {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(String(text))) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0 || 1; // xorshift never leaves 0
}

export class Random {
  #state;

  constructor(seed) {
    this.#state = seedOf(seed);
    for (let i = 0; i < 16; i++) this.#next(); // seeds that differ in a bit begin alike
  }

  #next() {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x >>> 0;
    return this.#state;
  }

  /** At least `low`, and below `high` but for float32 rounding. */
  uniform(low, high) {
    return low + (high - low) * ((this.#next() >>> 8) / 2 ** 24);
  }

  integer(low, high) {
    return low + Math.floor(((this.#next() >>> 8) / 2 ** 24) * (high - low));
  }

  floats(count, low, high) {
    return Float32Array.from({ length: count }, () => this.uniform(low, high));
  }

  integers(count, low, high) {
    return Int32Array.from({ length: count }, () => this.integer(low, high));
  }
}
