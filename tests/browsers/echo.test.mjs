// The echo of `wigwag demo`, from inside real browsers: both roles, every kind of message, many channels, closing.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { BROWSERS, launch, withPage } from './lib/browser.mjs';
import { prepare } from './lib/in-page.mjs';
import { Server } from './lib/server.mjs';

const REPETITIONS = 10;
const OPEN_LIMIT = 1000; // milliseconds from setRemoteDescription to an open channel, on loopback
const LARGE = 256 * 1024;
const LIMIT = { timeout: 90_000 };

for (const name of BROWSERS) {
  describe(`echo, ${name}`, { timeout: 600_000 }, () => {
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

    /** Runs a function inside a fresh page of the server's own origin, with `harness` there. */
    const inside = (work, argument) =>
      withPage(chrome.browser, `${server.origin}/#wait`, async (page) => {
        await prepare(page);
        return page.evaluate(work, argument);
      });

    test('the browser offers: open within a second, ten of ten', LIMIT, async (t) => {
      const times = [];
      for (let i = 0; i < REPETITIONS; i++) {
        times.push(
          await inside(async () => {
            const { pc, channels, ms } = await harness.offerer();
            await harness.echoes(channels[0], ['hello']);
            pc.close();
            return ms;
          }),
        );
      }
      t.diagnostic(`open after ${times.map((ms) => ms.toFixed(0)).join(', ')} ms`);
      for (const ms of times) assert.ok(ms < OPEN_LIMIT, `${ms} ms`);
    });

    test('the server offers: open within a second, ten of ten', LIMIT, async (t) => {
      const times = [];
      for (let i = 0; i < REPETITIONS; i++) {
        const { label, ms } = await inside(async () => {
          const { pc, channels, ms } = await harness.answerer();
          await harness.echoes(channels[0], ['hello']);
          pc.close();
          return { label: channels[0].label, ms };
        });
        assert.equal(label, 'echo');
        times.push(ms);
      }
      t.diagnostic(`open after ${times.map((ms) => ms.toFixed(0)).join(', ')} ms`);
      for (const ms of times) assert.ok(ms < OPEN_LIMIT, `${ms} ms`);
    });

    for (const role of ['offerer', 'answerer']) {
      test(`messages of 0 B, 1 B, 16 KiB and 256 KiB, text and binary, as ${role}`, LIMIT, async () => {
        const { count, largest } = await inside(
          async ({ role, sizes }) => {
            const { pc, channels } = await harness[role]();
            const largest = pc.sctp.maxMessageSize;
            const messages = sizes.flatMap((size, i) => [harness.bytes(size, i), harness.text(size, i)]);
            const count = await harness.echoes(channels[0], [...messages, ...messages.toReversed()]);
            pc.close();
            return { count, largest };
          },
          { role, sizes: [0, 1, 16 * 1024, LARGE] },
        );
        assert.equal(count, 16);
        assert.ok(largest >= LARGE, `the server takes messages of ${largest} bytes`);
      });
    }

    test('two thousand small messages stay in order', LIMIT, async () => {
      const count = await inside(async () => {
        const { pc, channels } = await harness.offerer();
        const messages = Array.from({ length: 2000 }, (_, i) => (i % 2 ? `message ${i}` : harness.bytes(i % 97, i)));
        const count = await harness.echoes(channels[0], messages);
        pc.close();
        return count;
      });
      assert.equal(count, 2000);
    });

    test('32 MiB there and back at once: a full echo slows the sender and never stops it', LIMIT, async (t) => {
      const rate = await inside(async () => {
        const { pc, channels } = await harness.offerer();
        const rate = await harness.flood(channels[0], 512);
        await harness.echoes(channels[0], ['still here']);
        pc.close();
        return rate;
      });
      t.diagnostic(`${rate.toFixed(0)} MB/s each way`);
      assert.ok(rate > 0);
    });

    test('twenty channels at once, ordered and not, reliable and not, each with its own echo', LIMIT, async (t) => {
      const counts = await inside(async () => {
        const kinds = [
          {},
          { ordered: false },
          { ordered: false, maxRetransmits: 3 },
          { maxPacketLifeTime: 2000 },
          { protocol: 'wigwag.v1' },
        ];
        const open = (pc) =>
          Array.from({ length: 20 }, (_, i) =>
            pc.createDataChannel(i ? `channel ${i} ☃` : '', kinds[i % kinds.length]),
          );
        const { pc, channels } = await harness.offerer(open);
        const ids = new Set(channels.map((channel) => channel.id));
        if (ids.size !== 20) throw Error('two channels share a stream');
        const counts = await Promise.all(
          channels.map((channel, i) =>
            harness.echoes(
              channel,
              Array.from({ length: 20 }, (_, n) =>
                n % 2 ? `channel ${i} message ${n}` : harness.bytes(500 * n, 100 * i + n),
              ),
            ),
          ),
        );
        pc.close();
        return counts;
      });
      t.diagnostic(`echoes of 20 on each channel: ${counts.join(' ')}`);
      assert.equal(counts.length, 20);
      for (const count of counts) assert.ok(count > 0); // the harness has seen that reliable channels lost nothing
    });

    test("channels opened later, by either side's connection", LIMIT, async () => {
      const count = await inside(async () => {
        let count = 0;
        for (const role of ['offerer', 'answerer']) {
          const { pc } = await harness[role]();
          for (let i = 0; i < 5; i++) {
            const later = await harness.opened(pc.createDataChannel(`later ${i}`, { ordered: i % 2 === 0 }));
            count += await harness.echoes(later, [`${role} ${i}`]);
          }
          pc.close();
        }
        return count;
      });
      assert.equal(count, 10);
    });

    test('a channel that the page closes is closed, and a new one works after it', LIMIT, async () => {
      const rounds = await inside(async () => {
        const {
          pc,
          channels: [stays],
        } = await harness.offerer();
        let rounds = 0;
        for (let i = 0; i < 5; i++) {
          const channel = await harness.opened(pc.createDataChannel('short-lived'));
          await harness.echoes(channel, [`round ${i}`]);
          const closed = harness.happens(channel, 'close');
          channel.close();
          await harness.within(5000, 'onclose after close()', closed);
          if (channel.readyState !== 'closed') throw Error(channel.readyState);
          await harness.echoes(stays, [`still here ${i}`]);
          rounds++;
        }
        pc.close();
        return rounds;
      });
      assert.equal(rounds, 5);
    });

    test('closing a channel with data under way both ways ends, and harms no other', LIMIT, async () => {
      const count = await inside(async () => {
        const {
          pc,
          channels: [stays],
        } = await harness.offerer();
        const channel = await harness.opened(pc.createDataChannel('cut short'));
        await harness.echoes(channel, ['first']);
        for (let i = 0; i < 50; i++) channel.send(harness.bytes(16384, i));
        const closed = harness.happens(channel, 'close');
        channel.close();
        await harness.within(10000, 'onclose with data under way', closed);
        const count = await harness.echoes(stays, ['still here', harness.bytes(16384, 0)]);
        pc.close();
        return count;
      });
      assert.equal(count, 2);
    });

    test('a channel that the server closes is seen to close, after its echo', LIMIT, async () => {
      const back = await inside(async () => {
        const {
          pc,
          channels: [stays],
        } = await harness.offerer();
        const back = [];
        for (let i = 0; i < 3; i++) {
          const channel = await harness.opened(pc.createDataChannel('close-me'));
          channel.onmessage = ({ data }) => back.push(data);
          const closed = harness.happens(channel, 'close');
          channel.send(`goodbye ${i}`);
          await harness.within(5000, 'onclose by the server', closed);
          await harness.echoes(stays, [`still here ${i}`]);
        }
        pc.close();
        return back;
      });
      assert.deepEqual(back, ['goodbye 0', 'goodbye 1', 'goodbye 2']);
    });

    test('ten connections at the same time', LIMIT, async () => {
      const counts = await inside(async () => {
        const all = await Promise.all(
          Array.from({ length: 10 }, (_, i) => (i % 2 ? harness.answerer() : harness.offerer())),
        );
        const counts = await Promise.all(
          all.map(({ channels }, i) => harness.echoes(channels[0], [`connection ${i}`, harness.bytes(20000, i), ''])),
        );
        for (const { pc } of all) pc.close();
        return counts;
      });
      assert.deepEqual(counts, Array(10).fill(3));
    });

    test('a started-anew server takes connections at the same address', LIMIT, async () => {
      const connect = async () => {
        const { pc, channels } = await harness.offerer();
        const count = await harness.echoes(channels[0], ['hello']);
        pc.close();
        return count;
      };
      assert.equal(await inside(connect), 1);
      const { address } = server;
      await server.stop('SIGKILL');
      server = await Server.start(address);
      assert.equal(server.address, address);
      assert.equal(await inside(connect), 1);
    });
  });
}

describe('HTTP', { timeout: 60_000 }, () => {
  let server;
  before(async () => (server = await Server.start()), { timeout: 30_000 });
  after(() => server?.stop(), { timeout: 10_000 });

  const OFFER = 'v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n';
  const REFUSED = {
    'not JSON': '{"type":"offer",',
    'nothing at all': '',
    'JSON, but no object': '[1,2]',
    'no sdp': { type: 'offer' },
    'an sdp that is no text': { type: 'offer', sdp: 7 },
    'an answer where an offer belongs': { type: 'answer', sdp: OFFER },
    'not SDP': { type: 'offer', sdp: 'hello' },
    'SDP without anything to connect': { type: 'offer', sdp: OFFER },
    'SDP without fingerprint and credentials': {
      type: 'offer',
      sdp: `${OFFER}m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sctp-port:5000\r\n`,
    },
  };
  for (const [what, body] of Object.entries(REFUSED)) {
    test(`/api/echo refuses ${what}, with 400 and a reason`, { timeout: 15_000 }, async () => {
      const reply = await server.post('/api/echo', body);
      assert.equal(reply.status, 400, JSON.stringify(reply.body));
      assert.match(reply.type, /^application\/json/);
      assert.equal(typeof reply.body.error, 'string');
      assert.notEqual(reply.body.error, '');
      assert.ok(server.running);
    });
  }

  test('/api/answer refuses what it did not offer', { timeout: 15_000 }, async () => {
    const reply = await server.post('/api/answer', { id: 'never-offered', type: 'answer', sdp: OFFER });
    assert.ok(reply.status === 400 || reply.status === 404, `HTTP ${reply.status}`);
    assert.equal(typeof reply.body.error, 'string');
    const offer = await server.post('/api/offer', {});
    assert.equal(offer.status, 200);
    assert.equal(offer.body.type, 'offer');
    assert.match(offer.body.sdp, /^m=application /m);
    const answer = await server.post('/api/answer', { id: offer.body.id, type: 'answer', sdp: 'hello' });
    assert.equal(answer.status, 400);
    assert.equal(typeof answer.body.error, 'string');
    assert.ok(server.running);
  });
});
