import { mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ManagerError } from '../../contracts/errors.js';
import { claimFile, releaseFile } from '../processes/pid-lock.js';

/** Ports from here on are handed out by the kernel to outgoing connections on Linux: one could take ours between a stop and a restart. */
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
 * Claims a port among this user's launchers, for as long as the stack runs: a server that is being restarted
 * leaves its port unbound for a moment, and a stack starting beside it must not take it then.
 */
const claimPort = async (port: number): Promise<ReservedPort | undefined> => {
  const folder = join(tmpdir(), `cluster-manager-ports-${process.getuid?.() ?? 'user'}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, String(port));
  if (claimFile(path) !== undefined) return undefined;
  if (await isPortFree(port)) return { port, release: () => releaseFile(path) };
  releaseFile(path);
  return undefined;
};

/** Claims exactly this port; undefined when it is taken. */
export const reserveExactPort = (port: number): Promise<ReservedPort | undefined> => claimPort(port);

/** Claims the preferred port or the next free one above it; without a preference, a random one from 20000 to 29999. */
export const reservePort = async (preferred?: number): Promise<ReservedPort> => {
  const { from, to } = randomRange;
  const size = preferred === undefined ? to - from : firstEphemeralPort - preferred;
  const start = preferred ?? from + Math.floor(Math.random() * size);
  for (let step = 0; step < size; step++) {
    const port = preferred === undefined ? from + ((start - from + step) % size) : start + step;
    const reserved = await claimPort(port);
    if (reserved) return reserved;
  }
  throw new ManagerError(
    'port_busy',
    `No free port between ${preferred ?? from} and ${preferred ? firstEphemeralPort - 1 : to - 1}. Stop what listens there.`,
  );
};
