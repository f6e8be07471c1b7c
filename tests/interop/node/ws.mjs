// ws: 100,000 messages, sent as fast as they are taken.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { once } from 'node:events';
import { assert, say, test } from './report.mjs';

const require = createRequire(`${process.env.INTEROP_HOME}/node/`);
const WebSocket = require('ws');
const [, , clear, tls, authority] = process.argv;
const ca = fs.readFileSync(authority);
const MESSAGES = 100_000;

async function cases(name, base) {
  const url = base.replace('http', 'ws');
  await test(`${name}: ${MESSAGES} messages come back whole and in order`, async () => {
    const socket = new WebSocket(url, { ca, perMessageDeflate: false });
    await once(socket, 'open');
    let next = 0;
    const all = new Promise((resolve, reject) => {
      socket.on('message', (data) => {
        if (data.toString() !== `message ${next}`) reject(new Error(`${data} in the place of ${next}`));
        next += 1;
        if (next === MESSAGES) resolve();
      });
      socket.on('close', () => reject(new Error(`closed after ${next}`)));
    });
    for (let number = 0; number < MESSAGES; number++) {
      socket.send(`message ${number}`);
      if (socket.bufferedAmount > 1 << 20) await new Promise(setImmediate);
    }
    await all;
    socket.terminate();
  });
  await test(`${name}: a compressed message of 8 MiB, a ping, the close`, async () => {
    const socket = new WebSocket(url, { ca });
    await once(socket, 'open');
    const data = Buffer.alloc(1 << 23, 'bytes that repeat ');
    socket.send(data);
    const [back] = await once(socket, 'message');
    assert.ok(data.equals(back));
    socket.ping('there?');
    assert.equal((await once(socket, 'pong'))[0].toString(), 'there?');
    socket.close(1000, 'done');
    assert.equal((await once(socket, 'close'))[0], 1000);
  });
}

say('version', `ws ${require('ws/package.json').version}`);
await cases('ws', clear);
await cases('wss', tls);
process.exit();
