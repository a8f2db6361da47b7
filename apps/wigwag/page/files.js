// The tab for files: they queue, one after the other goes to the server and comes back.
import { $, Explained, element, megabytes, size } from "./dom.js";
import { openStorage, removeStored } from "./storage.js";
import { CANCELLED, Transfer } from "./transfer.js";

const TICK = 200;
const WINDOW = 10; // the live speed is over that many ticks

class Item {
  constructor(file, queue) {
    Object.assign(this, { file, queue, state: "waiting", transfer: null, name: crypto.randomUUID?.() ?? "" });
    const bar = (way, words) => {
      const progress = element("progress", {
        max: Math.max(file.size, 1),
        value: 0,
        attributes: { "aria-label": `${file.name}, ${words}` },
      });
      return {
        row: element(
          "div",
          { className: `way ${way}` },
          element("span", { className: "key " + way, textContent: words }),
          progress,
        ),
        progress,
      };
    };
    this.bars = { up: bar("up", "there"), down: bar("down", "back") };
    this.words = element("p", { className: "status", attributes: { role: "status" } });
    this.hash = element("p", { className: "hash" });
    this.cancelButton = element("button", {
      type: "button",
      className: "cancel",
      textContent: "Cancel",
      onclick: () => this.cancel(),
    });
    this.removeButton = element("button", {
      type: "button",
      className: "remove",
      textContent: "Remove",
      onclick: () => this.remove(),
      hidden: true,
    });
    this.save = element("a", { className: "button save", textContent: "Save what came back", hidden: true });
    this.row = element(
      "li",
      { className: "file" },
      element("h3", { textContent: file.name }),
      element("span", { className: "size", textContent: size(file.size) }),
      this.bars.up.row,
      this.bars.down.row,
      this.words,
      this.hash,
      element("div", { className: "controls" }, this.save, this.cancelButton, this.removeButton),
    );
    this.become("waiting", "Waiting for its turn.");
  }

  become(state, words) {
    this.state = state;
    this.row.dataset.file = state;
    this.words.textContent = words;
    const live = state === "waiting" || state === "running";
    this.cancelButton.hidden = !live;
    this.removeButton.hidden = live;
  }

  async run(pc, storage) {
    const { file } = this;
    this.storage = storage;
    let timer;
    try {
      this.become("running", "Opening a channel …");
      this.transfer = new Transfer(pc, file, { ...storage, name: this.name });
      const marks = [{ at: performance.now(), up: 0, down: 0 }];
      timer = setInterval(() => this.show(marks), TICK);
      const result = await this.transfer.run();
      this.show(marks);
      this.verdict(result);
    } catch (error) {
      const { title, detail } = Explained.from(error, "The transfer failed.");
      this.become(error === CANCELLED ? "cancelled" : "failed", [title, detail].filter(Boolean).join(" "));
      this.forget();
    } finally {
      clearInterval(timer);
    }
  }

  show(marks) {
    const { up, down } = this.transfer.progress;
    this.bars.up.progress.value = this.file.size ? up : 1;
    this.bars.down.progress.value = this.file.size ? down : 1;
    marks.push({ at: performance.now(), up, down });
    if (marks.length > WINDOW) marks.shift();
    const [then, now] = [marks[0], marks.at(-1)];
    const rate = (way) => megabytes(now.at > then.at ? ((now[way] - then[way]) / (now.at - then.at)) * 1000 : 0);
    this.words.textContent = `${size(up)} there at ${rate("up")} MB/s, ${size(down)} back at ${rate("down")} MB/s`;
  }

  verdict({ sent, server, received, kept, why, file }) {
    const { seconds } = this.transfer;
    const same = sent === server && server === received;
    const speed = `${seconds.toFixed(1)} s, ${megabytes(this.file.size / Math.max(seconds, 1e-3))} MB/s each way`;
    const differing = `Different: sent ${sent}, the server received ${server}, came back ${received}.`;
    this.become(same ? "done" : "failed", same ? `Identical on both sides and back. ${speed}.` : differing);
    this.hash.textContent = same ? `SHA-256 ${sent}` : "";
    if (why) this.words.textContent += ` ${why}`;
    this.kept = kept;
    if (!file) return;
    this.blob = file;
    this.url = URL.createObjectURL(file);
    Object.assign(this.save, { href: this.url, download: this.file.name, hidden: false });
  }

  cancel() {
    if (this.state === "waiting") this.become("cancelled", CANCELLED.title);
    else this.transfer?.cancel();
  }

  remove() {
    this.forget();
    this.row.remove();
    this.queue.items.delete(this);
  }

  /** What is stored of it goes. */
  forget() {
    if (this.url) URL.revokeObjectURL(this.url);
    if (this.storage?.directory) removeStored(this.storage.directory, this.name).catch(() => {});
    this.storage = this.blob = this.url = null;
  }
}

export const files = {
  items: new Set(),
  pc: null,
  busy: false,
  /** With a connection the queue moves; without (`null`), what is on the way has failed and the rest waits. */
  enable(pc) {
    this.pc = pc;
    if (!pc)
      for (const { transfer } of this.items)
        transfer?.break(new Explained("The connection ended before it was all back."));
    $("files-state").textContent = pc ? "" : "Connect first; what you choose waits.";
    this.next();
  },
  add(list) {
    for (const file of list) {
      const item = new Item(file, this);
      this.items.add(item);
      $("files-list").append(item.row);
    }
    this.next();
  },
  async next() {
    const item = [...this.items].find(({ state }) => state === "waiting");
    if (this.busy || !this.pc || !item) return;
    this.busy = true;
    try {
      this.storage ??= await openStorage();
      if (this.pc && item.state === "waiting") await item.run(this.pc, this.storage);
    } finally {
      this.busy = false;
    }
    this.next();
  },
};

$("files-input").addEventListener("change", ({ target }) => {
  files.add(target.files);
  target.value = ""; // the same file can be chosen again
});
const drop = $("files-drop");
for (const type of ["dragenter", "dragover"])
  drop.addEventListener(type, (event) => {
    event.preventDefault();
    drop.dataset.over = "";
  });
for (const type of ["dragleave", "drop"]) drop.addEventListener(type, () => delete drop.dataset.over);
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  files.add(event.dataTransfer.files);
});
// A file that misses the field must not replace the page.
for (const type of ["dragover", "drop"])
  addEventListener(type, (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
