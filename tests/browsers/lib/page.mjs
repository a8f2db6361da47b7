// The demo page, as tests use it: what it shows, and how it is clicked.
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const ARTEFACTS = fileURLToPath(new URL('../../artefacts/', import.meta.url));
export const SIZES = { desk: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };
mkdirSync(ARTEFACTS, { recursive: true });

export const text = (page, selector) => page.$eval(selector, (element) => element.textContent.trim());
export const number = async (page, selector) => Number.parseFloat(await text(page, selector));

/** Waits until the connection is in the state that the page calls `wanted`. */
export const state = (page, wanted, timeout = 10_000) =>
  page.waitForFunction(
    (wanted) => document.querySelector('#state').textContent === wanted,
    { timeout, polling: 50 },
    wanted,
  );

/** Waits until the element is there, visible, and its text matches; what it said instead is in the error. */
export async function shown(page, selector, pattern, timeout = 10_000) {
  try {
    await page.waitForFunction(
      (selector, source, flags) => {
        const element = document.querySelector(selector);
        return element && !element.closest('[hidden]') && new RegExp(source, flags).test(element.textContent.trim());
      },
      { timeout, polling: 50 },
      selector,
      pattern.source,
      pattern.flags,
    );
  } catch (error) {
    const said = await page.$eval(selector, (element) => element.textContent.trim()).catch(() => 'nothing');
    throw Error(`${selector} did not show ${pattern} within ${timeout} ms, but "${said}"`, { cause: error });
  }
}

export const press = (page, selector) =>
  page.$eval(selector, (element) => element.scrollIntoView({ block: 'center' })).then(() => page.click(selector));

export const tab = async (page, name) => {
  await press(page, `#tab-${name}`);
  await page.waitForSelector(`#${name}:not([hidden])`, { visible: true });
};

export async function chat(page, words) {
  await page.type('#chat-input', words);
  await page.keyboard.press('Enter');
  await page.waitForFunction(
    (words) => document.querySelector('#chat-log .echo:last-child')?.firstChild.textContent === words,
    { timeout: 5000, polling: 50 },
    words,
  );
}

/** Nothing may stick out of the window sideways. */
export async function fits(page) {
  const { wide, inner } = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth,
    inner: innerWidth,
  }));
  if (wide > inner) throw Error(`the page is ${wide} wide in a window of ${inner}`);
}

export async function screenshot(page, name) {
  await page.evaluate(() => scrollTo(0, 0));
  const { width } = page.viewport();
  await page.screenshot({ path: `${ARTEFACTS}page-${name}.png`, fullPage: width < 1000 });
}
