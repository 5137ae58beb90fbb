// A WebSocket by the standard's interface: browsers evaluate this file, and ci/clients/websocket_node.mjs runs it.
// `websocketEchoes(URL)` has text, 1 MiB and a close echoed, and tells the version of HTTP that the server saw.
async function websocketEchoes(url) {
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  const next = (name) =>
    new Promise((resolve, reject) => {
      for (const other of ['message', 'close', 'error']) {
        const fail = (event) => reject(new Error(`${other} ${event.code} ${event.message}, not ${name}`));
        socket[`on${other}`] = other === name ? resolve : fail;
      }
    });
  const version = (await next('message')).data;
  socket.send('Grüße, 世界');
  const text = (await next('message')).data;
  if (text !== 'Grüße, 世界') throw new Error(`the text ${text}`);
  const sent = new Uint8Array(1 << 20).map((_, index) => index % 251);
  socket.send(sent);
  const echo = new Uint8Array((await next('message')).data);
  if (echo.length !== sent.length || !echo.every((byte, index) => byte === sent[index]))
    throw new Error(`${echo.length} other bytes`);
  socket.close(4000, 'done');
  const close = await next('close');
  const extension = socket.extensions.split(';')[0];
  const end = `${close.wasClean ? 'clean' : 'not clean'} ${close.code} ${close.reason}`;
  return `${version}, echoed, ${end}${extension && `, ${extension}`}`;
}
