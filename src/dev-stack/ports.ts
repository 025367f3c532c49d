import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManagerError } from '../contracts/errors.js';
import type { Launch } from './launch.js';
import { acquirePidLock, releasePidLock } from './processes/pid-lock.js';
import { logFor } from './report.js';

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

/** All below `firstEphemeralPort`. */
export const preferredPorts = {
  api: 8420,
  temporal: 7233,
  temporalUi: 8233,
  temporalHttp: 7243,
  postgres: 5433,
  workerMetrics: 9464,
  workerHealth: 9564,
} as const;

/**
 * Reserves a port for as long as the stack runs; logs when the preferred one is in use.
 * @param offset added to the preferred port, for each further process of the same kind.
 */
export const reserveStackPort = async (
  launch: Launch,
  part: keyof typeof preferredPorts,
  offset = 0,
): Promise<number> => {
  const preferred = launch.options.ports === 'free' ? undefined : preferredPorts[part] + offset;
  const { port, release } = await reservePort(preferred);
  launch.onStopped(release);
  if (preferred !== undefined && port !== preferred) {
    logFor(part, launch.options.report)(`port ${preferred} is in use: using ${port} instead`, 'warn');
  }
  return port;
};

/** Reserves the API's port. @throws ManagerError port_busy when a port was chosen, or is the documented one, and is in use. */
export const reserveApiPort = async (launch: Launch): Promise<number> => {
  const { apiPort, ports } = launch.options;
  if (apiPort === undefined && ports === 'free') return reserveStackPort(launch, 'api');
  const port = apiPort ?? preferredPorts.api;
  const reserved = await reserveExactPort(port);
  if (!reserved) {
    throw new ManagerError(
      'port_busy',
      `Port ${port} on 127.0.0.1 is in use by another program. Stop it, or choose another port: --port ${port + 1}.`,
    );
  }
  launch.onStopped(reserved.release);
  return port;
};

/** Starts a server again on other ports when another program, which does not know the reservations, took its port first. */
export const retryOnPortConflict = async <Result>(start: () => Promise<Result>): Promise<Result> => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      const isConflict =
        error instanceof ManagerError && /address already in use|EADDRINUSE|could not bind/i.test(error.message);
      if (!isConflict || attempt === 5) throw error;
    }
  }
};
