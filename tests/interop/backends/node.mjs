// An ordinary HTTP server of Node: sends back what it gets, `/bytes/N`, `/trailers`, and WebSocket messages.
import http from 'node:http';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.INTEROP_HOME}/node/`);
const { WebSocketServer } = require('ws');

const server = http.createServer((request, response) => {
  const [, what, size] = request.url.split('/');
  if (what === 'bytes') {
    response.setHeader('content-length', size);
    response.end(Buffer.alloc(Number(size), 'abc'));
  } else if (what === 'echo') {
    response.setHeader('x-method', request.method);
    request.pipe(response);
  } else {
    response.end('hello\n');
  }
});
const sockets = new WebSocketServer({ server });
sockets.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })));
server.listen(0, '127.0.0.1', () => console.log(`listens on 127.0.0.1:${server.address().port}`));
