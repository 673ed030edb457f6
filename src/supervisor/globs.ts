const SPECIAL = /^\*\*\/|\/\*\*\/|\/\*\*$|\*\*|\*|\?|[.+^${}()|[\]\\]/g;

function translate(token: string): string {
  switch (token) {
    case '**/':
      return '(?:.*/)?';
    case '/**/':
      return '/(?:.*/)?';
    case '/**':
      return '/.*';
    case '**':
      return '.*';
    case '*':
      return '[^/]*';
    case '?':
      return '[^/]';
    default:
      return `\\${token}`;
  }
}

/**
 * Patterns of files, as in a `.gitignore` without its exceptions: `*` and `?` stand for characters
 * of a name, `**` for any folders. One without a slash, other than at its end, is the name of a file
 * or folder wherever it is; another one is a path from the top. What is in a folder that matches
 * matches as well.
 *
 * @returns whether a path matches one of them; its parts are separated by slashes
 */
export function globMatcher(patterns: readonly string[]): (path: string) => boolean {
  const expressions = patterns.map((pattern) => {
    const trimmed = pattern.replace(/\/$/, '');
    const start = trimmed.includes('/') ? '^' : '(?:^|/)';
    const body = trimmed.replace(/^\.?\//, '').replace(SPECIAL, translate);
    return new RegExp(`${start}${body}(?:/|$)`, 's');
  });
  return (path) => expressions.some((expression) => expression.test(path));
}
