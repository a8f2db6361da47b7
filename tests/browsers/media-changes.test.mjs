// What happens to sound and pictures in the middle of a call: tracks come, change and go, directions turn, ICE restarts.
// The browser always offers the change, whoever offered first; a data channel must not notice any of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inBrowsers, rounded } from './lib/suite.mjs';

const LIMIT = { timeout: 60_000 };
const RESTART_GAP_LIMIT = 1000; // milliseconds without a new frame while ICE restarts, on loopback

inBrowsers('changes', (media) => {
  for (const role of ['offerer', 'answerer']) {
    test(`a track added, as ${role}`, LIMIT, async (t) => {
      const found = await media.inside(async (role) => {
        const connection = await media.connect({ role, kinds: ['audio'] });
        const chatter = media.chatter(connection.channel);
        await media.flows(connection.audio);
        const video = await media.add(connection, 'video', { colour: 'green' });
        await media.negotiate(connection);
        const took = await media.flows(video, 'the added track');
        await media.flows(connection.audio, 'the first track');
        const colour = media.colour(media.watch(video.receiver.track));
        const messages = await chatter.end();
        media.close(connection);
        return { colour, took, messages };
      }, role);
      t.diagnostic(`flowed after ${found.took.toFixed(0)} ms; ${found.messages} messages beside it`);
      assert.equal(found.colour, 'green');
    });

    test(`the first track of a connection that had only a data channel, as ${role}`, LIMIT, async (t) => {
      const found = await media.inside(async (role) => {
        const connection = await media.connect({ role, kinds: [] });
        const chatter = media.chatter(connection.channel);
        await media.sleep(200);
        const added = [await media.add(connection, 'video'), await media.add(connection, 'audio')];
        await media.negotiate(connection);
        const took = await Promise.all(added.map((transceiver) => media.flows(transceiver)));
        const messages = await chatter.end();
        media.close(connection);
        return { took, messages };
      }, role);
      t.diagnostic(`flowed after ${rounded(found.took)} ms; ${found.messages} messages beside it`);
      assert.equal(found.took.length, 2);
    });

    test(`a track replaced by one of another size, twice, without negotiation, as ${role}`, LIMIT, async (t) => {
      const found = await media.inside(async (role) => {
        const connection = await media.connect({ role, codec: 'VP8' });
        const chatter = media.chatter(connection.channel);
        await media.flows(connection.video);
        const view = media.watch(connection.video.receiver.track);
        const found = [];
        for (const [colour, width, height] of [
          ['blue', 320, 240],
          ['green', 480, 270],
        ]) {
          const old = connection.video.sender.track;
          await connection.video.sender.replaceTrack(media.picture({ colour, width, height }));
          old.stop();
          const began = performance.now();
          const sized = () => view.width === width && view.height === height;
          await media.until(`frames of ${width}x${height}`, sized, 20_000); // Firefox grows into its bandwidth slowly
          found.push({ colour: media.colour(view), took: performance.now() - began });
        }
        await media.flows(connection.audio);
        await chatter.end();
        media.close(connection);
        return found;
      }, role);
      t.diagnostic(`the new sizes came back after ${rounded(found.map(({ took }) => took))} ms`);
      assert.deepEqual(
        found.map(({ colour }) => colour),
        ['blue', 'green'],
      );
    });

    test(`a transceiver stopped, the other goes on; its m-line is used again, as ${role}`, LIMIT, async () => {
      const found = await media.inside(async (role) => {
        const connection = await media.connect({ role });
        const chatter = media.chatter(connection.channel);
        await Promise.all([media.flows(connection.video), media.flows(connection.audio)]);
        const old = connection.video.sender.track;
        connection.video.stop();
        old.stop();
        const refused = await media.negotiate(connection);
        const lines = [refused.match(/^m=video 0 /gm)?.length ?? 0, refused.match(/^m=/gm).length];
        await media.flows(connection.audio, 'the track that stays');
        const later = await media.add(connection, 'video', { colour: 'blue' });
        const answer = await media.negotiate(connection);
        await media.flows(later, 'the track that took its place');
        await media.flows(connection.audio, 'the track that stays');
        await chatter.end();
        const colour = media.colour(media.watch(later.receiver.track));
        media.close(connection);
        return { lines, again: answer.match(/^m=/gm).length, colour };
      }, role);
      assert.deepEqual(found, { lines: [1, 3], again: 3, colour: 'blue' });
    });

    test(`a direction turned to inactive and back, as ${role}`, LIMIT, async (t) => {
      const found = await media.inside(async (role) => {
        const connection = await media.connect({ role });
        const chatter = media.chatter(connection.channel);
        const { video, audio } = connection;
        await Promise.all([media.flows(video), media.flows(audio)]);
        const directions = [];
        const took = [];
        for (let round = 0; round < 2; round++) {
          video.direction = 'inactive';
          await media.negotiate(connection);
          directions.push(video.currentDirection);
          await media.ceases(video);
          await media.flows(audio, 'the sound beside it');
          video.direction = 'sendrecv';
          await media.negotiate(connection);
          directions.push(video.currentDirection);
          took.push(await media.flows(video, 'the picture that came back'));
        }
        const messages = await chatter.end();
        media.close(connection);
        return { directions, took, messages };
      }, role);
      t.diagnostic(`flowed again after ${rounded(found.took)} ms; ${found.messages} messages beside it`);
      assert.deepEqual(found.directions, ['inactive', 'sendrecv', 'inactive', 'sendrecv']);
    });

    test(`one way only: what is sent comes to nobody, what is not sent does not come, as ${role}`, LIMIT, async () => {
      const found = await media.inside(async (role) => {
        const connection = await media.connect({ role });
        const { video, audio } = connection;
        await Promise.all([media.flows(video), media.flows(audio)]);
        const found = {};
        for (const [direction, answered] of [
          ['sendonly', 'sendonly'],
          ['sendrecv', 'sendrecv'],
          ['recvonly', null], // the echo has nothing of its own to send: it may answer recvonly or inactive
          ['sendrecv', 'sendrecv'],
        ]) {
          video.direction = direction;
          await media.negotiate(connection);
          if (answered && video.currentDirection !== answered)
            throw Error(`${direction} became ${video.currentDirection}`);
          if (direction === 'sendrecv') await media.flows(video, 'both ways again');
          else await media.ceases(video);
          await media.flows(audio, 'the sound beside it');
          found[direction] = (found[direction] ?? 0) + 1;
        }
        media.close(connection);
        return found;
      }, role);
      assert.deepEqual(found, { sendonly: 1, sendrecv: 2, recvonly: 1 });
    });

    test(`a second and a third picture beside the first, each its own, as ${role}`, LIMIT, async (t) => {
      const found = await media.inside(async (role) => {
        const connection = await media.connect({ role, codec: 'VP8', colour: 'red' });
        const chatter = media.chatter(connection.channel);
        await media.flows(connection.video);
        const all = [connection.video];
        const took = [];
        for (const colour of ['green', 'blue']) {
          all.push(await media.add(connection, 'video', { codec: 'VP8', colour, width: 320, height: 180 }));
          await media.negotiate(connection);
          took.push(await media.flows(all.at(-1), `the ${colour} picture`));
        }
        await Promise.all([...all, connection.audio].map((transceiver) => media.flows(transceiver)));
        const colours = all.map(({ receiver }) => media.colour(media.watch(receiver.track)));
        await chatter.end();
        media.close(connection);
        return { colours, took };
      }, role);
      t.diagnostic(`flowed after ${rounded(found.took)} ms`);
      assert.deepEqual(found.colours, ['red', 'green', 'blue']);
    });

    test(`ICE restarts under way, three times, as ${role}`, LIMIT, async (t) => {
      const found = await media.inside(async (role) => {
        const connection = await media.connect({ role });
        const { pc, video, audio } = connection;
        const chatter = media.chatter(connection.channel);
        await Promise.all([media.flows(video), media.flows(audio)]);
        const view = media.watch(video.receiver.track);
        const ufrag = ({ sdp }) => sdp.match(/^a=ice-ufrag:(\S+)/m)[1];
        const ufrags = new Set([ufrag(pc.localDescription) + ufrag(pc.remoteDescription)]);
        const gaps = [];
        for (let i = 0; i < 3; i++) {
          const began = performance.now();
          pc.restartIce();
          await media.negotiate(connection);
          ufrags.add(ufrag(pc.localDescription) + ufrag(pc.remoteDescription));
          await media.sleep(1500);
          await Promise.all([media.flows(video, 'the picture'), media.flows(audio, 'the sound')]);
          gaps.push(media.longestGap(view, began));
        }
        const { connectionState } = pc;
        const messages = await chatter.end();
        media.close(connection);
        return { gaps, connectionState, messages, ufrags: ufrags.size };
      }, role);
      t.diagnostic(`longest gaps between frames ${rounded(found.gaps)} ms; ${found.messages} messages beside them`);
      assert.equal(found.ufrags, 4, 'each restart has new credentials on both sides');
      assert.equal(found.connectionState, 'connected');
      for (const gap of found.gaps) assert.ok(gap < RESTART_GAP_LIMIT, `${gap} ms without a frame`);
    });

    test(`a negotiation that changes nothing, ten times, as ${role}`, LIMIT, async (t) => {
      const gap = await media.inside(async (role) => {
        const connection = await media.connect({ role });
        await media.flows(connection.video);
        const view = media.watch(connection.video.receiver.track);
        const began = performance.now();
        for (let i = 0; i < 10; i++) await media.negotiate(connection);
        await Promise.all([media.flows(connection.video), media.flows(connection.audio)]);
        const gap = media.longestGap(view, began);
        media.close(connection);
        return gap;
      }, role);
      t.diagnostic(`longest gap between frames ${gap.toFixed(0)} ms`);
      assert.ok(gap < RESTART_GAP_LIMIT, `${gap} ms without a frame`);
    });
  }
});
