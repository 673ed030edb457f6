import { createRequire } from 'node:module';
import type * as MIMETypes from 'mime-types';
import { RyegateError } from '../errors.ts';
import { detached } from '../http/grammar.ts';

/** The media type of bytes that nothing is known of (RFC 2046 section 4.5.1). */
const UNKNOWN_TYPE = 'application/octet-stream';

/** Extensions whose types are kept: more than a tree of files has, and nobody can make it grow. */
const MOST_EXTENSIONS = 1024;

/** The Content-Type of a file, by its name, a byte string. */
export type ContentTypes = (name: string) => string;

/**
 * Finds the Content-Type of files by their names; `application/octet-stream` for those that it does
 * not know.
 *
 * @param contentType says it in place of the package mime-types, which then need not be there;
 *   undefined for a name that it does not know
 * @throws RyegateError `ERR_RYEGATE_PEER`: mime-types is not installed
 */
export function contentTypes(contentType?: (name: string) => string | undefined): ContentTypes {
  if (contentType !== undefined) return (name) => contentType(name) ?? UNKNOWN_TYPE;
  const library = loadLibrary();
  return remembered((extension) => library.contentType(extension) || UNKNOWN_TYPE);
}

function loadLibrary(): typeof MIMETypes {
  try {
    return createRequire(import.meta.url)('mime-types');
  } catch (error) {
    throw new RyegateError(
      'ERR_RYEGATE_PEER',
      'the package mime-types, which knows the content types of files, cannot be loaded: install ' +
        'it with `npm install mime-types`, or give the option contentType, which does without it',
      { cause: error },
    );
  }
}

function remembered(find: (extension: string) => string): ContentTypes {
  const types = new Map<string, string>();
  return (name) => {
    const extension = extensionOf(name);
    if (extension === '') return UNKNOWN_TYPE;
    let type = types.get(extension);
    if (type === undefined) {
      type = find(extension);
      if (types.size < MOST_EXTENSIONS) types.set(detached(extension), type);
    }
    return type;
  };
}

/** What follows the last dot, in lower case; empty without one, and for a name like `.profile`. */
function extensionOf(name: string): string {
  const start = name.lastIndexOf('/') + 1;
  const dot = name.lastIndexOf('.');
  return dot > start ? name.slice(dot + 1).toLowerCase() : '';
}
