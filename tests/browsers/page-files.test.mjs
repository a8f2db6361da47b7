// The demo page's files: there and back with the hash compared, cancelled on the way, queued, refused, and without a disk.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, launch, withPage } from './lib/browser.mjs';
import { SIZES, fits, press, screenshot, shown, state } from './lib/page.mjs';
import { Server } from './lib/server.mjs';

const LIMIT = { timeout: 120_000 };
const LARGE = 50_000_000;
const MEMORY_LIMIT = 20_000; // kB that the server may grow by, whatever the size of the file

for (const name of BROWSERS) {
  describe(`files, ${name}`, { timeout: 600_000 }, () => {
    let server, chrome, folder;
    const made = {};
    /** A file of `size` random bytes, and its hash. */
    function file(title, size) {
      const bytes = randomBytes(size);
      const path = join(folder, title);
      writeFileSync(path, bytes);
      made[title] = { path, sha256: createHash('sha256').update(bytes).digest('hex') };
    }
    before(
      async () => {
        folder = mkdtempSync(join(tmpdir(), 'wigwag-files-'));
        file('large.bin', LARGE);
        file('second.bin', 1_000_003);
        file('empty.bin', 0);
        file('Grüße & <b>.txt', 70_000);
        server = await Server.start();
        chrome = await launch(name);
      },
      { timeout: 90_000 },
    );
    after(
      async () => {
        await chrome?.close();
        await server?.stop();
        rmSync(folder, { recursive: true, force: true });
      },
      { timeout: 30_000 },
    );

    /** In kB; /proc is there wherever these tests' namespaces are. */
    const peakMemory = () =>
      Number(readFileSync(`/proc/${server.child.pid}/status`, 'utf8').match(/VmHWM:\s+(\d+)/)[1]);
    const choose = async (page, ...titles) =>
      (await page.$('#files-input')).uploadFile(...titles.map((title) => made[title].path));
    const row = (at) => `#files-list li:nth-child(${at})`;
    const outcome = (page, at, wanted, timeout = 60_000) =>
      page
        .waitForFunction(
          (row) => !['waiting', 'running'].includes(document.querySelector(row)?.dataset.file),
          { timeout, polling: 100 },
          row(at),
        )
        .then(async () => {
          const { state, words } = await page.$eval(row(at), (item) => ({
            state: item.dataset.file,
            words: item.innerText,
          }));
          assert.equal(state, wanted, words);
          return words;
        });
    /** What "Save what came back" would save, hashed by the browser's own code. */
    const saved = (page, at) =>
      page.evaluate(async (at) => {
        const { blob, save } = [...wigwag.files.items][at - 1];
        const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()));
        const sha256 = [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('');
        return { name: save.download, isBlob: save.href.startsWith('blob:') && !save.hidden, sha256 };
      }, at);
    const stored = (page) =>
      page.evaluate(async () => {
        const names = [];
        const walk = async (directory) => {
          for await (const [name, handle] of directory.entries())
            if (handle.kind === 'directory') await walk(handle);
            else names.push(name);
        };
        await walk(await navigator.storage.getDirectory());
        return names.length;
      });

    /** Waits until so many files are stored: a file goes when its worker has let it go. */
    async function storing(page, wanted) {
      for (let left = 50; (await stored(page)) !== wanted && left; left--)
        await new Promise((done) => setTimeout(done, 100));
      assert.equal(await stored(page), wanted, 'files on disk');
    }

    for (const [place, size] of Object.entries(SIZES)) {
      test(`50 MB there and back, kept on disk, ${place}`, LIMIT, (t) =>
        withPage(chrome.browser, 'about:blank', async (page) => {
          await page.setViewport(size);
          await page.goto(`${server.origin}/#files`);
          await state(page, 'Connected');
          const before = peakMemory();
          await choose(page, 'large.bin');
          await shown(page, `${row(1)} .status`, /MB there at .* back at/);
          await screenshot(page, `${name}-${place}-files-running`);
          const words = await outcome(page, 1, 'done');
          assert.match(words, /Identical on both sides and back\./);
          assert.ok(words.includes(`SHA-256 ${made['large.bin'].sha256}`), words);
          assert.equal(await page.evaluate(() => [...wigwag.files.items][0].kept), 'disk');
          const grown = peakMemory() - before;
          assert.ok(grown < MEMORY_LIMIT, `the server grew by ${grown} kB`);
          t.diagnostic(`${words.match(/[\d.]+ s, [\d.]+ MB\/s each way/)[0]}, the server grew by ${grown} kB`);
          await fits(page);
          await screenshot(page, `${name}-${place}-files`);
          assert.equal(await stored(page), 1);
          await press(page, `${row(1)} .remove`);
          await page.waitForFunction(() => !document.querySelector('#files-list li'));
          await storing(page, 0);
        }),
      );
    }

    test('several queue; an empty one and one with a wild name among them; what is saved is what was sent', LIMIT, () =>
      withPage(chrome.browser, `${server.origin}/#files`, async (page) => {
        await state(page, 'Connected');
        const titles = ['second.bin', 'empty.bin', 'Grüße & <b>.txt'];
        await choose(page, ...titles);
        for (const [i, title] of titles.entries()) {
          const words = await outcome(page, i + 1, 'done');
          assert.ok(words.includes(made[title].sha256), words);
          assert.deepEqual(await saved(page, i + 1), { name: title, isBlob: true, sha256: made[title].sha256 });
          assert.equal(await page.$eval(`${row(i + 1)} h3`, (heading) => heading.textContent), title);
        }
      }),
    );

    test('cancelled in the middle, and while it waits: the next goes on', LIMIT, () =>
      withPage(chrome.browser, `${server.origin}/#files`, async (page) => {
        await state(page, 'Connected');
        await choose(page, 'large.bin', 'second.bin', 'empty.bin');
        await page.waitForFunction(
          (row) => document.querySelector(`${row} .way.down progress`)?.value > 1e6,
          {},
          row(1),
        );
        await press(page, `${row(2)} .cancel`);
        await press(page, `${row(1)} .cancel`);
        assert.match(await outcome(page, 1, 'cancelled', 5000), /Cancelled/);
        await outcome(page, 2, 'cancelled', 5000);
        await outcome(page, 3, 'done', 10_000);
        const { up, total } = await page.$eval(`${row(1)} .way.up progress`, (bar) => ({
          up: bar.value,
          total: bar.max,
        }));
        assert.ok(up > 0 && up < total, `${up} of ${total}`);
        await choose(page, 'second.bin');
        await outcome(page, 4, 'done');
        await storing(page, 2); // of the third and the fourth: what was cancelled is gone
      }),
    );

    test('chosen before connecting, it waits; cut off by a disconnect, it says so', LIMIT, () =>
      withPage(chrome.browser, `${server.origin}/#wait,files`, async (page) => {
        await choose(page, 'large.bin');
        await shown(page, `${row(1)} .status`, /Waiting/);
        await shown(page, '#files-state', /Connect first/);
        await press(page, '#connect');
        await page.waitForFunction(
          (row) => document.querySelector(`${row} .way.down progress`)?.value > 1e6,
          {},
          row(1),
        );
        await press(page, '#connect');
        assert.match(await outcome(page, 1, 'failed', 5000), /The connection ended/);
      }),
    );

    test('without a disk: kept in memory, and the page says so', LIMIT, () =>
      withPage(chrome.browser, `${server.origin}/#wait,files`, async (page) => {
        await page.evaluate(() => {
          navigator.storage.getDirectory = () => Promise.reject(new DOMException('not here', 'SecurityError'));
        });
        await press(page, '#connect');
        await choose(page, 'second.bin');
        const words = await outcome(page, 1, 'done');
        assert.match(words, /no room on disk \(not here\)\. It is kept in memory, as it is not above 256 MiB\./);
        assert.ok(words.includes(made['second.bin'].sha256), words);
        assert.equal(await page.evaluate(() => [...wigwag.files.items][0].kept), 'memory');
      }),
    );

    test('what breaks the rules is refused by the server, in words', LIMIT, () =>
      withPage(chrome.browser, `${server.origin}/#files`, async (page) => {
        await state(page, 'Connected');
        const answers = await page.evaluate(async () => {
          const tell = (...messages) =>
            new Promise((done) => {
              const channel = wigwag.pc.createDataChannel('x', { protocol: 'wigwag-file' });
              const heard = [];
              channel.onopen = () => messages.forEach((message) => channel.send(message));
              channel.onmessage = ({ data }) => typeof data === 'string' && heard.push(data);
              channel.onclose = () => done(heard);
            });
          const header = (size) => JSON.stringify({ name: 'x', size });
          return Promise.all([
            tell('no header'),
            tell(new Uint8Array(3)),
            tell(header(-1)),
            tell(header(2), new Uint8Array(3)),
            tell(header(2), 'ab'),
            tell(header(2), new Uint8Array(2), new Uint8Array(1)),
            tell(JSON.stringify({ name: 'x'.repeat(9000), size: 0 })),
          ]);
        });
        const errors = answers.map((heard) => JSON.parse(heard.at(-1) ?? '{}').error);
        const wanted = [
          /not a header/,
          /not a header.*binary/,
          /not a header/,
          /more bytes/,
          /text where/,
          /more bytes/,
          /longer than/,
        ];
        for (const [i, pattern] of wanted.entries()) assert.match(errors[i] ?? 'nothing', pattern);
      }),
    );
  });
}
