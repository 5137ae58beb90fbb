// GET by Node's http2: http2_get.mjs URL OFFER. Prints the negotiated protocol.
import http2 from 'node:http2';
import tls from 'node:tls';

const [url, offer] = process.argv.slice(2);
const { hostname, port } = new URL(url);
const socket = tls.connect({
  host: hostname,
  port,
  servername: 'localhost',
  ALPNProtocols: offer === 'none' ? undefined : offer.split(','),
  rejectUnauthorized: false,
});
socket.on('error', (error) => console.log(`failed ${error.code} ${error.message}`));
socket.on('secureConnect', () => {
  const negotiated = `${socket.alpnProtocol} ${socket.getProtocol()}`;
  const session = http2.connect(url, { createConnection: () => socket });
  session.on('error', (error) => console.log(`failed ${error.message}`));
  const request = session.request({ ':path': '/' });
  request.on('response', (headers) => {
    console.log(`negotiated ${negotiated} ${headers[':status']}`);
    session.close();
  });
  request.resume();
  request.end();
});
