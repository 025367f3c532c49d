import { v7 as uuidv7 } from 'uuid';
import { ManagerError } from '../../contracts/errors.js';
import { allocationView } from '../../contracts/resources.js';
import { viewOf } from '../../contracts/view.js';
import type { Principal } from '../../stores/clusters/index.js';
import {
  allocate,
  allocationsOf,
  extendAllocations,
  findAllocation,
  releaseAllocation,
  type AllocationRow,
} from '../../stores/resources/index.js';
import { pageByNumber } from '../cursor.js';
import type { ResourceDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';
import { notFound, requireMember, visibleRow } from '../visibility.js';

export const allocationHandlers = (deps: ResourceDeps) =>
  ({
    takeGrants: async ({ body: { requestId = `gr_${uuidv7()}`, ...asked }, principal }) => {
      await requireMember(deps, principal, asked.clusterId);
      // No operation stands behind the allocation; its request id takes the operation's place in the row.
      const answer = await allocate(deps.resources, { ...asked, requestId, operationId: requestId });
      return {
        requestId,
        state: answer.state,
        grants: answer.state === 'granted' ? answer.grants.map(grantOf) : [],
        shortages: answer.state === 'short' ? answer.what : [],
      };
    },

    listGrants: async ({ query: { clusterId, ...query }, principal }) => {
      await requireMember(deps, principal, clusterId);
      const { rows, nextCursor } = await pageByNumber(query, 'id', (page) =>
        allocationsOf(deps.resources, clusterId, page),
      );
      return { grants: rows.map(grantOf), nextCursor };
    },

    extendGrant: async ({ params: { id }, body: { leaseSeconds }, principal }) => {
      await visibleAllocation(deps, principal, id);
      const extended = await extendAllocations(deps.resources, [id], leaseSeconds);
      const allocation = await visibleAllocation(deps, principal, id);
      if (extended.length > 0) return { grant: grantOf(allocation) };
      throw new ManagerError(
        'state_conflict',
        `Grant ${id} is ${allocation.state} and no longer held; allocate again with a new request`,
      );
    },

    releaseGrant: async ({ params: { id }, principal }) => {
      await visibleAllocation(deps, principal, id);
      await releaseAllocation(deps.resources, { allocationIds: [id] });
      return { grant: grantOf(await visibleAllocation(deps, principal, id)) };
    },
  }) satisfies Partial<Handlers>;

const visibleAllocation = async (deps: ResourceDeps, principal: Principal, id: number): Promise<AllocationRow> =>
  visibleRow(
    deps,
    principal,
    await findAllocation(deps.resources, id),
    notFound(`Grant ${id}`, 'grants that have ended are deleted when their retention ends'),
  );

/* On the wire an allocation is called `grant`. */
const grantOf = (allocation: AllocationRow) => viewOf(allocationView, allocation);
