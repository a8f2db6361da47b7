// What every part of the page needs: elements, words and numbers.

export const $ = (id) => document.getElementById(id);
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** An element with properties and children. */
export function element(name, properties = {}, ...children) {
  const { dataset, attributes = {}, ...rest } = properties;
  const made = Object.assign(document.createElement(name), rest);
  Object.assign(made.dataset, dataset);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export const milliseconds = (ms) => (ms >= 10 ? ms.toFixed(0) : ms.toFixed(1));
export const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1);

export function size(bytes) {
  const unit = bytes < 1e3 ? 0 : bytes < 1e6 ? 1 : bytes < 1e9 ? 2 : 3;
  return `${unit ? (bytes / 1e3 ** unit).toFixed(1) : bytes} ${["B", "kB", "MB", "GB"][unit]}`;
}

export function bitrate(bits) {
  const unit = bits < 1e3 ? 0 : bits < 1e6 ? 1 : bits < 1e9 ? 2 : 3;
  return `${(bits / 1e3 ** unit).toFixed(unit ? 1 : 0)} ${["bit/s", "kbit/s", "Mbit/s", "Gbit/s"][unit]}`;
}

export const kibibytes = (bytes) => (Number.isFinite(bytes) && bytes ? `${Math.round(bytes / 1024)} KiB` : "no limit");

/** An error whose cause is known well enough to say it to people. */
export class Explained extends Error {
  constructor(title, detail = "", hint = "") {
    super(title);
    Object.assign(this, { title, detail, hint });
  }

  /** Any error as one that can be shown. */
  static from(error, title) {
    return error instanceof Explained ? error : new Explained(title, String(error?.message ?? error));
  }
}

/** Shows an explained error in a box with three paragraphs, or hides the box. */
export function showExplained(box, error) {
  box.hidden = !error;
  const parts = [error?.title, error?.detail, error?.hint];
  for (const [i, paragraph] of [...box.children].entries()) {
    paragraph.textContent = parts[i] ?? "";
    paragraph.hidden = !parts[i];
  }
}
