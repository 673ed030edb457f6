import { BenchError } from '../harness/processes.ts';
import type { Case } from './cases.ts';

const END_OF_HEAD = '\r\n\r\n';
const HEAD: readonly RegExp[] = [/^HTTP\/1\.1 200 OK\r\n/, /\r\nDate: /, /\r\nServer: /];

/** Bytes of the answer that `bytes` begin with; NaN while its head is not complete. */
function sizeOf(bytes: Buffer, { body }: Case): number {
  const end = bytes.indexOf(END_OF_HEAD);
  return end === -1 ? Number.NaN : end + END_OF_HEAD.length + body.length;
}

/** Whether each client has as much as the answers of the case take, which are of one size. */
export function areComplete(answers: readonly Buffer[], wanted: Case): boolean {
  return answers.every((bytes) => bytes.length >= sizeOf(bytes, wanted) * wanted.pipelined);
}

/** What is wrong with an answer; null when nothing is. */
function fault(answer: Buffer, { body }: Case): string | null {
  const head = answer.toString('latin1', 0, answer.length - body.length);
  const missing = [...HEAD, new RegExp(`\r\nContent-Length: ${body.length}\r\n`)].find(
    (pattern) => !pattern.test(head),
  );
  if (missing !== undefined) return `has no ${missing} in its head`;
  return answer.subarray(-body.length).equals(body) ? null : 'has another body';
}

/** Fails unless `bytes` are the answers to what one client of the case sends, and nothing else. */
export function checkAnswers(bytes: Buffer, wanted: Case): void {
  let rest = bytes;
  for (let i = 1; i <= wanted.pipelined; i++) {
    const size = sizeOf(rest, wanted);
    const found = fault(rest.subarray(0, size), wanted);
    if (found !== null) throw new BenchError(`${wanted.name}: answer ${i} ${found}`);
    rest = rest.subarray(size);
  }
  if (rest.length > 0) throw new BenchError(`${wanted.name}: ${rest.length} bytes too many`);
}
