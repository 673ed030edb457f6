import { APPLICATION, type ApplicationOptions } from './application.ts';
import { DEVELOPMENT, type DevelopmentOptions } from './development.ts';
import { GENERAL, type GeneralOptions } from './general.ts';
import { LISTENING, type ListeningOptions } from './listening.ts';
import { LOGS, type LogOptions } from './logs.ts';
import { PROCESSES, type ProcessOptions } from './processes.ts';
import { REQUESTS, type RequestOptions } from './requests.ts';
import { makeGroup, makeTable, type OptionTable } from './row.ts';

/** What the command line, the environment and the config module ask for. */
export interface Options
  extends ListeningOptions,
    ApplicationOptions,
    RequestOptions,
    ProcessOptions,
    LogOptions,
    DevelopmentOptions,
    GeneralOptions {}

/** Every option of `ryegate`, in the order of the help. */
export const TABLE: OptionTable<Options> = makeTable([
  makeGroup('Where it listens', LISTENING),
  makeGroup('Application and files', APPLICATION),
  makeGroup('Requests', REQUESTS),
  makeGroup('Processes and threads', PROCESSES),
  makeGroup('Logs', LOGS),
  makeGroup('Development', DEVELOPMENT),
  makeGroup('This command', GENERAL),
]);
