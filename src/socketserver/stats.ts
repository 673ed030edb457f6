import type { OpenSockets } from '../reactor/connections.ts';

/** What a server has done and is doing: `server.stats()`. */
export interface ServerStats {
  /** Connections by what they are doing, and all of them. */
  connections: ConnectionStats;
  /** Bytes received from clients, and taken by the kernel for them, files included. */
  bytesReceived: number;
  bytesSent: number;
  /** What was passed to `handleError()`. */
  errors: number;
  /** Turns of the reactor: an idle server makes none. */
  turns: number;
  /**
   * Seconds from a wake-up to the turn that it brought about: how long a client has to wait for the
   * loop. It was asked for when the statistics were asked for before, so it is null the first time.
   */
  wakeLatency: number | null;
}

/** `open` is all; other names are states, such as `idle`, and states without connections are left out. */
export interface ConnectionStats {
  open: number;
  [state: string]: number;
}

export function countConnections(sockets: OpenSockets): ConnectionStats {
  const connections: ConnectionStats = { open: sockets.size };
  for (const { activity } of sockets) connections[activity] = (connections[activity] ?? 0) + 1;
  return connections;
}
