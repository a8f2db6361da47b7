// The demo page's calls: what goes to the server comes back and is decoded, in every codec of the browser; muted, switched
// off and on, refused and without devices; the screen likewise. The devices are the browser's fake ones.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, launch, withPage } from './lib/browser.mjs';
import { SIZES, chat, fits, press, screenshot, shown, state, tab, text } from './lib/page.mjs';
import { Server } from './lib/server.mjs';

const LIMIT = { timeout: 90_000 };
const part = (which, name) => `#${which} [data-part="${name}"]`;
const calling = (page, which, wanted, timeout = 15_000) =>
  page
    .waitForFunction(
      (which, wanted) => document.querySelector(`#${which}`).dataset.call === wanted,
      { timeout, polling: 50 },
      which,
      wanted,
    )
    .catch(async () => {
      const words = await page.$eval(`#${which}`, (panel) => `${panel.dataset.call}: ${panel.innerText}`);
      throw Error(`the call did not become ${wanted}: ${words}`);
    });

/** What was decoded of what came back: frames, and sound in samples. */
const decoded = (page, which = 'call') =>
  page.evaluate(async (which) => {
    const of = async (kind) => {
      const transceiver = wigwag.calls[which].transceivers[kind];
      if (!transceiver) return {};
      return [...(await transceiver.receiver.getStats()).values()].find(({ type }) => type === 'inbound-rtp') ?? {};
    };
    const [video, audio] = [await of('video'), await of('audio')];
    return {
      frames: video.framesDecoded ?? 0,
      width: video.frameWidth,
      height: video.frameHeight,
      samples: audio.totalSamplesReceived ?? 0,
    };
  }, which);

/** Waits until `more` frames are decoded than now. */
async function flows(page, which = 'call', more = 20) {
  const { frames } = await decoded(page, which);
  const until = Date.now() + 15_000;
  for (;;) {
    const now = await decoded(page, which);
    if (now.frames >= frames + more) return now;
    if (Date.now() > until)
      throw Error(`${now.frames - frames} frames came back in 15 s, not ${more}: ${await text(page, `#${which}`)}`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

/** How bright the picture that comes back is, from 0 to 255. */
const brightness = (page) =>
  page.$eval(part('call', 'back'), (video) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 16, height: 9 });
    const context = canvas.getContext('2d');
    context.drawImage(video, 0, 0, 16, 9);
    const { data } = context.getImageData(0, 0, 16, 9);
    return data.filter((_, i) => i % 4 < 3).reduce((sum, value) => sum + value, 0) / (16 * 9 * 3);
  });

for (const name of BROWSERS) {
  describe(`calls, ${name}`, { timeout: 900_000 }, () => {
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

    const connected = (work, which = 'call', size = SIZES.desk) =>
      withPage(chrome.browser, 'about:blank', async (page) => {
        await page.setViewport(size);
        await page.goto(`${server.origin}/#${which}`);
        await state(page, 'Connected');
        return work(page);
      });
    const start = async (page, which = 'call', button = 'start') => {
      await press(page, part(which, button));
      await calling(page, which, 'active');
    };

    for (const [place, size] of Object.entries(SIZES)) {
      test(`camera and microphone come back, ${place}; hang up, and again`, LIMIT, (t) =>
        connected(
          async (page) => {
            await start(page);
            const { width } = await flows(page);
            assert.ok(width > 0);
            assert.ok((await decoded(page)).samples > 0, 'sound comes back');
            await shown(page, part('call', 'first-frame'), /^\d+(\.\d)? ms after the answer$/);
            await shown(page, part('call', 'returned'), /\d+ × \d+, \d+ frames\/s, \w+/);
            await shown(page, part('call', 'sent'), /\d+ × \d+, \d+ frames\/s, \w+/);
            await shown(page, part('call', 'level'), /-\d+ dB|comes back/);
            t.diagnostic(
              `${await text(page, part('call', 'returned'))}; first picture ${await text(page, part('call', 'first-frame'))}`,
            );
            assert.ok(await page.$eval(part('call', 'back'), ({ muted }) => muted), 'the echo is silent at first');
            assert.ok(await page.$eval(part('call', 'local'), (video) => video.classList.contains('mirrored')));
            await fits(page);
            await screenshot(page, `${name}-${place}-call-active`);
            await press(page, part('call', 'hang-up'));
            await calling(page, 'call', 'idle');
            assert.ok(await page.$eval(part('call', 'local'), ({ srcObject }) => srcObject === null));
            await start(page);
            await flows(page);
            await tab(page, 'data');
            await chat(page, 'beside a call');
          },
          'call',
          size,
        ),
      );
    }

    test('in every codec that the browser has; changed during the call', LIMIT, (t) =>
      connected(async (page) => {
        const codecs = await page.$$eval(`${part('call', 'codec')} option`, (all) =>
          all.map(({ value }) => value).filter(Boolean),
        );
        assert.ok(codecs.includes('VP8') && codecs.includes('VP9'), codecs.join());
        await page.select(part('call', 'codec'), codecs.at(-1));
        await start(page);
        for (const codec of codecs.toReversed()) {
          await page.select(part('call', 'codec'), codec);
          await calling(page, 'call', 'active');
          await shown(page, part('call', 'returned'), new RegExp(`frames/s, ${codec}$`), 15_000);
          await flows(page);
        }
        t.diagnostic(codecs.join(', '));
      }),
    );

    test('muted, blanked, the camera off and on, the echo heard', LIMIT, () =>
      connected(async (page) => {
        await start(page);
        await flows(page);
        await press(page, part('call', 'mute'));
        await shown(page, part('call', 'mute'), /^Unmute microphone$/);
        assert.ok(await page.evaluate(() => !wigwag.calls.call.source.audio.track.enabled));
        await press(page, part('call', 'mute'));
        await shown(page, part('call', 'mute'), /^Mute microphone$/);

        assert.ok((await brightness(page)) > 20);
        await press(page, part('call', 'blank'));
        await shown(page, part('call', 'blank'), /^Show picture$/);
        const until = Date.now() + 10_000;
        while ((await brightness(page)) > 5 && Date.now() < until) await new Promise((done) => setTimeout(done, 100));
        assert.ok((await brightness(page)) <= 5, 'black comes back');
        await press(page, part('call', 'blank'));

        await press(page, part('call', 'camera'));
        await shown(page, part('call', 'camera'), /^Switch camera on$/);
        assert.equal(
          await page.evaluate(() => wigwag.calls.call.source.video.track.readyState),
          'ended',
          'the device is let go',
        );
        await press(page, part('call', 'camera'));
        await shown(page, part('call', 'camera'), /^Switch camera off$/);
        await flows(page);

        await press(page, part('call', 'sound'));
        await shown(page, part('call', 'sound'), /^Silence the echo$/);
        assert.ok(await page.$eval(part('call', 'back'), ({ muted, paused }) => !muted && !paused));
      }),
    );

    const without = (page, name, message) =>
      page.evaluate(
        (name, message) => {
          const refuse = () => Promise.reject(new DOMException(message, name));
          navigator.mediaDevices.getUserMedia = refuse;
          navigator.mediaDevices.getDisplayMedia = refuse;
        },
        name,
        message,
      );

    test('no camera and no microphone: a picture and a tone stand in by themselves', LIMIT, () =>
      connected(async (page) => {
        await without(page, 'NotFoundError', 'Requested device not found');
        await start(page);
        await shown(page, part('call', 'note'), /no camera and no microphone: a moving picture and a tone stand in/);
        const { width, height, samples } = await flows(page);
        assert.ok(width <= 640 && Math.abs(width / height - 16 / 9) < 0.02, `${width} × ${height}`); // browsers begin smaller
        assert.ok(samples > 0);
        await shown(page, part('call', 'mute'), /^Mute tone$/);
        assert.ok(!(await page.$eval(part('call', 'local'), (video) => video.classList.contains('mirrored'))));
        await screenshot(page, `${name}-call-picture`);
      }),
    );

    test('no camera alone: the microphone is used', LIMIT, () =>
      connected(async (page) => {
        await page.evaluate(() => {
          const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          navigator.mediaDevices.getUserMedia = (wanted) =>
            wanted.video ? Promise.reject(new DOMException('none', 'NotFoundError')) : real(wanted);
        });
        await start(page);
        await shown(page, part('call', 'note'), /^There is no camera: a moving picture stands in\.$/);
        assert.equal(await page.evaluate(() => wigwag.calls.call.source.audio.kind), 'microphone');
        await flows(page);
      }),
    );

    test('permission refused: said, and the moving picture is offered', LIMIT, () =>
      connected(async (page) => {
        await without(page, 'NotAllowedError', 'Permission denied');
        await press(page, part('call', 'start'));
        await shown(
          page,
          part('call', 'error'),
          /permission to use the camera and the microphone was refused.*Permission denied/s,
        );
        await calling(page, 'call', 'idle');
        await screenshot(page, `${name}-call-refused`);
        await start(page, 'call', 'instead');
        assert.ok(await page.$eval(part('call', 'error'), ({ hidden }) => hidden));
        await flows(page);
      }),
    );

    test('a server that refuses video: the page says so, and connects to nothing', LIMIT, () =>
      connected(async (page) => {
        await page.evaluate(() => {
          const real = window.fetch;
          window.fetch = (url, options) =>
            real(
              url,
              options?.body
                ? { ...options, body: options.body.replaceAll(/(VP8|VP9|H264|AV1|H265)\/90000/g, 'none/90000') }
                : options,
            );
        });
        await press(page, part('call', 'start'));
        await shown(page, part('call', 'error'), /^The server did not accept video\./);
        await calling(page, 'call', 'idle');
        await screenshot(page, `${name}-call-not-accepted`);
        await tab(page, 'data');
        await chat(page, 'the connection goes on');
      }),
    );

    test('the screen, where there is none a picture; beside a call', LIMIT, (t) =>
      connected(async (page) => {
        await start(page, 'screen');
        await flows(page, 'screen');
        t.diagnostic(`${await text(page, part('screen', 'returned'))} ${await text(page, part('screen', 'note'))}`);
        await screenshot(page, `${name}-screen-active`);
        await tab(page, 'call');
        await start(page);
        await flows(page);
        await press(page, part('call', 'hang-up'));
        await calling(page, 'call', 'idle');
        await flows(page, 'screen');
      }, 'screen'),
    );

    test('a disconnect ends the call and lets go of the devices', LIMIT, () =>
      connected(async (page) => {
        await start(page);
        await page.evaluate(() => (window.track = wigwag.calls.call.source.video.track));
        await press(page, '#connect');
        await calling(page, 'call', 'idle');
        assert.equal(await page.evaluate(() => track.readyState), 'ended');
        assert.ok(await page.$eval(part('call', 'start'), ({ disabled }) => disabled));
        await press(page, '#connect');
        await state(page, 'Connected');
        await start(page);
        await flows(page);
      }),
    );

    test('statistics of a call, of both ends', LIMIT, () =>
      connected(async (page) => {
        await start(page);
        await flows(page);
        await tab(page, 'stats');
        await shown(page, '#stats-media', /video.*VP8|video.*VP9|video.*H264|video.*AV1/, 15_000);
        const value = (chart, line) =>
          `#stats-charts .chart-card:nth-child(${chart}) .figures div:nth-child(${line}) dd`;
        for (const line of [1, 2]) {
          await shown(page, value(1, line), /[kM]bit\/s$/, 15_000);
          await shown(page, value(2, line), /[kM]bit\/s$/, 15_000);
          await shown(page, value(6, line), /^[1-9]\d*$/, 15_000);
          await shown(page, value(5, line), / ms$/, 15_000);
          await shown(page, value(4, line), / %$/, 15_000);
        }
        await new Promise((done) => setTimeout(done, 4000)); // for a picture with lines
        await screenshot(page, `${name}-desk-stats-call`);
      }),
    );
  });
}
