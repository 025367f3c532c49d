import { Client, Connection } from '@temporalio/client';
import { createClusterManagerClient, type ClusterManagerClient } from '../../client/index.js';
import type { ManagerConfig } from '../../config/index.js';
import { ManagerError } from '../../contracts/errors.js';

/**
 * Connects to Temporal and makes sure of the formation interval's Schedule.
 * @throws ManagerError `service_unavailable` while it cannot be reached, `incompatible_service` when it refuses what we need.
 */
export async function openTemporal(config: ManagerConfig): Promise<ClusterManagerClient> {
  const { connection: to, address, namespace } = config.temporal;
  let connection: Connection;
  try {
    connection = await Connection.connect({ ...to, connectTimeout: '5s' });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ManagerError(
      'service_unavailable',
      `Temporal at ${address} cannot be reached (${reason}); start it with "npm start", or set TEMPORAL_ADDRESS`,
      { cause },
    );
  }
  const client = new Client({ connection, namespace });
  const manager = createClusterManagerClient(client, config.id, () => connection.close());
  try {
    await manager.schedules.ensure(config.formationInterval);
    return manager;
  } catch (cause) {
    await manager.close();
    throw refusalOf(cause, config);
  }
}

/** gRPC's numbers: 14 unavailable, 4 deadline exceeded, 5 not found, 7 permission denied, 3 invalid argument. */
function refusalOf(cause: unknown, { temporal }: ManagerConfig): unknown {
  const code = (cause as { readonly code?: unknown }).code ?? (cause as { cause?: { code?: unknown } }).cause?.code;
  const reason = cause instanceof Error ? cause.message : String(cause);
  const where = `Temporal at ${temporal.address}, namespace "${temporal.namespace}"`;
  if (code === 14 || code === 4) {
    return new ManagerError('service_unavailable', `${where}, does not answer (${reason})`, { cause });
  }
  if (code === 5) {
    return new ManagerError(
      'service_unavailable',
      `${where}: there is no such namespace; create it, or set TEMPORAL_NAMESPACE`,
      { cause },
    );
  }
  if (code === 3 || code === 7 || code === 12) {
    return new ManagerError('incompatible_service', `${where}, refuses the formation schedule: ${reason}`, { cause });
  }
  return cause;
}
