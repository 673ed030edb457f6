// Files that change while they are sent, and files and sockets that sendfile(2) does not like.
import { execFileSync } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import {
  appendFileSync,
  closeSync,
  createWriteStream,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { Download } from '../support/download.mjs';
import { watchCalls } from '../support/strace.mjs';
import { EACH_IN_TURN, FEW_BYTES, SyscallFaults } from '../support/syscallfaults.mjs';
import { ask, fetchBody } from '../support/wire.mjs';

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const PAGE = 4096;
/** More than the socket buffers of both sides take. */
const SIZE = 24 * MIB;
const ROUNDS = 20;

const inherit = fileURLToPath(new URL('../programs/inherit.py', import.meta.url));

/** Expects the bytes of `content`. */
function bytesOf(content) {
  return (bytes, position) => bytes.equals(content.subarray(position, position + bytes.length));
}

/** The same, or zeros: when it cuts a file the kernel clears pages that may be on their way. */
function bytesOrZeros(content) {
  return (bytes, position) =>
    bytesOf(content)(bytes, position) ||
    bytes.every((byte, index) => byte === 0 || byte === content[position + index]);
}

/** What becomes of a file while it is sent, and whether the client must get all of it. */
const CHANGES = {
  cut: { change: (path) => truncateSync(path, randomInt(SIZE)), whole: false },
  emptied: { change: (path) => truncateSync(path, 0), whole: false },
  extended: { change: (path) => appendFileSync(path, randomBytes(10_000)), whole: true },
  deleted: { change: (path) => rmSync(path), whole: true },
  replaced: {
    change: (path) => {
      writeFileSync(`${path}.new`, randomBytes(MIB));
      renameSync(`${path}.new`, path);
    },
    whole: true,
  },
};

/** Downloads a file that is changed at a random moment, with another request behind. */
async function downloadChanging(server, path, content, { change, whole }) {
  writeFileSync(path, content);
  const isAsExpected = (whole ? bytesOf : bytesOrZeros)(content);
  const options = { stall: 1, next: '/' };
  const download = new Download(server.address, `/sendfile?${path}`, isAsExpected, options);
  await download.until(randomInt(SIZE / 2));
  change(path);
  download.stall = 0;
  await download.finished('hello\n');
  return download;
}

/** Whether an answer was broken off within its body, and nothing came in its place. */
function isCut({ ending, taken, length, wrongAt, behind }) {
  return ending !== null && taken < length && wrongAt < 0 && behind === '';
}

export const changingFiles = {
  number: 16,
  title: 'files that are cut, extended, deleted or replaced while they are sent',
  pass:
    `${ROUNDS} times each: all that was promised and the next answer, or after a cut bytes of the ` +
    'file (zeros where the kernel cleared them on their way), broken off, logged; descriptors as ' +
    'at the start',
  async run(arena) {
    const server = await arena.server();
    const path = join(arena.folder, 'file');
    const content = randomBytes(SIZE);
    await ask(server.address);
    await server.quiet();
    const before = server.descriptors;
    const figures = [];
    let broken = 0;
    for (const [name, kind] of Object.entries(CHANGES)) {
      const downloads = [];
      for (let i = 0; i < ROUNDS; i++) {
        downloads.push(await downloadChanging(server, path, content, kind));
      }
      const complete = downloads.filter((each) => each.isWhole && each.behind.endsWith('hello\n'));
      const cut = downloads.filter(isCut);
      broken += cut.length;
      const fits = kind.whole
        ? complete.length === ROUNDS
        : cut.length > 0 && cut.length + complete.length === ROUNDS;
      figures.push([`${name}: ${complete.length} whole, ${cut.length} broken off`, fits]);
    }
    await server.quiet();
    const logged = server.stderr.match(/ERR_RYEGATE_FILE_CHANGED/g)?.length ?? 0;
    const { opened, closed } = await server.counts();
    const left = server.descriptors - before;
    return [
      ...figures,
      [`${logged} logged`, logged === broken],
      [`opened ${opened}, closed ${closed}`, opened === closed],
      [`${left} descriptors left`, left === 0],
    ];
  },
};

/** What is no regular file, or does not say how large it is; `[path, content]` each. */
async function oddFiles(server, folder) {
  const content = randomBytes(3 * MIB);
  const fifo = join(folder, 'fifo');
  const empty = join(folder, 'empty');
  execFileSync('mkfifo', [fifo]);
  writeFileSync(empty, '');
  const [piped] = await Promise.all([
    fetchBody(server.address, `/opened?${fifo}`),
    pipeline([content], createWriteStream(fifo)),
  ]);
  const same = [['FIFO', piped, content]];
  for (const path of ['/proc/version', '/dev/null', empty]) {
    same.push([path, await fetchBody(server.address, `/sendfile?${path}`), readFileSync(path)]);
  }
  return same.map(([name, { status, body }, expected]) => [
    `${name}: ${status}, ${body.length} bytes`,
    status === 200 && body.equals(expected),
  ]);
}

/** A file while every sendfile(2) fails with `name`, or sends a few bytes. */
async function withFault(server, faults, name, mode, path, content) {
  const { calls, injected } = faults.counts;
  faults.mode = mode;
  const download = new Download(server.address, `/sendfile?${path}`, bytesOf(content), {
    next: '/',
  });
  await download.finished('hello\n');
  faults.mode = 0;
  const after = faults.counts;
  const touched = mode === FEW_BYTES ? after.calls - calls > 100 : after.injected > injected;
  const whole = download.isWhole && download.behind.endsWith('hello\n');
  return [`${name}: ${whole ? 'whole' : `${download.taken} bytes`}`, whole && touched];
}

export const oddSources = {
  number: 16,
  title: 'sources that sendfile(2) refuses',
  pass:
    'a FIFO, files without a size, EINVAL, ENOSYS, EPERM, EOPNOTSUPP, each in turn with EAGAIN ' +
    'and EINTR, few bytes at a time: byte-identical; EIO: broken off; a folder: 500',
  async run(arena) {
    const faults = new SyscallFaults(arena.folder, 'sendfile');
    try {
      const server = await arena.server({}, { env: faults.env });
      const path = join(arena.folder, 'file');
      const content = randomBytes(2 * MIB + 1);
      writeFileSync(path, content);
      const figures = await oddFiles(server, arena.folder);
      const modes = ['EINVAL', 'ENOSYS', 'EPERM', 'EOPNOTSUPP'].map((name) => [
        name,
        constants.errno[name],
      ]);
      modes.push(['each in turn', EACH_IN_TURN], ['few bytes', FEW_BYTES]);
      for (const [name, mode] of modes) {
        figures.push(await withFault(server, faults, name, mode, path, content));
      }
      faults.mode = constants.errno.EIO;
      const failed = new Download(server.address, `/sendfile?${path}`, () => true, { next: '/' });
      await failed.finished('hello\n');
      faults.mode = 0;
      const folder = await ask(server.address, `/sendfile?${arena.folder}`);
      await server.quiet();
      const { opened, closed } = await server.counts();
      return [
        ...figures,
        [
          `EIO: ${failed.taken} bytes, ${failed.ending}`,
          failed.ending !== null && failed.taken === 0 && failed.behind === '',
        ],
        [`folder ${folder}`, folder === 500],
        [`opened ${opened}, closed ${closed}`, opened === closed],
        [`next client ${await ask(server.address)}`, !server.ended],
      ];
    } finally {
      faults.close();
    }
  },
};

const HUGE = 5 * GIB;
/** Where the descriptor stands that the server inherits. */
const OFFSET = 2 * GIB + 12_345;
const INHERITED = 20;

/** A sparse file with a mark at every place where a number could overflow. */
function writeSparse(path) {
  const places = [0, 2 * GIB - 4, OFFSET - 4, 4 * GIB - 4, 4 * GIB + PAGE, HUGE - 8];
  const marks = places.map((place) => [place, Buffer.from(`${place}`.padStart(16).slice(-8))]);
  const file = openSync(path, 'w');
  for (const [place, mark] of marks) writeSync(file, mark, 0, mark.length, place);
  closeSync(file);
  return marks;
}

/** Expects zeros and the marks, from `offset` on. */
function sparseFrom(offset, marks) {
  const zeros = Buffer.alloc(MIB);
  return (bytes, position) => {
    const from = offset + position;
    const to = from + bytes.length;
    const here = marks.filter(([place, mark]) => place < to && place + mark.length > from);
    if (here.length === 0) return bytes.equals(zeros.subarray(0, bytes.length));
    const expected = Buffer.alloc(bytes.length);
    for (const [place, mark] of here) {
      mark.copy(expected, Math.max(place - from, 0), Math.max(from - place, 0));
    }
    return bytes.equals(expected);
  };
}

export const hugeFile = {
  number: 16,
  title: 'sparse file of 5 GiB',
  pass: 'byte-identical as a whole, and from a descriptor that stands behind 2 GiB',
  seconds: 180,
  async run(arena) {
    const path = join(arena.folder, 'sparse');
    const marks = writeSparse(path);
    const file = { fd: INHERITED, path, offset: OFFSET };
    const prefix = ['python3', inherit, JSON.stringify({ file })];
    const server = await arena.server({}, { prefix });
    const figures = [];
    for (const [page, offset] of [
      [`/sendfile?${path}`, 0],
      [`/inherited?${INHERITED}`, OFFSET],
    ]) {
      const began = performance.now();
      const download = new Download(server.address, page, sparseFrom(offset, marks), { next: '/' });
      await download.finished('hello\n', 120_000);
      const seconds = ((performance.now() - began) / 1000).toFixed(1);
      figures.push([
        `from ${offset}: ${download.taken} bytes in ${seconds} s, wrong at ${download.wrongAt}`,
        download.isWhole && download.taken === HUGE - offset && download.behind.endsWith('hello\n'),
      ]);
    }
    return figures;
  },
};

const SMALL_BUFFER = 4096;

/** Downloads of each size, one that stalls among them; figures of what came. */
async function downloadSizes(server, path) {
  const figures = [];
  for (const size of [1, 4096, 65_536, 65_537, MIB, 16 * MIB]) {
    const content = randomBytes(size);
    writeFileSync(path, content);
    for (const stall of [0, 1]) {
      const options = { stall, next: '/' };
      const download = new Download(server.address, `/sendfile?${path}`, bytesOf(content), options);
      await download.finished('hello\n');
      const whole = download.isWhole && download.behind.endsWith('hello\n');
      figures.push([`${size}: ${whole ? 'whole' : `${download.taken} bytes`}`, whole]);
    }
  }
  return figures;
}

export const smallBuffer = {
  number: 17,
  title: `files into a socket with a send buffer of ${SMALL_BUFFER} bytes`,
  pass: 'byte-identical, also to a client that stalls; TCP: more than 200 calls that are cut short',
  async run(arena) {
    const fd = INHERITED;
    const address = arena.unix ? join(arena.folder, 'listener') : ['127.0.0.1', 0];
    const listener = { fd, address, sendBuffer: SMALL_BUFFER };
    const prefix = ['python3', inherit, JSON.stringify({ listener })];
    const server = await arena.server({ fd }, { prefix });
    const stop = await watchCalls(server.pid, 'sendfile');
    const figures = await downloadSizes(server, join(arena.folder, 'file'));
    const log = await stop();
    const sent = [...log.matchAll(/sendfile\(.* ([0-9]+)\) += ([0-9]+|-1 EAGAIN)/g)];
    const short = sent.filter(([, asked, taken]) => asked !== taken);
    // The size of a unix socket's buffer is not handed on.
    const fits = sent.length > 0 && (arena.unix || short.length > 200);
    figures.push([`${sent.length} calls, ${short.length} of them short`, fits]);
    return figures;
  },
};
