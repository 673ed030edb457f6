// A TCP server without HTTP: sends back what it receives, until the client has finished sending.
import { formatAddress, StreamRequestHandler, TCPServer } from 'ryegate';

class EchoHandler extends StreamRequestHandler {
  // Seconds that a read waits for the client.
  static timeout = 60;

  async handle() {
    for await (const chunk of this.rfile) {
      // Awaiting keeps to the client's pace: nothing piles up for one that sends and never reads.
      await this.wfile.write(chunk);
    }
  }
}

const server = new TCPServer(['127.0.0.1', 0], EchoHandler);
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.shutdown());
console.log(formatAddress(server.serverAddress));
await server.serveForever();
await server.serverClose();
