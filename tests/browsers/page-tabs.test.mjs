// The demo page's tabs: clicked through at both sizes in light and dark, by keyboard alone, and the statistics in one of
// them. Screenshots are kept in tests/artefacts.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, launch, withPage } from './lib/browser.mjs';
import { SIZES, fits, screenshot, shown, state, tab, text } from './lib/page.mjs';
import { Server } from './lib/server.mjs';

const LIMIT = { timeout: 60_000 };
const TABS = ['call', 'screen', 'data', 'files', 'stats'];

const visible = (page) =>
  page.$$eval('[role="tabpanel"]', (all) => all.filter((panel) => panel.checkVisibility()).map((panel) => panel.id));

for (const name of BROWSERS) {
  describe(`tabs, ${name}`, { timeout: 300_000 }, () => {
    let server, chrome;
    before(
      async () => {
        server = await Server.start();
        chrome = await launch(name);
      },
      { timeout: 90_000 },
    );
    after(
      async () => {
        await chrome?.close();
        await server?.stop();
      },
      { timeout: 30_000 },
    );

    for (const [place, size] of Object.entries(SIZES)) {
      test(`each opens, and fits, ${place}`, LIMIT, () =>
        withPage(chrome.browser, 'about:blank', async (page) => {
          await page.setViewport(size);
          await page.goto(server.origin);
          await state(page, 'Connected');
          assert.deepEqual(await visible(page), ['call']);
          for (const one of TABS) {
            await tab(page, one);
            assert.deepEqual(await visible(page), [one]);
            assert.equal(await text(page, '[role="tab"][aria-selected="true"]'), await text(page, `#tab-${one}`));
            assert.equal(await page.evaluate(() => location.hash), `#${one}`);
            assert.ok(await page.$eval('#connection', (aside) => aside.checkVisibility()), 'the connection is hidden');
            await fits(page);
            if (one !== 'stats' && one !== 'data') await screenshot(page, `${name}-${place}-${one}`);
          }
          await page.reload();
          await state(page, 'Connected');
          assert.deepEqual(await visible(page), ['stats']);
        }),
      );
    }

    test('by keyboard: one stop for all tabs, arrows, Home and End between them', LIMIT, () =>
      withPage(chrome.browser, `${server.origin}/#wait`, async (page) => {
        await page.bringToFront();
        const focused = () => page.evaluate(() => document.activeElement.id);
        await page.keyboard.press('Tab');
        await page.keyboard.press('Tab');
        assert.equal(await focused(), 'tab-call');
        for (const [key, wanted] of [
          ['ArrowRight', 'screen'],
          ['End', 'stats'],
          ['ArrowRight', 'call'],
          ['ArrowLeft', 'stats'],
          ['ArrowLeft', 'files'],
          ['Home', 'call'],
        ]) {
          await page.keyboard.press(key);
          assert.equal(await focused(), `tab-${wanted}`, key);
          assert.deepEqual(await visible(page), [wanted]);
        }
        await page.keyboard.press('End');
        await page.keyboard.press('ArrowLeft');
        await page.keyboard.press('Tab');
        assert.equal(await focused(), 'files-input', 'the field for files follows its tab');
      }),
    );

    for (const [place, size] of Object.entries(SIZES)) {
      test(`statistics: figures of this end, charts, tables, ${place}`, LIMIT, (t) =>
        withPage(chrome.browser, 'about:blank', async (page) => {
          await page.setViewport(size);
          await page.goto(`${server.origin}/#stats`);
          await state(page, 'Connected');
          const chart = (at) => `#stats-charts .chart-card:nth-child(${at})`;
          for (const at of [1, 2]) {
            const browser = `${chart(at)} .figures div:nth-child(${at}) dd`;
            await shown(page, browser, /^\d+(\.\d)? (k|M)?bit\/s$/, 15_000);
            t.diagnostic(`${await text(page, `${chart(at)} h3`)}: ${await text(page, browser)}`);
          }
          await page.waitForFunction(
            (chart) => document.querySelector(`${chart} polyline`)?.getAttribute('points').split(' ').length >= 3,
            { timeout: 15_000, polling: 100 },
            chart(1),
          );
          await shown(page, '#stats-ends', /DTLS1\.\d.*sent\d.*received\d/);
          await shown(page, '#stats-pairs', /(host|prflx) .*selected/);
          await fits(page);
          await screenshot(page, `${name}-${place}-stats`);
        }),
      );
    }

    // Firefox's colours can't be changed over WebDriver BiDi yet; the style sheet is the same.
    if (name === 'chromium')
      test('in the dark', LIMIT, () =>
        withPage(chrome.browser, 'about:blank', async (page) => {
          await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'dark' }]);
          await page.setViewport(SIZES.desk);
          await page.goto(server.origin);
          await state(page, 'Connected');
          assert.equal(await page.$eval('html', (html) => getComputedStyle(html).backgroundColor), 'rgb(21, 22, 26)');
          for (const one of TABS) {
            await tab(page, one);
            await screenshot(page, `${name}-dark-${one}`);
          }
        }),
      );
  });
}
