/** Exit statuses of a server; gunicorn's 3 is the supervisor's. */
export const STATUS = {
  stopped: 0,
  failed: 1,
  usage: 2,
  /** Connections had to be broken off when it stopped. */
  aborted: 4,
} as const;
