import { ManagerError } from '../../contracts/errors.js';
import type { Launch } from '../launch.js';
import { logFor } from '../report.js';
import { reserveExactPort, reservePort } from './reserve-port.js';

/** All below 32768, from where on the kernel gives ports to outgoing connections. */
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
