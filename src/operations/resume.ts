import type { ClusterManagerClient } from '../client/index.js';
import type { CommunicationRequest } from '../contracts/communication.js';
import { ManagerError } from '../contracts/errors.js';
import type { FormationRequest } from '../contracts/formation.js';
import type { ScalingRequest } from '../contracts/scaling.js';
import { abandonedOperations, type OperationRow } from '../stores/clusters/index.js';
import type { OperationsDeps } from './deps.js';
import { withinLimit } from './within-limit.js';

const startLimitMs = 5000;

/**
 * When an operation counts as abandoned: it has no finished step `startSeconds` after it was accepted, or it is open
 * `graceSeconds` after its deadline. A shorter grace resumes sooner but also joins workflows that still compensate.
 */
const abandoned = { startSeconds: 10, graceSeconds: 30, limit: 100 } as const;

/**
 * Starts the workflows of abandoned operations again: a server died between row and workflow, Temporal was away or lost
 * its last writes, or a workflow was terminated. Servers and intervals may call it at the same time.
 * @returns the operations whose workflow was started or joined, and those that could not be.
 */
export async function resumeAbandonedOperations(
  deps: Pick<OperationsDeps, 'clusters' | 'client'>,
): Promise<{ readonly resumed: readonly string[]; readonly failed: readonly { id: string; error: unknown }[] }> {
  const resumed: string[] = [];
  const failed: { id: string; error: unknown }[] = [];
  for (const operation of await abandonedOperations(deps.clusters, abandoned)) {
    try {
      await resumeOperation(deps, operation);
      resumed.push(operation.id);
    } catch (error) {
      failed.push({ id: operation.id, error });
      // Temporal is away for all of them: the next run tries again.
      if (error instanceof ManagerError && error.code === 'service_unavailable') break;
    }
  }
  return { resumed, failed };
}

/**
 * Starts an operation's workflow, or joins the one that runs, so it may be called any number of times.
 * @throws ManagerError `service_unavailable` while Temporal is away; the row stays, and a later call resumes it.
 */
export async function resumeOperation(
  { client }: Pick<OperationsDeps, 'client'>,
  operation: OperationRow,
): Promise<void> {
  await withinLimit(
    startWorkflow(client, operation),
    startLimitMs,
    `Temporal cannot be reached, so ${operation.id} has not started yet. The request is stored and will be started ` +
      `when Temporal is back: follow it at /v1/operations/${operation.id}`,
  );
}

/** The request is the one that was validated before its row was written, unchanged, so that its hash stays the same. */
function startWorkflow(
  client: ClusterManagerClient,
  { id: operationId, kind, clusterId, requestedBy, request }: OperationRow,
): Promise<unknown> {
  switch (kind) {
    case 'FORMATION':
      return client.startFormation({ ...(request as FormationRequest), requestId: operationId }, requestedBy);
    case 'COMMUNICATION':
      return client.startCommunication({ ...(request as CommunicationRequest), requestId: operationId }, requestedBy);
    case 'REPAIR':
      return client.startRepair({ operationId, clusterId });
    case 'DISSOLUTION': {
      const { drainSeconds } = request as { readonly drainSeconds: number };
      return client.startDissolution({ operationId, clusterId, drainSeconds }, requestedBy);
    }
    case 'SCALING':
      return client.startScaling({ ...(request as ScalingRequest), requestId: operationId }, requestedBy);
    default:
      return kind satisfies never;
  }
}
