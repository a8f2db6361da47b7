// A server, a browser and pages with the media harness, for tests that run the same in every browser.
import { after, before, describe } from 'node:test';
import { BROWSERS, launch, withPage } from './browser.mjs';
import { prepare } from './in-page.mjs';
import { prepareMedia } from './in-page-media.mjs';
import { Server } from './server.mjs';

/**
 * For each of the browsers, a `describe` with a server and that browser; `body` declares its tests. In them,
 * `media.inside(work, argument)` runs `work` in a fresh page of the server's own origin, and `media.pages(work)` gives
 * one such page to a function here.
 */
export function inBrowsers(title, body, names = BROWSERS) {
  for (const name of names) {
    describe(`${title}, ${name}`, { timeout: 1_200_000 }, () => {
      const media = { name, server: undefined };
      let chrome;
      media.pages = (work, path = '/#wait') =>
        withPage(chrome.browser, new URL(path, media.server.origin).href, async (page) => {
          await prepare(page);
          await prepareMedia(page);
          return work(page);
        });
      media.inside = (work, argument, path) => media.pages((page) => page.evaluate(work, argument), path);
      before(
        async () => {
          media.server = await Server.start();
          chrome = await launch(name);
          console.log(`${chrome.version} against ${media.server.origin}`);
        },
        { timeout: 90_000 },
      );
      after(
        async () => {
          await chrome?.close();
          await media.server?.stop();
        },
        { timeout: 30_000 },
      );
      body(media);
    });
  }
}

export const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
export const rounded = (values) => values.map((value) => value.toFixed(0)).join(', ');
