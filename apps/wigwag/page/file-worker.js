// The heavy half of a file's transfer, away from the page's thread: hashes what goes and what comes back, and keeps the
// latter: in the browser's private file system (OPFS) if it can, or in memory up to a limit, or not at all.
//
// In: {start: {size, directory, name}}, then {up: ArrayBuffer} and {down: ArrayBuffer} in order, then {finish: true}.
// Out: {stored: bytes so far}, {finished: {sent, received, kept, why, file}}, {failed: words}.
import { Sha256 } from "./sha256.js";

/** What is kept in memory at most, where there is no OPFS: 256 MiB. */
const MEMORY_LIMIT = 256 << 20;

const sent = new Sha256();
const received = new Sha256();
let keeper; // { kept, why, write(bytes), file() }

async function onDisk({ directory, name }) {
  const root = await navigator.storage.getDirectory();
  const handle = await (
    await root.getDirectoryHandle(directory, { create: true })
  ).getFileHandle(name, { create: true });
  const access = await handle.createSyncAccessHandle();
  let at = 0;
  return {
    kept: "disk",
    write(bytes) {
      for (let done = 0; done < bytes.length;) {
        const written = access.write(bytes.subarray(done), { at });
        if (!written) throw Error("the disk took nothing more");
        done += written;
        at += written;
      }
    },
    file() {
      access.close();
      return handle.getFile();
    },
    close: () => access.close(),
  };
}

function inMemory(why) {
  const pieces = [];
  return { kept: "memory", why, write: (bytes) => pieces.push(bytes), file: () => new Blob(pieces), close() {} };
}

const nowhere = (why) => ({ kept: "nothing", why, write() {}, file: () => null, close() {} });

/** What to do without a disk. */
function otherwise(size, why) {
  const limit = `${MEMORY_LIMIT >> 20} MiB`;
  if (size <= MEMORY_LIMIT) return inMemory(`${why} It is kept in memory, as it is not above ${limit}.`);
  return nowhere(`${why} Above ${limit} it is verified, but not kept.`);
}

async function start(order) {
  if (!order.directory) {
    keeper = otherwise(order.size, order.why);
    return;
  }
  try {
    keeper = await onDisk(order);
  } catch (error) {
    keeper = otherwise(order.size, `This browser gives no room on disk (${error.message}).`);
  }
}

function down(buffer) {
  const bytes = new Uint8Array(buffer);
  received.update(bytes);
  try {
    keeper.write(bytes);
  } catch (error) {
    keeper.close();
    keeper = nowhere(`The disk is full (${error.message}): it is verified, but not kept.`);
  }
  postMessage({ stored: received.length });
}

async function finish() {
  const { kept, why } = keeper;
  const file = await keeper.file();
  postMessage({
    finished: { sent: sent.digest(), received: received.digest(), bytes: received.length, kept, why, file },
  });
}

async function handle(message) {
  if (message.start) await start(message.start);
  else if (message.up) sent.update(new Uint8Array(message.up));
  else if (message.down) down(message.down);
  else if (message.finish) await finish();
}

let tail = Promise.resolve();
addEventListener("message", ({ data }) => {
  tail = tail.then(() => handle(data)).catch((error) => postMessage({ failed: String(error?.message ?? error) }));
});
