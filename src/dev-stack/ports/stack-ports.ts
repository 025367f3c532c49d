import { ManagerError } from '../../contracts/errors.js';
import { reservePort } from './reserve-port.js';
import type { Launch } from '../launch.js';
import { reporterFor } from '../report.js';

/** All below 32768, where the kernel does not hand out ports of its own accord. */
export const preferredPorts = {
  api: 8420,
  temporal: 7233,
  temporalUi: 8233,
  temporalHttp: 7243,
  postgres: 5433,
  workerMetrics: 9464,
  workerHealth: 9484,
} as const;

type Part = keyof typeof preferredPorts;

/** Claims a port for the stack's life; says so when the preferred one is taken. */
export const reserveStackPort = async (launch: Launch, part: Part): Promise<number> => {
  const preferred = launch.options.ports === 'free' ? undefined : preferredPorts[part];
  const reserved = await reservePort(preferred);
  launch.onStopped(reserved.release);
  if (preferred !== undefined && reserved.port !== preferred) {
    reporterFor(part, launch.options.report)(`port ${preferred} is in use: ${reserved.port} is taken instead`, 'warn');
  }
  return reserved.port;
};

/** Other programs do not know our claims: one may take the port in the moment before the server binds it. */
export const retryOnPortConflict = async <Result>(start: () => Promise<Result>): Promise<Result> => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start();
    } catch (error) {
      const taken =
        error instanceof ManagerError && /address already in use|EADDRINUSE|could not bind/i.test(error.message);
      if (!taken || attempt === 5) throw error;
    }
  }
};
