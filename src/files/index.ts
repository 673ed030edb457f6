export type { OpenFileCacheSettings } from './openfilecache.ts';
export { type StaticFiles, staticFiles } from './staticfiles.ts';
export { DEFAULT_CACHE, type StaticFilesOptions } from './staticoptions.ts';
