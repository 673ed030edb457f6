import type { ThreadContext, ThreadParts } from '../supervisor/index.ts';
import { makeApplication, withHealth } from './application.ts';
import { openLogs } from './logs.ts';
import { handlerClass } from './servers.ts';
import type { Options } from './table/table.ts';

// The thread module of the command line: what the options ask for, in a thread.

export async function startThread(context: ThreadContext): Promise<ThreadParts> {
  const options = context.data as Options;
  const logs = openLogs(options);
  return {
    application: withHealth(await makeApplication(options), context, options),
    requestHandlerClass: handlerClass(options),
    server: logs.options,
    logsNotices: logs.wants('warning'),
    reopenLogs: () => logs.reopen(),
    close: () => logs.close(),
  };
}
