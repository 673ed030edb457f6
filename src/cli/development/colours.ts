import { isatty } from 'node:tty';

/** Whether standard error gets colours: on a terminal, unless the environment says otherwise. */
export function hasColours(env: NodeJS.ProcessEnv = process.env): boolean {
  const { FORCE_COLOR: force, NO_COLOR: none, TERM } = env;
  // As Node has it, the first counts more.
  if (force !== undefined) return force !== '0' && force !== 'false';
  if (none !== undefined && none !== '') return false;
  return isatty(2) && TERM !== 'dumb';
}

/** The parameters of SGR (ECMA-48) for lines about answers with this status; '' for none. */
export function colourOf(status: number): string {
  if (status >= 500) return '1;31';
  if (status >= 400) return '33';
  return status >= 300 ? '36' : '';
}

export function coloured(text: string, colour: string): string {
  return colour === '' ? text : `\x1b[${colour}m${text}\x1b[0m`;
}
