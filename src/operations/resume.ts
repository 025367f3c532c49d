import type { ClusterManagerClient } from '../client/index.js';
import type { CommunicationRequest } from '../contracts/communication.js';
import { ManagerError } from '../contracts/errors.js';
import type { FormationRequest } from '../contracts/formation.js';
import type { ScalingRequest } from '../contracts/scaling.js';
import { abandonedOperations, type OperationRow } from '../stores/clusters/index.js';
import type { OperationsDeps } from './deps.js';
import { withinLimit } from './within-limit.js';

const temporalLimitMs = 5000;

/**
 * An operation may be abandoned when it has no finished step `startSeconds` after it was accepted, or is still open
 * `graceSeconds` after its deadline. Lower values resume sooner, and ask Temporal more often about workflows that run.
 */
const mayBeAbandoned = { startSeconds: 10, graceSeconds: 30, limit: 100 } as const;

/**
 * Starts the workflow of every abandoned operation again. An operation is abandoned when none of its workflows runs: a
 * server died between row and workflow, Temporal was away or lost its last writes, or the workflow was terminated.
 * Starting it again is safe: finished steps return their first result. Any number of callers may run at the same time.
 * @returns the operations that were resumed, and those that could not be.
 */
export async function resumeAbandonedOperations({
  clusters,
  client,
}: Pick<OperationsDeps, 'clusters' | 'client'>): Promise<{
  readonly resumed: readonly string[];
  readonly failed: readonly { readonly id: string; readonly error: unknown }[];
}> {
  const resumed: string[] = [];
  const failed: { id: string; error: unknown }[] = [];
  for (const operation of await abandonedOperations(clusters, mayBeAbandoned)) {
    try {
      if (await isRunning(client, operation)) continue;
      await resumeOperation({ client }, operation);
      resumed.push(operation.id);
    } catch (error) {
      failed.push({ id: operation.id, error });
      // Temporal is away for all of them: the next run tries again.
      if (error instanceof ManagerError && error.code === 'service_unavailable') break;
    }
  }
  return { resumed, failed };
}

async function isRunning(client: ClusterManagerClient, { workflowId }: OperationRow): Promise<boolean> {
  const progress = await withinLimit(client.progress(workflowId), temporalLimitMs, 'Temporal did not answer');
  return progress?.running === true;
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
    temporalLimitMs,
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
