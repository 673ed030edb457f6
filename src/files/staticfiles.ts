import { errorPage } from '../http/errorpage.ts';
import { detached } from '../http/grammar.ts';
import type { HeaderList } from '../http/headers.ts';
import { reasonPhrase } from '../http/status.ts';
import { FileFacts } from '../io/filefacts.ts';
import { native } from '../native.ts';
import { type BodyPart, FileWrapper } from '../wsgi/filewrapper.ts';
import type { Application, ApplicationResult, Environ, StartResponse } from '../wsgi/types.ts';
import { selectEncoding } from './acceptencoding.ts';
import { Answer, NO_SNIFF } from './answer.ts';
import { applicableRanges, evaluateConditions } from './conditions.ts';
import { type Folder, readFolder, readFolderSync } from './folder.ts';
import { LISTING_POLICY, listingPage } from './listing.ts';
import type { OpenFile } from './openfile.ts';
import { absent, type CachedFile, closing, OpenFileCache } from './openfilecache.ts';
import { type FilePath, filePath, slashRedirect } from './paths.ts';
import { unsatisfiedContentRange } from './ranges.ts';
import { Root } from './root.ts';
import {
  resolveStaticOptions,
  type StaticFilesOptions,
  type StaticSettings,
} from './staticoptions.ts';

/**
 * Serves the files beneath the folder `root` by GET and HEAD, with validators, ranges, and small
 * files from memory. With `next` it is a middleware: what is not found here goes there.
 *
 * @throws RyegateError `ERR_RYEGATE_STATIC_ROOT`, `ERR_RYEGATE_OPTION`, `ERR_RYEGATE_HEADER`;
 *   `ERR_RYEGATE_PEER` when the package mime-types is not there and `contentType` is not given
 */
export function staticFiles(root: string, options: StaticFilesOptions = {}): StaticFiles {
  const settings = resolveStaticOptions(options);
  const site = new StaticSite(new Root(root), settings);
  const application: Application = (environ, startResponse) =>
    site.respond({ environ, startResponse });
  // The next application has the environ as well.
  const usesSignal = settings.next !== null;
  return Object.assign(application, { close: () => site.close(), usesSignal });
}

/** What `staticFiles()` makes. */
export interface StaticFiles extends Application {
  /** Closes what is held open. What is asked for afterwards is not found. */
  close(): void;
}

type Found = CachedFile | null;
type Answering = ApplicationResult | Promise<ApplicationResult>;

/** One call of the application. */
interface Call {
  readonly environ: Environ;
  readonly startResponse: StartResponse;
}

/** Content codings and the extensions of files that have them, best first. */
const CODINGS: readonly (readonly [coding: string, extension: string])[] = [
  ['br', '.br'],
  ['zstd', '.zst'],
  ['gzip', '.gz'],
];

/** What a site has made of a file. */
class Made {
  readonly plain: Answer;
  /** The answers of its compressed variants, by coding, best first. */
  variants: ReadonlyMap<string, Answer> = new Map();
  /** When these were looked for. */
  variantsChecked = -1;

  constructor(plain: Answer) {
    this.plain = plain;
  }
}

const MOST_PATHS = 1000;

class StaticSite {
  readonly #root: Root;
  readonly #settings: StaticSettings;
  readonly #cache: OpenFileCache;
  readonly #paths = new Map<string, FilePath>();

  constructor(root: Root, settings: StaticSettings) {
    this.#root = root;
    this.#settings = settings;
    this.#cache = new OpenFileCache(root, settings.cache);
  }

  close(): void {
    this.#cache.close();
  }

  respond(call: Call): Answering {
    const { environ } = call;
    const { next } = this.#settings;
    const where = this.#where(environ);
    if (where === null) return this.#notFound(call);
    const { REQUEST_METHOD: method } = environ;
    if (method === 'GET' || method === 'HEAD') {
      const found = this.#look(call, where.path);
      if (!(found instanceof Promise)) return this.#found(call, where, found);
      return this.#await(found, call, where.path, (file) => this.#found(call, where, file));
    }
    if (next !== null) return next(environ, call.startResponse);
    return refuse(call, 405, [['Allow', 'GET, HEAD']]);
  }

  /** To check a path takes 0.2 us: the last ones that were good are remembered. */
  #where(environ: Environ): FilePath | null {
    const { prefix, dotfiles } = this.#settings;
    const { PATH_INFO: path } = environ;
    if (path !== environ.REQUEST_URI) return filePath(environ, prefix, dotfiles);
    let where = this.#paths.get(path);
    if (where === undefined) {
      where = filePath(environ, prefix, dotfiles) ?? undefined;
      if (where === undefined) return null;
      if (this.#paths.size === MOST_PATHS) this.#paths.clear();
      this.#paths.set(detached(path), where);
    }
    return where;
  }

  /** Goes on with the file at `path`, at once if it is known. */
  #find(call: Call, path: string, use: (file: Found) => Answering): Answering {
    const found = this.#look(call, path);
    return found instanceof Promise ? this.#await(found, call, path, use) : use(found);
  }

  #look({ environ }: Call, path: string): Found | Promise<Found> {
    return this.#cache.get(path, environ['ryegate.blocking'] === true);
  }

  #await(
    found: Promise<Found>,
    call: Call,
    path: string,
    use: (file: Found) => Answering,
  ): Promise<ApplicationResult> {
    return found.then((file) => {
      // It may have had to make room for others meanwhile.
      return file?.file?.closed === true ? this.#find(call, path, use) : use(file);
    });
  }

  #found(call: Call, where: FilePath, file: Found): Answering {
    if (file === null) return this.#notFound(call);
    if (file.isFolder) return this.#folder(call, where, 0);
    if (where.isFolder) return this.#notFound(call);
    if (this.#settings.precompressed) return this.#variants(call, file);
    return this.#send(call, this.#made(file).plain);
  }

  /** A folder is stood for by the first of its index files that is there. */
  #folder(call: Call, where: FilePath, at: number): Answering {
    const { index } = this.#settings;
    const name = index[at];
    if (name === undefined) return this.#unindexed(call, where);
    const path = where.path === '' ? name : `${where.path}/${name}`;
    return this.#find(call, path, (file) => {
      if (file === null || file.isFolder) return this.#folder(call, where, at + 1);
      return where.isFolder ? this.#found(call, { path, isFolder: false }, file) : redirect(call);
    });
  }

  #unindexed(call: Call, where: FilePath): Answering {
    const { listing, next } = this.#settings;
    // Where there is nothing to show, the next application may know the address.
    if (!where.isFolder && (listing || next === null)) return redirect(call);
    if (!listing) return this.#notFound(call);
    const list = (folder: Folder | null): Answering =>
      folder === null ? this.#notFound(call) : this.#list(call, where, folder);
    if (call.environ['ryegate.blocking'] === true) return list(this.#readSync(where.path));
    return this.#read(where.path).then(list);
  }

  async #read(path: string): Promise<Folder | null> {
    try {
      const root = await this.#root.realPath;
      if (root === null) return null;
      const fd = await this.#root.openLater(path, new FileFacts());
      if (fd < 0) return absent(fd, path);
      const reading = readFolder(root, path, this.#settings.dotfiles, fd);
      return await reading.finally(() => native.close(fd));
    } catch (error) {
      return unreadable(error, path);
    }
  }

  #readSync(path: string): Folder | null {
    try {
      const root = this.#root.realPathSync;
      if (root === null) return null;
      const fd = this.#root.openSync(path, new FileFacts());
      if (fd < 0) return absent(fd, path);
      return closing(fd, () => readFolderSync(root, path, this.#settings.dotfiles, fd));
    } catch (error) {
      return unreadable(error, path);
    }
  }

  #list({ environ, startResponse }: Call, where: FilePath, folder: Folder): ApplicationResult {
    const path = environ.SCRIPT_NAME + environ.PATH_INFO;
    const page = listingPage(path, folder, where.path !== '');
    startResponse('200 OK', [
      ['Content-Type', 'text/html; charset=utf-8'],
      ['Content-Security-Policy', LISTING_POLICY],
      ['Cache-Control', 'no-cache'],
      NO_SNIFF,
    ]);
    return page;
  }

  #notFound(call: Call): Answering {
    const { next } = this.#settings;
    return next === null ? refuse(call, 404, []) : next(call.environ, call.startResponse);
  }

  #made(file: CachedFile): Made {
    let made = file.made as Made | null;
    if (made === null) {
      made = new Made(this.#answer(file, file.path, null));
      file.made = made;
    }
    return made;
  }

  #answer(file: CachedFile, path: string, coding: string | null): Answer {
    return new Answer(file, this.#settings.contentType(path), coding, this.#settings);
  }

  // Compressed variants.

  #variants(call: Call, file: CachedFile): Answering {
    const made = this.#made(file);
    if (made.variantsChecked === file.checked) {
      const answer = selectVariant(call, made.plain, made.variants);
      // The cache is not asked for it.
      answer.file.used = true;
      const isOpen = answer.file.file?.closed !== true && !answer.file.isRewritten();
      if (isOpen) return this.#send(call, answer);
    }
    const { checked } = file;
    const found = new Map<string, Answer>();
    file.file?.retain();
    return afterwards(
      () => this.#findVariants(call, file, found, checked),
      () => {
        file.file?.close();
        for (const variant of found.values()) variant.file.file?.close();
      },
    );
  }

  /** Those that are found stay open, whatever has to make room meanwhile, until one is sent. */
  #findVariants(
    call: Call,
    file: CachedFile,
    found: Map<string, Answer>,
    checked: number,
    at = 0,
  ): Answering {
    const made = this.#made(file);
    const next = CODINGS[at];
    if (next === undefined) {
      made.variants = found;
      made.variantsChecked = checked;
      return this.#send(call, selectVariant(call, made.plain, found));
    }
    const [coding, extension] = next;
    return this.#find(call, file.path + extension, (variant) => {
      if (variant?.isFolder === false && !variant.isOlderThan(file)) {
        variant.file?.retain();
        const known = made.variants.get(coding);
        const answer = known?.file === variant ? known : this.#answer(variant, file.path, coding);
        found.set(coding, answer);
      }
      return this.#findVariants(call, file, found, checked, at + 1);
    });
  }

  /** RFC 9110 section 13.2.2. */
  #send(call: Call, answer: Answer): Answering {
    const { environ, startResponse } = call;
    const refusal = evaluateConditions(environ, answer);
    if (refusal === 304) {
      startResponse('304 Not Modified', answer.notModified);
      return [];
    }
    if (refusal !== undefined) return refuse(call, refusal, []);
    const ranges = applicableRanges(environ, answer, this.#settings.mostRanges);
    if (ranges === 'ignored') {
      startResponse('200 OK', answer.whole);
      const { body } = answer.file;
      return body ?? bodyOf(answer.file, [answer.part({ start: 0, end: answer.size })]);
    }
    if (ranges === 'unsatisfiable') {
      return refuse(call, 416, [['Content-Range', unsatisfiedContentRange(answer.size)]]);
    }
    const [headers, parts] = answer.partial(ranges);
    startResponse('206 Partial Content', headers);
    return bodyOf(answer.file, parts);
  }
}

/** Calls `end` when `begin` is through, however that goes. */
function afterwards(begin: () => Answering, end: () => void): Answering {
  let waiting = false;
  try {
    const answering = begin();
    if (!(answering instanceof Promise)) return answering;
    waiting = true;
    return answering.finally(end);
  } finally {
    if (!waiting) end();
  }
}

function selectVariant(
  { environ }: Call,
  plain: Answer,
  variants: ReadonlyMap<string, Answer>,
): Answer {
  const coding = selectEncoding(environ.HTTP_ACCEPT_ENCODING, [...variants.keys()]);
  return variants.get(coding) ?? plain;
}

function bodyOf({ file }: CachedFile, parts: readonly BodyPart[]): ApplicationResult {
  return file === null ? (parts as Uint8Array[]) : new StaticFile(file.retain(), parts);
}

/** Parts of a file that stays open until they have been sent. */
class StaticFile extends FileWrapper {
  readonly #parts: readonly BodyPart[];

  constructor(file: OpenFile, parts: readonly BodyPart[]) {
    super(file);
    this.#parts = parts;
  }

  override parts(): readonly BodyPart[] {
    return this.#parts;
  }
}

/** Null for a folder that has gone since it was found; throws for what is no matter of its name. */
function unreadable(error: unknown, path: string): null {
  const { errno } = error as NodeJS.ErrnoException;
  if (errno === undefined) throw error;
  return absent(errno, path);
}

function refuse({ startResponse }: Call, status: number, headers: HeaderList): ApplicationResult {
  const reason = reasonPhrase(status);
  startResponse(`${status} ${reason}`, [
    ['Content-Type', 'text/html; charset=utf-8'],
    NO_SNIFF,
    ...headers,
  ]);
  return errorPage(status, reason);
}

function redirect({ environ, startResponse }: Call): ApplicationResult {
  startResponse('301 Moved Permanently', [
    ['Location', slashRedirect(environ)],
    ['Content-Type', 'text/html; charset=utf-8'],
  ]);
  return errorPage(301, reasonPhrase(301));
}
