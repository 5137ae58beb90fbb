// The WebSocket of Node: `node --experimental-websocket websocket_node.mjs URL`. Since 22 the flag is not needed.
import fs from 'node:fs';
import vm from 'node:vm';

process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
process.removeAllListeners('warning');
vm.runInThisContext(fs.readFileSync(new URL('websocket.js', import.meta.url), 'utf8'));
console.log(await globalThis.websocketEchoes(process.argv[2]));
