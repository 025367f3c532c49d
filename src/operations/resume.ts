import type { CommunicationRequest } from '../contracts/communication.js';
import type { FormationRequest } from '../contracts/formation.js';
import type { ScalingRequest } from '../contracts/scaling.js';
import type { OperationRow } from '../stores/clusters/index.js';
import type { ApiDeps } from '../http/deps.js';
import { withinLimit } from '../http/availability.js';

const startLimitMs = 5000;

/**
 * Starts an operation's workflow, or joins the one that runs: what a row asks for may be started any number of times.
 * @throws ManagerError `service_unavailable` while Temporal is away; the row stays, and the sweep comes back to it.
 */
export async function resumeOperation({ client }: Pick<ApiDeps, 'client'>, row: OperationRow): Promise<void> {
  await withinLimit(
    start(client, row),
    startLimitMs,
    `Temporal cannot be reached, so ${row.id} has not started yet. The request is stored and will be started when ` +
      `Temporal is back: follow it at /v1/operations/${row.id}`,
  );
}

async function start(client: ApiDeps['client'], row: OperationRow): Promise<unknown> {
  const { id: operationId, kind, clusterId, requestedBy } = row;
  switch (kind) {
    case 'FORMATION':
      // Checked when the row was written, and sent as it was asked, so that its hash stays the same.
      return client.startFormation({ ...(row.request as FormationRequest), requestId: operationId }, requestedBy);
    case 'COMMUNICATION':
      return client.startCommunication(
        { ...(row.request as CommunicationRequest), requestId: operationId },
        requestedBy,
      );
    case 'REPAIR':
      return client.startRepair({ operationId, clusterId });
    case 'DISSOLUTION': {
      const { drainSeconds } = row.request as { readonly drainSeconds: number };
      return client.startDissolution({ operationId, clusterId, drainSeconds }, requestedBy);
    }
    case 'SCALING':
      return client.startScaling({ ...(row.request as ScalingRequest), requestId: operationId }, requestedBy);
    default:
      return kind satisfies never;
  }
}
