import { httpDate } from '../../src/http/date.ts';

/** What the server under test serves. */
export interface MatrixResource {
  /** Strong, with its quotes. */
  etag: string;
  /** Milliseconds since 1970. */
  lastModified: number;
  /** At least 2 bytes. */
  size: number;
  /** Whether `lastModified` is at least a second ago (RFC 9110 section 8.8.2.2). */
  dateIsStrong: boolean;
}

/** What each field says: the states that the decision list below tells apart. */
const TAG_LISTS = ['absent', 'matching', 'weak', 'other', 'any', 'malformed'] as const;
const DATES = ['absent', 'equal', 'older', 'newer', 'malformed'] as const;
const IF_RANGES = [
  'absent',
  'tag',
  'weak tag',
  'other tag',
  'equal date',
  'older date',
  'newer date',
  'any',
  'malformed',
] as const;
const RANGES = ['absent', 'satisfiable', 'unsatisfiable', 'malformed'] as const;
const METHODS = ['GET', 'HEAD'] as const;

type TagList = (typeof TAG_LISTS)[number];
type DateState = (typeof DATES)[number];

export interface MatrixStates {
  method: (typeof METHODS)[number];
  ifMatch: TagList;
  ifUnmodifiedSince: DateState;
  ifNoneMatch: TagList;
  ifModifiedSince: DateState;
  ifRange: (typeof IF_RANGES)[number];
  range: (typeof RANGES)[number];
}

export type MatrixStatus = 200 | 206 | 304 | 412 | 416;

export interface MatrixCase {
  /** The method and every field that is there, with its state. */
  name: string;
  method: 'GET' | 'HEAD';
  /** By field name, as in a request. */
  fields: Record<string, string>;
  status: MatrixStatus;
  /** The step of RFC 9110 section 13.2.2 that decides. */
  step: 1 | 2 | 3 | 4 | 5 | 6;
  /** The Content-Range of the answer, if it has one. */
  contentRange: string | undefined;
}

interface Decision {
  status: MatrixStatus;
  step: MatrixCase['step'];
}

/** RFC 9110 section 13.2.2 for GET and HEAD, with the rules of section 13.1 for each field. */
function decide(states: MatrixStates, dateIsStrong: boolean): Decision {
  const { method, ifMatch, ifUnmodifiedSince, ifNoneMatch, ifModifiedSince, ifRange, range } =
    states;
  // Step 1, If-Match: 13.1.1, strong comparison.
  if (ifMatch !== 'absent') {
    if (ifMatch === 'weak' || ifMatch === 'other' || ifMatch === 'malformed') {
      return { status: 412, step: 1 };
    }
  }
  // Step 2, If-Unmodified-Since where there is no If-Match: 13.1.4, false if modified later.
  if (ifMatch === 'absent' && ifUnmodifiedSince === 'older') return { status: 412, step: 2 };
  // Step 3, If-None-Match: 13.1.2, weak comparison.
  if (ifNoneMatch === 'matching' || ifNoneMatch === 'weak' || ifNoneMatch === 'any') {
    return { status: 304, step: 3 };
  }
  // Step 4, If-Modified-Since where there is no If-None-Match: 13.1.3, false if not modified later.
  if (ifNoneMatch === 'absent' && (ifModifiedSince === 'equal' || ifModifiedSince === 'newer')) {
    return { status: 304, step: 4 };
  }
  // Step 5, If-Range with Range on GET: 13.1.5; "otherwise, ignore the Range header field".
  if (method === 'GET' && range !== 'absent' && ifRange !== 'absent') {
    const isTrue = ifRange === 'tag' || (ifRange === 'equal date' && dateIsStrong);
    return { status: isTrue && range === 'satisfiable' ? 206 : 200, step: 5 };
  }
  // Step 6, the method itself: section 14.2 defines Range for GET alone.
  if (method === 'GET' && range === 'satisfiable') return { status: 206, step: 6 };
  if (method === 'GET' && range === 'unsatisfiable') return { status: 416, step: 6 };
  return { status: 200, step: 6 };
}

function fieldValues({ etag, lastModified, size }: MatrixResource) {
  const weak = `W/${etag}`;
  const other = '"another"';
  const equal = httpDate(lastModified);
  const older = httpDate(lastModified - 1000);
  const newer = httpDate(lastModified + 1000);
  const tags = { matching: etag, weak, other, any: '*', malformed: etag.slice(1) };
  const dates = { equal, older, newer, malformed: equal.replace('GMT', 'UTC') };
  const ifRange = {
    tag: etag,
    'weak tag': weak,
    'other tag': other,
    'equal date': equal,
    'older date': older,
    'newer date': newer,
    any: '*',
    malformed: etag.slice(0, -1),
  };
  const range = {
    satisfiable: 'bytes=1-1',
    unsatisfiable: `bytes=${size}-`,
    malformed: 'bytes=1-0',
  };
  return { tags, dates, ifRange, range };
}

function requestFields(states: MatrixStates, values: ReturnType<typeof fieldValues>) {
  const { ifMatch, ifUnmodifiedSince, ifNoneMatch, ifModifiedSince, ifRange, range } = states;
  const fields: Record<string, string> = {};
  if (ifMatch !== 'absent') fields['If-Match'] = values.tags[ifMatch];
  if (ifUnmodifiedSince !== 'absent') {
    fields['If-Unmodified-Since'] = values.dates[ifUnmodifiedSince];
  }
  if (ifNoneMatch !== 'absent') fields['If-None-Match'] = values.tags[ifNoneMatch];
  if (ifModifiedSince !== 'absent') fields['If-Modified-Since'] = values.dates[ifModifiedSince];
  if (ifRange !== 'absent') fields['If-Range'] = values.ifRange[ifRange];
  if (range !== 'absent') fields.Range = values.range[range];
  return fields;
}

function* combinations(): Generator<MatrixStates> {
  for (const method of METHODS)
    for (const ifMatch of TAG_LISTS)
      for (const ifUnmodifiedSince of DATES)
        for (const ifNoneMatch of TAG_LISTS)
          for (const ifModifiedSince of DATES)
            for (const ifRange of IF_RANGES)
              for (const range of RANGES)
                yield {
                  method,
                  ifMatch,
                  ifUnmodifiedSince,
                  ifNoneMatch,
                  ifModifiedSince,
                  ifRange,
                  range,
                };
}

/** Every combination of the five conditions, Range and GET or HEAD: 64,800 requests. */
export function* conditionMatrix(resource: MatrixResource): Generator<MatrixCase> {
  const values = fieldValues(resource);
  for (const states of combinations()) {
    const { status, step } = decide(states, resource.dateIsStrong);
    const { method, ...rest } = states;
    const there = Object.entries(rest).filter(([, state]) => state !== 'absent');
    yield {
      name: [method, ...there.map(([field, state]) => `${field}: ${state}`)].join(', '),
      method,
      fields: requestFields(states, values),
      status,
      step,
      contentRange: expectedContentRange(status, resource.size),
    };
  }
}

function expectedContentRange(status: MatrixStatus, size: number): string | undefined {
  if (status === 416) return `bytes */${size}`;
  return status === 206 ? `bytes 1-1/${size}` : undefined;
}
