// A selector without a server: waits until a pipe can be read.
import { closeSync, readSync, writeSync } from 'node:fs';
import { DefaultSelector, EVENT_READ, pipe } from 'ryegate';

const [reader, writer] = pipe();
const selector = new DefaultSelector();
selector.register(reader, EVENT_READ, 'the reading end');

// 0 seconds: looks without waiting.
console.log(`ready before the write: ${selector.select(0).length}`);

writeSync(writer, 'some bytes');
const buffer = Buffer.alloc(64);
// Blocks this thread until something is ready, 1 second at most.
for (const [key] of selector.select(1)) {
  const size = readSync(key.fd, buffer);
  console.log(`${key.data} has: ${buffer.toString('utf8', 0, size)}`);
}

// First unregister, then close: the descriptor's number may be used again at once.
selector.unregister(reader);
selector.close();
closeSync(reader);
closeSync(writer);
