import { v7 as uuidv7 } from 'uuid';
import { ManagerError } from '../../contracts/errors.js';
import type { AllocationView } from '../../contracts/resources.js';
import type { Principal } from '../../stores/clusters/index.js';
import {
  allocate,
  allocationsOf,
  extendAllocations,
  findAllocation,
  releaseAllocation,
  type AllocationRow,
} from '../../stores/resources/index.js';
import { defined, pageByNumber } from '../cursor.js';
import type { ResourceDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';
import { requireMember } from '../visibility.js';

export const allocationHandlers = (deps: ResourceDeps) =>
  ({
    takeGrants: async ({ body: { requestId = `gr_${uuidv7()}`, ...asked }, principal }) => {
      await requireMember(deps, principal, asked.clusterId);
      // No operation stands behind the allocation; its request id takes the operation's place in the row.
      const answer = await allocate(deps.resources, { ...asked, requestId, operationId: requestId });
      return {
        requestId,
        state: answer.state,
        grants: answer.state === 'granted' ? answer.grants.map(viewOf) : [],
        shortages: answer.state === 'short' ? answer.what : [],
      };
    },

    listGrants: async ({ query: { clusterId, ...query }, principal }) => {
      await requireMember(deps, principal, clusterId);
      const { rows, nextCursor } = await pageByNumber(
        query,
        (after, limit) => allocationsOf(deps.resources, clusterId, { ...defined({ after }), limit }),
        ({ id }) => id,
      );
      return { grants: rows.map(viewOf), nextCursor };
    },

    extendGrant: async ({ params: { id }, body: { leaseSeconds }, principal }) => {
      await visibleAllocation(deps, principal, id);
      const extended = await extendAllocations(deps.resources, [id], leaseSeconds);
      const allocation = await visibleAllocation(deps, principal, id);
      if (extended.length > 0) return { grant: viewOf(allocation) };
      throw new ManagerError(
        'state_conflict',
        `Grant ${id} is ${allocation.state} and no longer held; allocate again with a new request`,
      );
    },

    releaseGrant: async ({ params: { id }, principal }) => {
      await visibleAllocation(deps, principal, id);
      await releaseAllocation(deps.resources, { allocationIds: [id] });
      return { grant: viewOf(await visibleAllocation(deps, principal, id)) };
    },
  }) satisfies Partial<Handlers>;

async function visibleAllocation(deps: ResourceDeps, principal: Principal, id: number): Promise<AllocationRow> {
  const missing = new ManagerError(
    'not_found',
    `Grant ${id} does not exist; grants that have ended are deleted when their retention ends`,
  );
  const allocation = await findAllocation(deps.resources, id);
  if (!allocation) throw missing;
  await requireMember(deps, principal, allocation.clusterId, missing);
  return allocation;
}

const viewOf = ({
  id,
  requestId,
  clusterId,
  pool,
  resource,
  amount,
  state,
  leaseExpiresAt,
}: AllocationRow): AllocationView => ({
  id,
  requestId,
  clusterId,
  pool,
  resource,
  amount,
  state,
  leaseExpiresAt: leaseExpiresAt.toISOString(),
});
