import { Client, Connection } from '@temporalio/client';
import { ManagerError } from '../contracts/errors.js';

export interface TemporalAddress {
  /** host:port of the Temporal frontend. */
  readonly address: string;
  readonly namespace: string;
  readonly apiKey?: string;
  readonly tls?: boolean;
}

/**
 * Opens one connection to Temporal.
 * @throws ManagerError `service_unavailable` that names the address and what to do.
 */
export async function connectTemporal(
  to: TemporalAddress,
): Promise<{ readonly client: Client; close(): Promise<void> }> {
  let connection: Connection;
  try {
    connection = await Connection.connect({
      address: to.address,
      connectTimeout: '10s',
      ...(to.apiKey ? { apiKey: to.apiKey } : {}),
      ...(to.tls || to.apiKey ? { tls: true } : {}),
    });
  } catch (cause) {
    throw new ManagerError(
      'service_unavailable',
      `Temporal at ${to.address} cannot be reached; start it with "npm start", or set TEMPORAL_ADDRESS to a server that runs`,
      { cause },
    );
  }
  return { client: new Client({ connection, namespace: to.namespace }), close: () => connection.close() };
}
