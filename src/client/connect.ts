import { Client, Connection } from '@temporalio/client';
import { ManagerError } from '../contracts/errors.js';

export interface TemporalAddress {
  /** host:port of the Temporal frontend. */
  readonly address: string;
  readonly namespace: string;
  readonly apiKey?: string;
  readonly tls?: boolean;
}

/** Opens one connection to Temporal. @throws ManagerError as `reachTemporal`. */
export async function connectTemporal({ address, namespace, apiKey, tls }: TemporalAddress) {
  const security = { ...(apiKey ? { apiKey } : {}), ...(tls || apiKey ? { tls: true } : {}) };
  const connecting = Connection.connect({ address, connectTimeout: '10s', ...security });
  const connection = await reachTemporal(address, connecting);
  return { client: new Client({ connection, namespace }), close: () => connection.close() };
}

/** @throws ManagerError `service_unavailable` that names the address and what to do when the connection cannot be made. */
export async function reachTemporal<Made>(address: string, connecting: Promise<Made>): Promise<Made> {
  try {
    return await connecting;
  } catch (cause) {
    const advice = 'start it with "npm start", or set TEMPORAL_ADDRESS to a server that runs';
    throw new ManagerError('service_unavailable', `Temporal at ${address} cannot be reached; ${advice}`, { cause });
  }
}
