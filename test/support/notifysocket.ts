import type { Program, Start } from './programs.ts';
import { toolEnv } from './tools.ts';

/**
 * Binds, waits for a line where it is told to, then prints what comes, when (monotonic
 * seconds), and from which process.
 */
const SCRIPT = `
import json, socket, struct, sys, time
name = sys.argv[1]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
receiver.bind('\\0' + name[1:] if name[0] == '@' else name)
print('bound', flush=True)
if sys.argv[2] == 'wait': sys.stdin.readline()
while True:
    text, [(_, _, sender)], _, _ = receiver.recvmsg(65536, 64)
    [pid, _, _] = struct.unpack('iII', sender)
    print(json.dumps([time.monotonic(), text.decode(), pid]), flush=True)
`;

/** A service manager as far as NOTIFY_SOCKET goes: a process with a datagram socket of its own. */
export class NotifySocket {
  readonly path: string;
  readonly #program: Program;

  private constructor(path: string, program: Program) {
    this.path = path;
    this.#program = program;
  }

  /** `idle`: reads nothing until `read()`. */
  static async open(start: Start, path: string, idle = false): Promise<NotifySocket> {
    const args = ['-c', SCRIPT, path, idle ? 'wait' : 'read'];
    const program = start('python3', args, { env: toolEnv });
    await program.says(/^bound\n/, 'stdout');
    return new NotifySocket(path, program);
  }

  read(): void {
    this.#program.child.stdin?.write('read\n');
  }

  /** What has come so far, with monotonic seconds and the process that sent it. */
  get received(): [seconds: number, text: string, pid: number][] {
    const lines = this.#program.stdout.split('\n').slice(1, -1);
    return lines.map((line) => JSON.parse(line));
  }

  get messages(): string[] {
    return this.received.map(([, text]) => text);
  }

  /** Waits until `text` has come. */
  async until(text: string): Promise<void> {
    await this.#program.says(new RegExp(JSON.stringify(text).replaceAll('\\', '\\\\')), 'stdout');
  }
}
