// A WebSocket on a stream of HTTP/2 (RFC 8441) by Node, whose own WebSocket has HTTP/1.1 only:
// websocket_http2.mjs URL. Frames are written by hand.
import http2 from 'node:http2';
import { once } from 'node:events';

const url = new URL(process.argv[2]);
const session = http2.connect(url.origin, { rejectUnauthorized: false });
const [settings] = await once(session, 'remoteSettings');
if (!settings.enableConnectProtocol) throw new Error('no SETTINGS_ENABLE_CONNECT_PROTOCOL');
const stream = session.request(
  {
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': url.pathname,
    'sec-websocket-version': '13',
  },
  { endStream: false },
);
const [headers] = await once(stream, 'response');
if (headers[':status'] !== 200) throw new Error(`status ${headers[':status']}`);

let received = Buffer.alloc(0);
const bytes = stream[Symbol.asyncIterator]();
async function read(length) {
  while (received.length < length) {
    const { value, done } = await bytes.next();
    if (done) throw new Error('the end');
    received = Buffer.concat([received, value]);
  }
  const first = received.subarray(0, length);
  received = received.subarray(length);
  return first;
}

// The next message: a server does not mask, and it may split an echo.
async function message() {
  const parts = [];
  for (;;) {
    const [first, second] = await read(2);
    let length = second & 127;
    if (length === 126) length = (await read(2)).readUInt16BE();
    else if (length === 127) length = Number((await read(8)).readBigUInt64BE());
    parts.push(await read(length));
    if (first & 128) return Buffer.concat(parts);
  }
}

function send(opcode, payload) {
  const head = Buffer.alloc(14);
  head[0] = 128 | opcode;
  head[1] = 128 | 127;
  head.writeBigUInt64BE(BigInt(payload.length), 2);
  const mask = [1, 2, 3, 4];
  head.set(mask, 10);
  stream.write(Buffer.concat([head, Buffer.from(payload.map((byte, index) => byte ^ mask[index % 4]))]));
}

const version = await message();
const sent = Buffer.from(Uint8Array.from({ length: 1 << 20 }, (_, index) => index % 251));
send(2, sent);
if (!(await message()).equals(sent)) throw new Error('other bytes');
const reason = Buffer.from([4000 >> 8, 4000 & 255, ...Buffer.from('done')]);
send(8, reason);
stream.end();
if (!(await message()).equals(reason)) throw new Error('another close');
if (!(await bytes.next()).done) throw new Error('bytes after the close');
session.close();
console.log(`${version}, echoed, clean ${reason.readUInt16BE()} ${reason.subarray(2)}`);
