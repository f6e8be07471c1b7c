// Node's http2 (nghttp2): many streams, big bodies both ways, trailers, streams and connections that are given up.
import fs from 'node:fs';
import http2 from 'node:http2';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { assert, say, test } from './report.mjs';

const [, , clear, tls, authority] = process.argv;
const ca = fs.readFileSync(authority);
const SIZE = 16 * 1024 * 1024;

async function open(base) {
  // Without more memory it would itself refuse what it has asked for.
  const client = http2.connect(base, { ca, maxSessionMemory: 1000 });
  await once(client, 'connect');
  return client;
}

async function answer(stream) {
  const parts = [];
  let head, trailers;
  stream.on('response', (found) => { head = found; });
  stream.on('trailers', (found) => { trailers = found; });
  for await (const part of stream) parts.push(part);
  return { head, trailers, body: Buffer.concat(parts) };
}

async function cases(name, base) {
  await test(`${name}: 1000 streams on one connection, as many at a time as are let`, async () => {
    const client = await open(base);
    const found = await Promise.all(Array.from({ length: 1000 }, (_, size) => answer(client.request({ ':path': `/bytes/${size}` }))));
    assert.deepEqual(found.map(({ body }) => body.length), Array.from({ length: 1000 }, (_, size) => size));
    client.close();
  });
  await test(`${name}: 16 MiB both ways on each of 4 streams`, async () => {
    const client = await open(base);
    const data = Buffer.alloc(SIZE, 'bytes that repeat ');
    const wanted = createHash('sha256').update(data).digest('hex');
    await Promise.all(Array.from({ length: 4 }, async () => {
      const stream = client.request({ ':path': '/echo', ':method': 'POST' });
      stream.end(data);
      const { body } = await answer(stream);
      assert.equal(createHash('sha256').update(body.subarray(body.indexOf('\n\n') + 2)).digest('hex'), wanted);
    }));
    client.close();
  });
  await test(`${name}: trailers`, async () => {
    const client = await open(base);
    const { trailers, body } = await answer(client.request({ ':path': '/chunked/100', te: 'trailers' }));
    assert.equal(body.length, 100);
    assert.equal(trailers?.['x-bytes'], '100');
    const stream = client.request({ ':path': '/echo', ':method': 'POST' }, { endStream: false, waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-mine': 'after' }));
    stream.end('words');
    assert.match((await answer(stream)).body.toString(), /\n\nwords$/);
    client.close();
  });
  await test(`${name}: 150 streams that are given up do no harm to the others`, async () => {
    const client = await open(base);
    for (let round = 0; round < 15; round++) {
      const given = Array.from({ length: 10 }, () => client.request({ ':path': '/delay/5000' }));
      const kept = answer(client.request({ ':path': '/bytes/1000' }));
      for (const stream of given) {
        stream.on('error', () => {});
        stream.close(http2.constants.NGHTTP2_CANCEL);
      }
      assert.equal((await kept).body.length, 1000);
    }
    client.close();
  });
  await test(`${name}: a connection that is cut amid answers does no harm`, async () => {
    for (let round = 0; round < 20; round++) {
      const client = await open(base);
      const stream = client.request({ ':path': `/bytes/${SIZE}` });
      stream.on('error', () => {});
      await once(stream, 'response');
      client.destroy();
    }
    const client = await open(base);
    assert.equal((await answer(client.request({ ':path': '/' }))).head[':status'], 200);
    client.close();
  });
  await test(`${name}: PING is answered, SETTINGS acknowledged`, async () => {
    const client = await open(base);
    await new Promise((resolve, reject) => client.ping((why) => (why ? reject(why) : resolve())));
    const acknowledged = once(client, 'localSettings');
    client.settings({ initialWindowSize: 100_000, headerTableSize: 0 });
    await acknowledged;
    assert.equal((await answer(client.request({ ':path': '/bytes/300000' }))).body.length, 300_000);
    client.close();
  });
}

say('version', `nghttp2 ${process.versions.nghttp2} (node)`);
await cases('http2 over TLS', tls);
await cases('http2 in the clear', clear);
process.exit();
