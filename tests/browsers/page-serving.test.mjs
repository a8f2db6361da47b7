// How the demo serves its page: over HTTPS with a certificate of its own making, with a strict policy, and not for other
// sites' use.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, launch, withPage } from './lib/browser.mjs';
import { chat, shown, state, tab } from './lib/page.mjs';
import { Server } from './lib/server.mjs';

const LIMIT = { timeout: 60_000 };

for (const name of BROWSERS) {
  describe(`HTTPS, ${name}`, { timeout: 300_000 }, () => {
    let server, chrome;
    before(
      async () => {
        server = await Server.start('0.0.0.0:0', { more: ['--https'] });
        chrome = await launch(name, { acceptInsecureCerts: true });
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

    test('the page connects, and may use a camera', LIMIT, () =>
      withPage(chrome.browser, 'about:blank', async (page) => {
        assert.match(server.origin, /^https:/);
        await page.goto(server.origin);
        await state(page, 'Connected');
        assert.equal(await page.evaluate(() => isSecureContext && Boolean(navigator.mediaDevices?.getUserMedia)), true);
        await tab(page, 'data');
        await chat(page, 'Over HTTPS');
      }),
    );

    test('without HTTPS and from elsewhere there is no camera: the page says how to have one', LIMIT, () =>
      withPage(chrome.browser, 'about:blank', async (page) => {
        const plain = await Server.start();
        try {
          await page.goto(`${plain.origin}/#call`);
          await page.evaluate(() => Object.defineProperty(navigator, 'mediaDevices', { value: undefined }));
          await state(page, 'Connected');
          await page.click('#call [data-part="start"]');
          await shown(page, '#call [data-part="note"]', /no camera and no microphone.*wigwag demo --https/);
        } finally {
          await plain.stop();
        }
      }),
    );
  });
}

describe('serving', { timeout: 60_000 }, () => {
  let server;
  before(async () => (server = await Server.start()));
  after(() => server?.stop());

  const ask = (method, path, headers = {}, body = '') =>
    new Promise((done, fail) => {
      const asked = request(server.origin + path, { method, headers }, (response) => {
        let text = '';
        response
          .on('data', (data) => (text += data))
          .on('end', () => done({ status: response.statusCode, headers: response.headers, text }));
      });
      asked.on('error', fail).end(body);
    });

  test("another site's page is refused, our own and programs are not", async () => {
    const offer = '{"type":"offer","sdp":"broken"}';
    for (const origin of ['https://evil.example', 'http://127.0.0.1:1', 'null', `${server.origin}.evil.example`]) {
      for (const path of ['/api/echo', '/api/offer', '/api/answer']) {
        const { status, text } = await ask('POST', path, { origin }, offer);
        assert.equal(status, 403, `${origin} ${path}`);
        assert.match(JSON.parse(text).error, /another site/);
      }
    }
    for (const headers of [{}, { origin: server.origin }]) {
      const { status } = await ask('POST', '/api/echo', headers, offer);
      assert.equal(status, 400, 'it was let through, and the offer found broken');
    }
    assert.equal((await ask('GET', '/', { origin: 'https://evil.example' })).status, 200);
  });

  test('every file of the page has its type and the policy, and refers to nothing outside', async () => {
    const seen = new Set();
    const queue = ['/', '/page.css', '/file-worker.js'];
    for (const path of queue) {
      if (seen.has(path)) continue;
      seen.add(path);
      const { status, headers, text } = await ask('GET', path);
      assert.equal(status, 200, path);
      assert.match(
        headers['content-type'],
        path === '/' ? /^text\/html/ : path.endsWith('.css') ? /^text\/css/ : /^text\/javascript/,
      );
      assert.match(headers['content-security-policy'], /default-src 'none'/);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      const outside = text.match(/\b(?:https?:)?\/\/(?!www\.w3\.org\/2000\/svg)[a-z0-9.-]+\.[a-z]{2,}/gi) ?? [];
      assert.deepEqual(outside, [], path);
      for (const [, name] of text.matchAll(/from "\.\/([a-z0-9-]+\.js)"|import "\.\/([a-z0-9-]+\.js)"/g))
        queue.push(`/${name}`);
      if (path === '/') for (const [, script] of text.matchAll(/<script[^>]* src="([^"]+)"/g)) queue.push(script);
    }
    assert.ok(seen.size > 15, [...seen].join(' '));
  });
});
