import { type DebugLogger, debuglog } from 'node:util';

/** Quiet events, such as clients that go away: shown with `NODE_DEBUG=ryegate`. */
export const debug: DebugLogger = debuglog('ryegate');
