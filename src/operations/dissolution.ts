import type { ClusterView } from '../contracts/clusters.js';
import { ManagerError } from '../contracts/errors.js';
import { workflowIds } from '../contracts/ids.js';
import { findOperation, type NewOperation } from '../stores/clusters/index.js';
import type { OperationsDeps } from './deps.js';
import { hasEnded } from './wait.js';

/**
 * The operation that dissolves a cluster. Its id is derived from the cluster's, so that a second request joins the
 * first; after a failed dissolution a new one gets the next number.
 * @throws ManagerError `state_conflict` for a cluster that is not active.
 */
export async function newDissolution(
  { clusters }: Pick<OperationsDeps, 'clusters'>,
  cluster: Pick<ClusterView, 'id' | 'state' | 'operationId'>,
  drainSeconds: number,
): Promise<Omit<NewOperation, 'requestedBy'>> {
  const request = { clusterId: cluster.id, drainSeconds };
  for (let attempt = 1; ; attempt += 1) {
    const id = `op_dissolve_${cluster.id}${attempt === 1 ? '' : `_${attempt}`}`;
    const known = await findOperation(clusters, id);
    if (known && hasEnded(known) && known.state !== 'completed' && cluster.state === 'active') continue;
    if (known || cluster.state === 'active') {
      const workflowId = workflowIds.dissolution(cluster.id);
      return { id, kind: 'DISSOLUTION', clusterId: cluster.id, workflowId, request };
    }
    throw new ManagerError(
      'state_conflict',
      cluster.state === 'forming'
        ? `Cluster "${cluster.id}" is still forming; cancel its operation ${cluster.operationId} instead`
        : `Cluster "${cluster.id}" is ${cluster.state}; only an active cluster can be dissolved`,
    );
  }
}
