// SHA-256 (FIPS 180-4), fed piece by piece: SubtleCrypto wants everything at once.

const K = new Int32Array(64);
const INITIAL = new Int32Array(8);

// The first 32 bits of the fractions of the cube roots (K) and square roots (INITIAL) of the first primes.
{
  const fraction = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0;
  const isPrime = (n) => {
    for (let i = 2; i * i <= n; i++) if (n % i === 0) return false;
    return true;
  };
  for (let n = 2, found = 0; found < 64; n++) {
    if (!isPrime(n)) continue;
    if (found < 8) INITIAL[found] = fraction(Math.sqrt(n));
    K[found++] = fraction(Math.cbrt(n));
  }
}

const BLOCK = 64;

export class Sha256 {
  constructor() {
    this.state = INITIAL.slice();
    this.rest = new Uint8Array(BLOCK); // what does not fill a block yet
    this.filled = 0;
    this.length = 0; // in bytes
    this.schedule = new Int32Array(64);
  }

  /** @param {Uint8Array} bytes */
  update(bytes) {
    this.length += bytes.length;
    let at = 0;
    if (this.filled) {
      at = Math.min(BLOCK - this.filled, bytes.length);
      this.rest.set(bytes.subarray(0, at), this.filled);
      this.filled += at;
      if (this.filled < BLOCK) return this;
      this.blocks(this.rest, 0, BLOCK);
      this.filled = 0;
    }
    const whole = at + Math.floor((bytes.length - at) / BLOCK) * BLOCK;
    this.blocks(bytes, at, whole);
    this.rest.set(bytes.subarray(whole));
    this.filled = bytes.length - whole;
    return this;
  }

  /** The hash in hexadecimal; nothing can be added afterwards. */
  digest() {
    const bits = this.length * 8;
    const end = new Uint8Array(this.filled < 56 ? BLOCK : 2 * BLOCK);
    end.set(this.rest.subarray(0, this.filled));
    end[this.filled] = 0x80;
    const view = new DataView(end.buffer);
    view.setUint32(end.length - 8, Math.floor(bits / 2 ** 32));
    view.setUint32(end.length - 4, bits >>> 0);
    this.blocks(end, 0, end.length);
    return [...this.state].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
  }

  /** Section 6.2.2, on whole blocks. Most of it is rounds written out: this is where the time goes. */
  blocks(bytes, from, to) {
    const { state, schedule: w } = this;
    let [h0, h1, h2, h3, h4, h5, h6, h7] = state;
    for (let at = from; at < to; at += BLOCK) {
      for (let i = 0, j = at; i < 16; i++, j += 4)
        w[i] = (bytes[j] << 24) | (bytes[j + 1] << 16) | (bytes[j + 2] << 8) | bytes[j + 3];
      for (let i = 16; i < 64; i++) {
        const x = w[i - 15];
        const y = w[i - 2];
        const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
        const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
        w[i] = (w[i - 16] + s0 + w[i - 7] + s1) | 0;
      }
      let a = h0;
      let b = h1;
      let c = h2;
      let d = h3;
      let e = h4;
      let f = h5;
      let g = h6;
      let h = h7;
      // Sixteen rounds at a turn, so that no value moves from name to name: twice as fast as one.
      for (let i = 0; i < 64; i += 16) {
        let t;
        t = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
        t = (h + t + (g ^ (e & (f ^ g))) + K[i] + w[i]) | 0;
        d = (d + t) | 0;
        t += ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
        h = (t + ((a & b) | (c & (a | b)))) | 0;
        t = ((d >>> 6) | (d << 26)) ^ ((d >>> 11) | (d << 21)) ^ ((d >>> 25) | (d << 7));
        t = (g + t + (f ^ (d & (e ^ f))) + K[i + 1] + w[i + 1]) | 0;
        c = (c + t) | 0;
        t += ((h >>> 2) | (h << 30)) ^ ((h >>> 13) | (h << 19)) ^ ((h >>> 22) | (h << 10));
        g = (t + ((h & a) | (b & (h | a)))) | 0;
        t = ((c >>> 6) | (c << 26)) ^ ((c >>> 11) | (c << 21)) ^ ((c >>> 25) | (c << 7));
        t = (f + t + (e ^ (c & (d ^ e))) + K[i + 2] + w[i + 2]) | 0;
        b = (b + t) | 0;
        t += ((g >>> 2) | (g << 30)) ^ ((g >>> 13) | (g << 19)) ^ ((g >>> 22) | (g << 10));
        f = (t + ((g & h) | (a & (g | h)))) | 0;
        t = ((b >>> 6) | (b << 26)) ^ ((b >>> 11) | (b << 21)) ^ ((b >>> 25) | (b << 7));
        t = (e + t + (d ^ (b & (c ^ d))) + K[i + 3] + w[i + 3]) | 0;
        a = (a + t) | 0;
        t += ((f >>> 2) | (f << 30)) ^ ((f >>> 13) | (f << 19)) ^ ((f >>> 22) | (f << 10));
        e = (t + ((f & g) | (h & (f | g)))) | 0;
        t = ((a >>> 6) | (a << 26)) ^ ((a >>> 11) | (a << 21)) ^ ((a >>> 25) | (a << 7));
        t = (d + t + (c ^ (a & (b ^ c))) + K[i + 4] + w[i + 4]) | 0;
        h = (h + t) | 0;
        t += ((e >>> 2) | (e << 30)) ^ ((e >>> 13) | (e << 19)) ^ ((e >>> 22) | (e << 10));
        d = (t + ((e & f) | (g & (e | f)))) | 0;
        t = ((h >>> 6) | (h << 26)) ^ ((h >>> 11) | (h << 21)) ^ ((h >>> 25) | (h << 7));
        t = (c + t + (b ^ (h & (a ^ b))) + K[i + 5] + w[i + 5]) | 0;
        g = (g + t) | 0;
        t += ((d >>> 2) | (d << 30)) ^ ((d >>> 13) | (d << 19)) ^ ((d >>> 22) | (d << 10));
        c = (t + ((d & e) | (f & (d | e)))) | 0;
        t = ((g >>> 6) | (g << 26)) ^ ((g >>> 11) | (g << 21)) ^ ((g >>> 25) | (g << 7));
        t = (b + t + (a ^ (g & (h ^ a))) + K[i + 6] + w[i + 6]) | 0;
        f = (f + t) | 0;
        t += ((c >>> 2) | (c << 30)) ^ ((c >>> 13) | (c << 19)) ^ ((c >>> 22) | (c << 10));
        b = (t + ((c & d) | (e & (c | d)))) | 0;
        t = ((f >>> 6) | (f << 26)) ^ ((f >>> 11) | (f << 21)) ^ ((f >>> 25) | (f << 7));
        t = (a + t + (h ^ (f & (g ^ h))) + K[i + 7] + w[i + 7]) | 0;
        e = (e + t) | 0;
        t += ((b >>> 2) | (b << 30)) ^ ((b >>> 13) | (b << 19)) ^ ((b >>> 22) | (b << 10));
        a = (t + ((b & c) | (d & (b | c)))) | 0;
        t = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
        t = (h + t + (g ^ (e & (f ^ g))) + K[i + 8] + w[i + 8]) | 0;
        d = (d + t) | 0;
        t += ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
        h = (t + ((a & b) | (c & (a | b)))) | 0;
        t = ((d >>> 6) | (d << 26)) ^ ((d >>> 11) | (d << 21)) ^ ((d >>> 25) | (d << 7));
        t = (g + t + (f ^ (d & (e ^ f))) + K[i + 9] + w[i + 9]) | 0;
        c = (c + t) | 0;
        t += ((h >>> 2) | (h << 30)) ^ ((h >>> 13) | (h << 19)) ^ ((h >>> 22) | (h << 10));
        g = (t + ((h & a) | (b & (h | a)))) | 0;
        t = ((c >>> 6) | (c << 26)) ^ ((c >>> 11) | (c << 21)) ^ ((c >>> 25) | (c << 7));
        t = (f + t + (e ^ (c & (d ^ e))) + K[i + 10] + w[i + 10]) | 0;
        b = (b + t) | 0;
        t += ((g >>> 2) | (g << 30)) ^ ((g >>> 13) | (g << 19)) ^ ((g >>> 22) | (g << 10));
        f = (t + ((g & h) | (a & (g | h)))) | 0;
        t = ((b >>> 6) | (b << 26)) ^ ((b >>> 11) | (b << 21)) ^ ((b >>> 25) | (b << 7));
        t = (e + t + (d ^ (b & (c ^ d))) + K[i + 11] + w[i + 11]) | 0;
        a = (a + t) | 0;
        t += ((f >>> 2) | (f << 30)) ^ ((f >>> 13) | (f << 19)) ^ ((f >>> 22) | (f << 10));
        e = (t + ((f & g) | (h & (f | g)))) | 0;
        t = ((a >>> 6) | (a << 26)) ^ ((a >>> 11) | (a << 21)) ^ ((a >>> 25) | (a << 7));
        t = (d + t + (c ^ (a & (b ^ c))) + K[i + 12] + w[i + 12]) | 0;
        h = (h + t) | 0;
        t += ((e >>> 2) | (e << 30)) ^ ((e >>> 13) | (e << 19)) ^ ((e >>> 22) | (e << 10));
        d = (t + ((e & f) | (g & (e | f)))) | 0;
        t = ((h >>> 6) | (h << 26)) ^ ((h >>> 11) | (h << 21)) ^ ((h >>> 25) | (h << 7));
        t = (c + t + (b ^ (h & (a ^ b))) + K[i + 13] + w[i + 13]) | 0;
        g = (g + t) | 0;
        t += ((d >>> 2) | (d << 30)) ^ ((d >>> 13) | (d << 19)) ^ ((d >>> 22) | (d << 10));
        c = (t + ((d & e) | (f & (d | e)))) | 0;
        t = ((g >>> 6) | (g << 26)) ^ ((g >>> 11) | (g << 21)) ^ ((g >>> 25) | (g << 7));
        t = (b + t + (a ^ (g & (h ^ a))) + K[i + 14] + w[i + 14]) | 0;
        f = (f + t) | 0;
        t += ((c >>> 2) | (c << 30)) ^ ((c >>> 13) | (c << 19)) ^ ((c >>> 22) | (c << 10));
        b = (t + ((c & d) | (e & (c | d)))) | 0;
        t = ((f >>> 6) | (f << 26)) ^ ((f >>> 11) | (f << 21)) ^ ((f >>> 25) | (f << 7));
        t = (a + t + (h ^ (f & (g ^ h))) + K[i + 15] + w[i + 15]) | 0;
        e = (e + t) | 0;
        t += ((b >>> 2) | (b << 30)) ^ ((b >>> 13) | (b << 19)) ^ ((b >>> 22) | (b << 10));
        a = (t + ((b & c) | (d & (b | c)))) | 0;
      }
      h0 = (h0 + a) | 0;
      h1 = (h1 + b) | 0;
      h2 = (h2 + c) | 0;
      h3 = (h3 + d) | 0;
      h4 = (h4 + e) | 0;
      h5 = (h5 + f) | 0;
      h6 = (h6 + g) | 0;
      h7 = (h7 + h) | 0;
    }
    state.set([h0, h1, h2, h3, h4, h5, h6, h7]);
  }
}
