import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManagerError } from '../../contracts/errors.js';
import { acquirePidLock, releasePidLock } from '../processes/pid-lock.js';

/**
 * From this port on, the kernel of Linux gives ports to outgoing connections: one of these could take a server's port while the
 * server restarts.
 */
const firstEphemeralPort = 32768;
const randomRange = { from: 20000, to: 30000 } as const;

export interface ReservedPort {
  readonly port: number;
  release(): void;
}

/** Whether a server could listen on this loopback port now. */
export const isPortFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });

/**
 * Reserves exactly this port among the stacks of this user, until it is released. A server that restarts does not listen for a
 * moment; without the reservation another stack that starts then would take its port.
 * @returns undefined when the port is in use or reserved.
 */
export const reserveExactPort = async (port: number): Promise<ReservedPort | undefined> => {
  const folder = join(tmpdir(), `cluster-manager-ports-${process.getuid?.() ?? 'user'}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, String(port));
  if (acquirePidLock(path) !== undefined) return undefined;
  if (await isPortFree(port)) return { port, release: () => releasePidLock(path) };
  releasePidLock(path);
  return undefined;
};

/** Reserves the preferred port or the next free one above it; without a preference, a random one from 20000 to 29999. */
export const reservePort = async (preferred?: number): Promise<ReservedPort> => {
  const from = preferred ?? randomRange.from;
  const to = preferred === undefined ? randomRange.to : firstEphemeralPort;
  const first = preferred === undefined ? Math.floor(Math.random() * (to - from)) : 0;
  for (let step = 0; step < to - from; step++) {
    const reserved = await reserveExactPort(from + ((first + step) % (to - from)));
    if (reserved) return reserved;
  }
  throw new ManagerError(
    'port_busy',
    `No port from ${from} to ${to - 1} is free. Stop the programs that listen there.`,
  );
};
