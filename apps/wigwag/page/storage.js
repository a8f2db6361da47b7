// Room on disk for what comes back: a directory of this page's own in the browser's private file system (OPFS).

const PREFIX = "wigwag-";

/** `{ directory }`, or `{ why }` there is none. */
export async function openStorage() {
  if (!navigator.storage?.getDirectory || !navigator.locks)
    return {
      why: globalThis.isSecureContext
        ? "This browser has no file system for pages."
        : "Browsers give room on disk only to pages that came over HTTPS or from this machine itself.",
    };
  try {
    const root = await navigator.storage.getDirectory();
    await sweep(root);
    const directory = PREFIX + crypto.randomUUID();
    navigator.locks.request(directory, () => new Promise(() => {})); // held for as long as the page is there
    await root.getDirectoryHandle(directory, { create: true });
    return { directory };
  } catch (error) {
    return { why: `This browser gives no room on disk (${error.message}).` };
  }
}

/** Pages that are gone have left their files. */
async function sweep(root) {
  const { held } = await navigator.locks.query();
  const living = new Set(held.map(({ name }) => name));
  for await (const name of root.keys()) {
    if (name.startsWith(PREFIX) && !living.has(name)) await root.removeEntry(name, { recursive: true }).catch(() => {});
  }
}

/** Takes back one file; a transfer that was cancelled may hold it for another moment. */
export async function removeStored(directory, name) {
  const root = await navigator.storage.getDirectory();
  const parent = await root.getDirectoryHandle(directory);
  for (let tries = 20; tries > 0; tries--) {
    const gone = await parent.removeEntry(name).then(
      () => true,
      (error) => error.name === "NotFoundError",
    );
    if (gone) return;
    await new Promise((done) => setTimeout(done, 100));
  }
}
