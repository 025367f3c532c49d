import { z } from 'zod';
import { identifier } from '../agents.js';
import {
  byCluster,
  byName,
  clusterPage,
  nextCursor,
  operators,
  pageOnly,
  pageQuery,
  readers,
  response,
  type Endpoint,
} from '../endpoint.js';
import { derivedId } from '../messages.js';
import {
  allocationAnswer,
  allocationView,
  leaseOf,
  ledgerEntry,
  newAllocation,
  poolView,
  putPool,
  putQuotas,
  quotasView,
  resourcesView,
  usageReport,
  usageTaken,
} from '../resources.js';

const pool = poolView.meta({ id: 'Pool' });
const quotas = quotasView.meta({ id: 'Quotas' });
/* On the wire an allocation is called `grant`. */
const grant = allocationView.meta({ id: 'Grant' });
const byGrant = z.object({
  id: z
    .string()
    .regex(/^[1-9][0-9]{0,14}$/, 'must be the number of a grant')
    .transform(Number)
    .pipe(z.int()),
});

export const resourceEndpoints = {
  getResources: {
    method: 'get',
    path: '/v1/resources',
    summary: 'Get the capacity and usage of pools and agents, and whether the ledger is consistent',
    tag: 'resources',
    roles: readers,
    responses: { 200: response('The resources', resourcesView.meta({ id: 'Resources' })) },
    errors: [],
  },
  listLedger: {
    method: 'get',
    path: '/v1/ledger',
    summary: 'List the allocations and releases of pool capacity, newest first',
    tag: 'resources',
    roles: ['admin', 'viewer'],
    query: z.strictObject({ ...pageQuery, pool: identifier.optional(), clusterId: derivedId.optional() }),
    responses: {
      200: response(
        'A page of ledger entries',
        z.object({ entries: z.array(ledgerEntry.meta({ id: 'LedgerEntry' })), nextCursor }),
      ),
    },
    errors: [],
  },
  listPools: {
    method: 'get',
    path: '/v1/pools',
    summary: 'List pools with their capacity and usage, by name',
    tag: 'resources',
    roles: readers,
    query: pageOnly,
    responses: { 200: response('A page of pools', z.object({ pools: z.array(pool), nextCursor })) },
    errors: [],
  },
  getPool: {
    method: 'get',
    path: '/v1/pools/{name}',
    summary: 'Get a pool',
    tag: 'resources',
    roles: readers,
    params: byName,
    responses: { 200: response('The pool', z.object({ pool })) },
    errors: ['not_found'],
  },
  putPool: {
    method: 'put',
    path: '/v1/pools/{name}',
    summary: 'Create or replace a pool; its capacity cannot go below what is allocated',
    tag: 'resources',
    roles: operators,
    capability: 'scaling',
    params: byName,
    body: putPool,
    responses: { 200: response('The pool after the change', z.object({ pool })) },
    errors: ['state_conflict'],
  },
  deletePool: {
    method: 'delete',
    path: '/v1/pools/{name}',
    summary: 'Delete a pool of which nothing is allocated',
    tag: 'resources',
    roles: operators,
    capability: 'scaling',
    params: byName,
    responses: { 200: response('Deleted', z.object({ name: z.string(), deleted: z.literal(true) })) },
    errors: ['not_found', 'state_conflict'],
  },
  getQuotas: {
    method: 'get',
    path: '/v1/quotas/{clusterId}',
    summary: "Get a cluster's quotas, the amounts it holds, and its weight",
    tag: 'resources',
    roles: [...readers, 'agent'],
    params: byCluster,
    responses: { 200: response('The quotas', z.object({ quotas })) },
    errors: ['not_found'],
  },
  putQuotas: {
    method: 'put',
    path: '/v1/quotas/{clusterId}',
    summary: "Set a cluster's quotas, its weight, or both; a quota cannot go below what the cluster holds",
    tag: 'resources',
    roles: operators,
    capability: 'scaling',
    params: byCluster,
    body: putQuotas,
    responses: { 200: response('The quotas after the change', z.object({ quotas })) },
    errors: ['not_found', 'state_conflict'],
  },
  takeGrants: {
    method: 'post',
    path: '/v1/grants',
    summary: 'Allocate amounts from pools to a cluster, all or nothing, until the lease ends',
    tag: 'resources',
    roles: [...operators, 'agent'],
    capability: 'scaling',
    body: newAllocation,
    responses: {
      200: response('Allocated; or short, and nothing was allocated', allocationAnswer.meta({ id: 'GrantAnswer' })),
    },
    errors: ['not_found', 'state_conflict', 'idempotency_conflict'],
  },
  listGrants: {
    method: 'get',
    path: '/v1/grants',
    summary: 'List the allocations that a cluster holds',
    tag: 'resources',
    roles: [...readers, 'agent'],
    query: clusterPage,
    responses: { 200: response('A page of allocations', z.object({ grants: z.array(grant), nextCursor })) },
    errors: ['not_found'],
  },
  extendGrant: {
    method: 'post',
    path: '/v1/grants/{id}/extend',
    summary: 'Extend the lease of an allocation, counted from now',
    tag: 'resources',
    roles: [...operators, 'agent'],
    params: byGrant,
    body: leaseOf,
    responses: { 200: response('Extended', z.object({ grant })) },
    errors: ['not_found', 'state_conflict'],
  },
  releaseGrant: {
    method: 'post',
    path: '/v1/grants/{id}/release',
    summary: 'Release an allocation; one that has ended already is not changed',
    tag: 'resources',
    roles: [...operators, 'agent'],
    params: byGrant,
    responses: { 200: response('The allocation has ended', z.object({ grant })) },
    errors: ['not_found'],
  },
  reportUsage: {
    method: 'post',
    path: '/v1/usage',
    summary: 'Report the current usage of agents, up to 1,000 samples. The same report again counts once',
    tag: 'resources',
    roles: [...operators, 'agent'],
    capability: 'scaling',
    body: usageReport,
    responses: { 202: response('Stored', usageTaken.meta({ id: 'UsageTaken' })) },
    errors: ['not_found'],
  },
} as const satisfies Record<string, Endpoint>;
