/** Numbers of a user and a group; null for any, or to leave that part as it is. */
export interface FileOwner {
  readonly uid: number | null;
  readonly gid: number | null;
}
