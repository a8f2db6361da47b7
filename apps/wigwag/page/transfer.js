// One file to the server and back, on a data channel of its own (protocol "wigwag-file"): a header, the content in
// pieces, which come back as they went, and at last the server's SHA-256 of what it received.
//
// Nothing holds the whole file. It is read in slices; the next is read while one is sent. Sending stops while the browser
// has enough to send (bufferedAmount), and while too much is on the way that has not been hashed and stored here.
import { Explained } from "./dom.js";

const PROTOCOL = "wigwag-file";
const PIECE = 64 << 10;
const SLICE = 1 << 20;
const BUFFERED = 1 << 20; // handed to the browser, but not sent
const BUFFERED_LOW = 256 << 10;
const IN_FLIGHT = 16 << 20; // sent, but not stored again
const OPENING_LIMIT = 10000;

export const CANCELLED = new Explained("Cancelled.");

export class Transfer {
  constructor(pc, file, storage) {
    Object.assign(this, { file, sent: 0, stored: 0, began: performance.now(), ended: null });
    this.channel = pc.createDataChannel(file.name, { protocol: PROTOCOL });
    this.channel.binaryType = "arraybuffer";
    this.channel.bufferedAmountLowThreshold = BUFFERED_LOW;
    this.worker = new Worker("/file-worker.js", { type: "module" });
    this.worker.postMessage({ start: { size: file.size, ...storage } });
    this.broken = new Promise((_, fail) => (this.break = fail));
    this.broken.catch(() => {});
    this.wake = () => {};
  }

  /** Bytes that have left, and bytes that have come back. */
  get progress() {
    return { up: this.sent - this.channel.bufferedAmount, down: this.stored };
  }

  get seconds() {
    return ((this.ended ?? performance.now()) - this.began) / 1000;
  }

  cancel() {
    this.break(CANCELLED);
  }

  /** To the end: `{ sent, server, received, kept, why, file }`, the first three being hashes. */
  async run() {
    try {
      this.listen();
      return await Promise.race([this.broken, this.transfer()]);
    } finally {
      this.ended = performance.now();
      this.wake();
      this.channel.onclose = this.channel.onmessage = null;
      this.channel.close();
      this.worker.terminate();
    }
  }

  listen() {
    const { channel, worker } = this;
    this.opened = new Promise((done) => (channel.onopen = done));
    this.verdict = new Promise((done) => (this.judge = done));
    this.finished = new Promise((done) => (this.finish = done));
    setTimeout(() => {
      if (channel.readyState === "connecting") this.break(new Explained("The channel for the file did not open."));
    }, OPENING_LIMIT);
    channel.onclose = () => this.break(new Explained("The server closed the file's channel before it was all there."));
    channel.onbufferedamountlow = () => this.wake();
    channel.onmessage = ({ data }) => {
      if (typeof data === "string") this.told(data);
      else worker.postMessage({ down: data }, [data]);
    };
    worker.onerror = (event) => this.break(new Explained("The hashing has failed.", event.message ?? ""));
    worker.onmessage = ({ data }) => {
      if (data.failed) this.break(new Explained("What came back could not be stored.", data.failed));
      else if (data.finished) this.finish(data.finished);
      else this.stored = data.stored;
      this.wake();
    };
  }

  told(text) {
    const words = JSON.parse(text);
    if (words.error) this.break(new Explained("The server refused the file.", words.error));
    else this.judge(words);
  }

  async transfer() {
    const { file, channel, worker } = this;
    await this.opened;
    this.began = performance.now();
    channel.send(JSON.stringify({ name: file.name, size: file.size, type: file.type }));
    await this.upload();
    const { sha256, bytes } = await this.verdict;
    worker.postMessage({ finish: true });
    const finished = await this.finished;
    if (bytes !== file.size || finished.bytes !== file.size)
      throw new Explained(`Of ${file.size} bytes ${bytes} arrived and ${finished.bytes} came back.`);
    return { ...finished, server: sha256 };
  }

  async upload() {
    const { file, channel, worker } = this;
    let next = this.read(0);
    for (let at = 0; at < file.size && this.ended === null; at += SLICE) {
      const slice = await next;
      next = at + SLICE < file.size ? this.read(at + SLICE) : null;
      for (let from = 0; from < slice.byteLength; from += PIECE) {
        const piece = new Uint8Array(slice, from, Math.min(PIECE, slice.byteLength - from));
        await this.room();
        if (this.ended !== null) return;
        channel.send(piece);
        this.sent += piece.length;
      }
      worker.postMessage({ up: slice }, [slice]);
    }
  }

  read(from) {
    const slice = this.file.slice(from, from + SLICE).arrayBuffer();
    const read = slice.catch((error) => {
      throw new Explained(
        "The file can't be read.",
        `The browser says: ${error.message}`,
        "It may have changed since it was chosen.",
      );
    });
    read.catch(() => {}); // whoever awaits it hears of it; if nobody does, it does not matter
    return read;
  }

  async room() {
    while (this.ended === null && (this.channel.bufferedAmount >= BUFFERED || this.sent - this.stored >= IN_FLIGHT))
      await new Promise((done) => (this.wake = done));
  }
}
