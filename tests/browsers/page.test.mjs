// The demo page as a person uses it: connect, chat, watch the meters, lose the server, come back. In both browsers, at the
// size of a desk and of a phone; screenshots are kept in tests/artefacts.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, launch, withPage } from './lib/browser.mjs';
import { SIZES, chat, fits, number, press, screenshot, shown, state, text } from './lib/page.mjs';
import { Server } from './lib/server.mjs';

const LIMIT = { timeout: 90_000 };

const messages = (page, kind) =>
  page.$$eval(`#chat-log .${kind}`, (all) => all.map((line) => line.firstChild.textContent));

for (const name of BROWSERS) {
  describe(`page, ${name}`, { timeout: 600_000 }, () => {
    let server, chrome;
    before(
      async () => {
        server = await Server.start();
        chrome = await launch(name);
        console.log(`${chrome.version} against ${server.origin}`);
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
      test(`everything on the page works, ${place}`, LIMIT, (t) =>
        withPage(chrome.browser, 'about:blank', async (page) => {
          await page.setViewport(size);
          await page.goto(`${server.origin}/#data`);
          await state(page, 'Connected');
          assert.equal(await text(page, '#connect'), 'Disconnect');
          assert.equal(await page.$$eval('#steps [data-step="done"]', (all) => all.length), 5);
          assert.ok(await page.$eval('#error', (element) => element.hidden));

          await chat(page, 'Hello over there');
          await chat(page, 'Grüße, ☃ and 𝄞 <b>as text</b>');
          assert.deepEqual(await messages(page, 'echo'), await messages(page, 'mine'));
          assert.equal((await messages(page, 'echo')).length, 2);
          assert.equal(await page.$eval('#chat-input', (input) => input.value), '');

          await shown(page, '#rtt', /^\d+(\.\d)?$/);
          await press(page, '#ping-ordered');
          await page.waitForFunction(() => wigwag.samples.length >= 4, { timeout: 5000 });
          assert.match(await text(page, '#rtt-median'), /^\d+(\.\d)?$/);
          assert.equal(await text(page, '#rtt-lost'), '0');

          await shown(page, '#fact-local', /^(host|prflx) .*:\d+$/);
          assert.match(await text(page, '#fact-remote'), /(127\.0\.0\.1|\[::1\]):\d+$/);
          const events = await page.$$eval('#timeline li', (all) => all.map((line) => line.textContent));
          for (const wanted of [
            /^\d+ ms.*Answer/,
            /^\d+ ms.*ICE connected/,
            /^\d+ ms.*Connection connected/,
            /^\d+ ms.*chat open/,
          ]) {
            assert.ok(
              events.some((line) => wanted.test(line)),
              `${wanted} in\n${events.join('\n')}`,
            );
          }

          await page.select('#throughput-seconds', '2');
          await press(page, '#throughput-start');
          await shown(page, '#throughput-start', /^Stop$/);
          await shown(page, '#throughput-summary', /Every byte came back, in order\.$/, 20_000);
          assert.equal(await text(page, '#throughput-start'), 'Start');
          for (const way of ['up', 'down']) assert.ok((await number(page, `#throughput-${way}`)) > 0, way);
          t.diagnostic(
            `${await text(page, '#throughput-summary')} ${await text(page, '#throughput-up')} MB/s up, ${await text(page, '#throughput-down')} MB/s down, round trip ${await text(page, '#rtt-median')} ms`,
          );

          await fits(page);
          await screenshot(page, `${name}-${place}-data`);

          await press(page, '#connect');
          await state(page, 'Not connected');
          assert.ok(await page.$eval('#chat-input', (input) => input.disabled));
          assert.ok(await page.$eval('#throughput-start', (button) => button.disabled));
          await press(page, '#connect');
          await state(page, 'Connected');
          await chat(page, 'Here again');
        }),
      );
    }

    test('a run that is stopped, and one that a disconnect cuts off', LIMIT, () =>
      withPage(chrome.browser, `${server.origin}/#data`, async (page) => {
        await state(page, 'Connected');
        await page.select('#throughput-seconds', '60');
        await press(page, '#throughput-start');
        await page.waitForFunction(() => Number(document.querySelector('#throughput-down').textContent) > 0, {
          timeout: 10_000,
        });
        await press(page, '#throughput-start');
        await shown(page, '#throughput-summary', /came back, in order\.$/);
        await press(page, '#throughput-start');
        await shown(page, '#throughput-start', /^Stop$/);
        await press(page, '#connect');
        await state(page, 'Not connected');
        await shown(page, '#throughput-start', /^Start$/);
      }),
    );

    test('by keyboard alone', LIMIT, () =>
      withPage(chrome.browser, `${server.origin}/#wait,data`, async (page) => {
        await page.bringToFront();
        assert.equal(await text(page, '#state'), 'Not connected');
        await page.keyboard.press('Tab');
        assert.equal(await page.evaluate(() => document.activeElement.id), 'connect');
        await page.keyboard.press('Enter');
        await state(page, 'Connected');
        const reached = [];
        for (let i = 0; i < 12; i++) {
          await page.keyboard.press('Tab');
          reached.push(await page.evaluate(() => document.activeElement.id));
        }
        for (const id of [
          'chat-log',
          'chat-input',
          'chat-send',
          'ping-unordered',
          'throughput-seconds',
          'throughput-chunk',
          'throughput-start',
          'timeline',
        ]) {
          assert.ok(reached.includes(id), `${id} in ${reached}`);
        }
      }),
    );

    test('no WebRTC, a refused offer, a reply that is no answer: each has its words', LIMIT, async () => {
      const page = await chrome.browser.newPage();
      try {
        await page.goto(`${server.origin}/#wait`);
        const connectWith = async (breaking, pattern) => {
          await page.evaluate(breaking);
          await page.click('#connect');
          await shown(page, '#error', pattern);
          assert.equal(await text(page, '#state'), 'Failed');
        };
        await connectWith(() => {
          window.kept = RTCPeerConnection;
          window.RTCPeerConnection = undefined;
        }, /WebRTC is not available/);
        await connectWith(() => {
          window.RTCPeerConnection = kept;
          window.realFetch = fetch;
          window.fetch = (url, options) =>
            realFetch(
              url,
              options?.method === 'POST' ? { ...options, body: '{"type":"offer","sdp":"broken"}' } : options,
            );
        }, /refused the offer \(HTTP 400\)\..*\w{3}/s);
        await connectWith(() => {
          window.fetch = async () => new Response('<p>a proxy</p>');
        }, /not an answer.*a proxy/s);
        await page.evaluate(() => {
          window.fetch = realFetch;
        });
        await page.click('#connect');
        await state(page, 'Connected');
        assert.ok(await page.$eval('#error', (element) => element.hidden));
      } finally {
        await page.close();
      }
    });

    const SPOILED = [
      ['ICE fails', '^(a=ice-pwd:).{8}', '$1spoiled0', /ICE failed.*UDP \S+:\d+.*--ice-address/s],
      [
        "the server's certificate is another",
        '^(a=fingerprint:[^ ]+) .{11}',
        '$1 00:11:22:33',
        /secure channel did not open.*DTLS/s,
      ],
    ];
    for (const [what, good, bad, pattern] of SPOILED) {
      test(`${what}: the page says so`, LIMIT, (t) =>
        withPage(chrome.browser, `${server.origin}/#wait`, async (page) => {
          await page.evaluate(
            (good, bad) => {
              const real = window.fetch;
              window.fetch = async (url, options) => {
                const response = await real(url, options);
                if (options?.method !== 'POST') return response;
                const answer = await response.json();
                return Response.json({ ...answer, sdp: answer.sdp.replace(new RegExp(good, 'gim'), bad) });
              };
            },
            good,
            bad,
          );
          const began = Date.now();
          await page.click('#connect');
          await shown(page, '#error', pattern, 45_000);
          t.diagnostic(`said after ${((Date.now() - began) / 1000).toFixed(1)} s`);
          assert.equal(await text(page, '#state'), 'Failed');
          assert.equal(await page.$$eval('#steps [data-step="failed"]', (all) => all.length), 1);
        }),
      );
    }

    test('the server goes and comes back', LIMIT, (t) =>
      withPage(chrome.browser, `${server.origin}/#data`, async (page) => {
        await state(page, 'Connected');
        const { address } = server;
        await server.stop('SIGKILL');
        const began = Date.now();
        await shown(page, '#error', /The server has gone/, 40_000);
        t.diagnostic(`noticed after ${((Date.now() - began) / 1000).toFixed(1)} s`);
        await screenshot(page, `${name}-server-gone`);
        if ((await text(page, '#connect')) === 'Disconnect') await press(page, '#connect');
        await press(page, '#connect');
        await shown(page, '#error', /The server does not answer/);
        assert.equal(await text(page, '#state'), 'Failed');
        server = await Server.start(address);
        await press(page, '#connect');
        await state(page, 'Connected');
        await chat(page, 'Welcome back');
      }),
    );
  });
}
