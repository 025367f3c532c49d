import { ManagerError } from '../contracts/errors.js';
import { abandonedOperations } from '../stores/clusters/index.js';
import type { ApiDeps } from '../http/deps.js';
import { resumeOperation } from '../operations/resume.js';

const startSeconds = 10;
const graceSeconds = 60;
const limit = 100;

/**
 * Starts again what was accepted and that nobody seems to work on: a server died between row and workflow, Temporal
 * was away or lost its last moments, a workflow was terminated. Any number of servers may sweep at once.
 * @returns the operations started or joined.
 */
export async function resumeAbandonedOperations(
  deps: Pick<ApiDeps, 'clusters' | 'client' | 'logger'>,
): Promise<readonly string[]> {
  const resumed: string[] = [];
  for (const operation of await abandonedOperations(deps.clusters, { startSeconds, graceSeconds, limit })) {
    try {
      await resumeOperation(deps, operation);
      resumed.push(operation.id);
    } catch (err) {
      deps.logger.warn({ err, operationId: operation.id }, 'an operation could not be started again');
      // Temporal is away for all of them: the next sweep tries again.
      if (err instanceof ManagerError && err.code === 'service_unavailable') break;
    }
  }
  if (resumed.length > 0)
    deps.logger.info(
      { operationIds: resumed },
      'operations that nobody seemed to work on were started again, or joined',
    );
  return resumed;
}
