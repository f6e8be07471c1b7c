// fetch and undici: a pool of kept connections, HTTP/2 by ALPN, bodies that stream, requests that are given up.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { createHash } from 'node:crypto';
import { assert, say, test } from './report.mjs';

const require = createRequire(`${process.env.INTEROP_HOME}/node/`);
const undici = require('undici');
const [, , clear, tls, authority] = process.argv;
const ca = fs.readFileSync(authority);
const SIZE = 8_000_000;
const piece = Buffer.alloc(16_000, 'some bytes that repeat ');

async function* pieces() {
  for (let sent = 0; sent < SIZE; sent += piece.length) yield piece;
}

const hash = (data) => createHash('sha256').update(data).digest('hex');
const whole = hash(Buffer.concat(Array(SIZE / piece.length).fill(piece)));
const bodyOf = (echoed) => echoed.subarray(echoed.indexOf('\n\n') + 2);

async function cases(name, base, dispatcher) {
  const get = (path, options) => undici.fetch(base + path, { dispatcher, ...options });
  await test(`${name}: GET, HEAD, POST`, async () => {
    assert.equal(await (await get('/')).text(), 'hello from sample\n');
    const head = await get('/bytes/10', { method: 'HEAD' });
    assert.equal(head.headers.get('content-length'), '10');
    const echoed = Buffer.from(await (await get('/echo', { method: 'POST', body: 'words' })).arrayBuffer());
    assert.equal(bodyOf(echoed).toString(), 'words');
  });
  await test(`${name}: 2000 requests, 100 at a time`, async () => {
    let next = 0;
    await Promise.all(Array.from({ length: 100 }, async () => {
      while (next < 2000) {
        const size = next++;
        assert.equal((await (await get(`/bytes/${size}`)).arrayBuffer()).byteLength, size);
      }
    }));
  });
  await test(`${name}: a streamed upload comes back whole`, async () => {
    const answer = await get('/echo', { method: 'POST', body: ReadableStream.from(pieces()), duplex: 'half' });
    assert.equal(hash(bodyOf(Buffer.from(await answer.arrayBuffer()))), whole);
  });
  await test(`${name}: 50 requests given up before their answers, 50 amid them, do no harm`, async () => {
    for (const path of ['/delay/5000', `/bytes/${SIZE}`]) {
      await Promise.all(Array.from({ length: 50 }, async () => {
        const signal = AbortSignal.timeout(100);
        await assert.rejects(async () => {
          const answer = await get(path, { signal });
          const reader = answer.body.getReader();
          await reader.read();
          await new Promise((resolve) => { signal.onabort = resolve; if (signal.aborted) resolve(); });
          for (;;) if ((await reader.read()).done) throw new Error('all of it came');
        });
      }));
    }
    assert.equal((await get('/')).status, 200);
  });
}

say('version', `node ${process.versions.node}`);
say('version', `undici ${require('undici/package.json').version}`);
const connect = { ca };
await cases('undici, HTTP/1.1', clear, new undici.Agent({ connections: 10 }));
await cases('undici, HTTP/1.1 over TLS', tls, new undici.Agent({ connections: 10, connect }));
await cases('undici, HTTP/2', tls, new undici.Agent({ allowH2: true, connect }));
await test("node's own fetch", async () => {
  assert.equal(await (await fetch(clear)).text(), 'hello from sample\n');
});
await test('undici, HTTP/1.1: requests sent ahead of answers (pipelining)', async () => {
  const client = new undici.Client(clear, { pipelining: 10 });
  const found = await Promise.all(Array.from({ length: 200 }, async (_, size) => {
    const { body } = await client.request({ path: `/bytes/${size}`, method: 'GET' });
    return (await body.arrayBuffer()).byteLength;
  }));
  assert.deepEqual(found, Array.from({ length: 200 }, (_, size) => size));
  await client.close();
});
process.exit();
