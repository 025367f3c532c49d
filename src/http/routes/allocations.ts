import { v7 as uuidv7 } from 'uuid';
import { ManagerError } from '../../contracts/errors.js';
import { leaseOf, newAllocation, type AllocationAnswer, type AllocationView } from '../../contracts/resources.js';
import type { Principal } from '../../stores/clusters/index.js';
import {
  extendAllocations,
  findAllocation,
  allocationsOf,
  releaseAllocation,
  allocate,
  type AllocationRow,
} from '../../stores/resources/index.js';
import { requireCapability } from '../../operations/require-capability.js';
import { nextCursor, numberIn, positionOf } from '../cursor.js';
import type { Api, ResourceDeps } from '../deps.js';
import { json, jsonRequest, operationRoute } from '../operation-route.js';
import * as shapes from '../shapes.js';
import { clusterNotFound, requireMember } from '../cluster-visibility.js';

const takeAll = operationRoute({
  operationId: 'takeGrants',
  method: 'post',
  path: '/v1/grants',
  summary: 'Take amounts of pools for a cluster, all or nothing, for as long as the lease is extended',
  tags: ['resources'],
  request: { body: jsonRequest(newAllocation) },
  responses: { 200: json(shapes.grantsTaken, 'Granted, or short: then nothing was taken') },
});

const list = operationRoute({
  operationId: 'listGrants',
  method: 'get',
  path: '/v1/grants',
  summary: 'List what a cluster holds of the pools',
  tags: ['resources'],
  request: { query: shapes.ofClusterQuery },
  responses: { 200: json(shapes.grantsPage, 'A page of held grants') },
});

const extend = operationRoute({
  operationId: 'extendGrant',
  method: 'post',
  path: '/v1/grants/{id}/extend',
  summary: 'Hold a grant for so long from now',
  tags: ['resources'],
  request: { params: shapes.byGrant, body: jsonRequest(leaseOf) },
  responses: { 200: json(shapes.oneGrant, 'Extended') },
});

const giveBack = operationRoute({
  operationId: 'releaseGrant',
  method: 'post',
  path: '/v1/grants/{id}/release',
  summary: 'Give a grant back; one that ended before stays as it is',
  tags: ['resources'],
  request: { params: shapes.byGrant },
  responses: { 200: json(shapes.oneGrant, 'It has ended') },
});

export function grantRoutes(api: Api, deps: ResourceDeps): void {
  api.openapi(takeAll, async (c) => {
    requireCapability(deps, c.var.principal, 'scaling');
    const { requestId = `gr_${uuidv7()}`, ...asked } = c.req.valid('json');
    await requireMember(deps, c.var.principal, asked.clusterId, clusterNotFound(asked.clusterId));
    // No operation takes them: whoever asks names its request, and that is what stands for one.
    const answer = await allocate(deps.resources, { ...asked, requestId, operationId: requestId });
    const taken: AllocationAnswer = {
      requestId,
      state: answer.state,
      grants: answer.state === 'granted' ? answer.grants.map(viewOf) : [],
      shortages: answer.state === 'short' ? [...answer.what] : [],
    };
    return c.json(taken, 200);
  });

  api.openapi(list, async (c) => {
    const { cursor, limit, clusterId } = c.req.valid('query');
    await requireMember(deps, c.var.principal, clusterId, clusterNotFound(clusterId));
    const after = numberIn(positionOf(cursor, 1)?.[0]);
    const page = { limit: limit + 1, ...(after === undefined ? {} : { after }) };
    const { page: rows, nextCursor: next } = nextCursor(
      await allocationsOf(deps.resources, clusterId, page),
      limit,
      ({ id }) => [String(id)],
    );
    return c.json({ grants: rows.map(viewOf), nextCursor: next }, 200);
  });

  api.openapi(extend, async (c) => {
    const { id } = await visible(deps, c.var.principal, c.req.valid('param').id);
    const extended = await extendAllocations(deps.resources, [id], c.req.valid('json').leaseSeconds);
    const grant = await visible(deps, c.var.principal, id);
    if (extended.length > 0) return c.json({ grant: viewOf(grant) }, 200);
    throw new ManagerError(
      'state_conflict',
      `Grant ${id} is ${grant.state} and no longer held; take what is needed with a new request`,
    );
  });

  api.openapi(giveBack, async (c) => {
    const { id } = await visible(deps, c.var.principal, c.req.valid('param').id);
    await releaseAllocation(deps.resources, { allocationIds: [id] });
    return c.json({ grant: viewOf(await visible(deps, c.var.principal, id)) }, 200);
  });
}

async function visible(deps: ResourceDeps, principal: Principal, id: number): Promise<AllocationRow> {
  const missing = new ManagerError('not_found', `There is no grant ${id}; those that ended are kept for a while only`);
  const grant = await findAllocation(deps.resources, id);
  if (!grant) throw missing;
  await requireMember(deps, principal, grant.clusterId, missing);
  return grant;
}

const viewOf = ({ operationId: _operationId, leaseExpiresAt, ...rest }: AllocationRow): AllocationView => ({
  ...rest,
  leaseExpiresAt: leaseExpiresAt.toISOString(),
});
