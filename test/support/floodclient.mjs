// Sends pipelined requests without end and takes the answers. `node floodclient.mjs PORT PATH`
import { connect } from 'node:net';

const [port, path] = process.argv.slice(2);
const requests = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: flood\r\n\r\n`.repeat(1000));
const socket = connect(Number(port), '127.0.0.1');

function flood() {
  while (socket.write(requests));
}

socket.on('connect', flood);
socket.on('drain', flood);
socket.once('data', () => console.log('flooding'));
socket.on('data', () => {});
socket.on('error', () => {});
