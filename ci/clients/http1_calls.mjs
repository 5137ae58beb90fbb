// HTTP/1.1 by Node: http1_calls.mjs URL FILE. Three pages on one connection, and a chunked body.
import http from 'node:http';
import https from 'node:https';
import fs from 'node:fs';

const [url, file] = process.argv.slice(2);
const client = url.startsWith('https:') ? https : http;
const agent = new client.Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false });
const sockets = new Set();

function ask(method, path, body) {
  return new Promise((resolve, reject) => {
    const options = { method, agent, rejectUnauthorized: false };
    const request = client.request(`${url}${path}`, options, (response) => {
      const received = [];
      response.on('data', (data) => received.push(data));
      response.on('end', () => resolve({ response, body: Buffer.concat(received) }));
    });
    request.on('socket', (socket) => sockets.add(socket));
    request.on('error', reject);
    if (body) request.write(body);
    request.end();
  });
}

for (let i = 0; i < 3; i++) {
  const { response } = await ask('GET', '/');
  if (response.statusCode !== 200 || response.httpVersion !== '1.1') throw new Error(response.statusCode);
}
const body = fs.readFileSync(file);
const echo = await ask('POST', '/echo', body);
agent.destroy();
if (sockets.size !== 1) throw new Error(`${sockets.size} connections`);
if (!echo.body.equals(body)) throw new Error(`${echo.body.length} bytes`);
console.log('three pages on one connection, the same body');
