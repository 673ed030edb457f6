// A worker module: answers in capitals, without HTTP.
import { appendFileSync } from 'node:fs';
import { StreamRequestHandler, TCPServer } from '../../../dist/index.js';

class UpperHandler extends StreamRequestHandler {
  async handle() {
    await this.wfile.write((await this.rfile.read()).toString().toUpperCase());
  }
}

export function startWorker({ listeners, settings }) {
  const tell = (what) => appendFileSync(settings.workerData.log, `${what} by ${process.pid}\n`);
  return {
    servers: listeners.map(({ fd, address }) => new TCPServer(address, UpperHandler, { fd })),
    reopenLogs: () => tell('reopened'),
    close: () => tell('closed'),
  };
}
