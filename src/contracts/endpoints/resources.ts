import { z } from 'zod';
import { identifier } from '../agents.js';
import {
  byCluster,
  byName,
  clusterPage,
  ok,
  operators,
  page,
  pageOnly,
  pageQuery,
  readers,
  response,
  tagged,
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

export const resourceEndpoints = tagged('resources', {
  getResources: {
    route: 'GET /v1/resources',
    summary: 'Get the capacity and usage of pools and agents, and whether the ledger is consistent',
    roles: readers,
    responses: ok('The resources', resourcesView.meta({ id: 'Resources' })),
  },
  listLedger: {
    route: 'GET /v1/ledger',
    summary: 'List the allocations and releases of pool capacity, newest first',
    roles: ['admin', 'viewer'],
    query: z.strictObject({ ...pageQuery, pool: identifier.optional(), clusterId: derivedId.optional() }),
    responses: page('A page of ledger entries', { entries: z.array(ledgerEntry.meta({ id: 'LedgerEntry' })) }),
  },
  listPools: {
    route: 'GET /v1/pools',
    summary: 'List pools with their capacity and usage, by name',
    roles: readers,
    query: pageOnly,
    responses: page('A page of pools', { pools: z.array(pool) }),
  },
  getPool: {
    route: 'GET /v1/pools/{name}',
    summary: 'Get a pool',
    roles: readers,
    params: byName,
    responses: ok('The pool', { pool }),
  },
  putPool: {
    route: 'PUT /v1/pools/{name}',
    summary: 'Create or replace a pool; its capacity cannot go below what is allocated',
    roles: operators,
    capability: 'scaling',
    params: byName,
    body: putPool,
    responses: ok('The pool after the change', { pool }),
    errors: ['state_conflict'],
  },
  deletePool: {
    route: 'DELETE /v1/pools/{name}',
    summary: 'Delete a pool of which nothing is allocated',
    roles: operators,
    capability: 'scaling',
    params: byName,
    responses: ok('Deleted', { name: z.string(), deleted: z.literal(true) }),
    errors: ['not_found', 'state_conflict'],
  },
  getQuotas: {
    route: 'GET /v1/quotas/{clusterId}',
    summary: "Get a cluster's quotas, the amounts it holds, and its weight",
    roles: [...readers, 'agent'],
    params: byCluster,
    responses: ok('The quotas', { quotas }),
  },
  putQuotas: {
    route: 'PUT /v1/quotas/{clusterId}',
    summary: "Set a cluster's quotas, its weight, or both; a quota cannot go below what the cluster holds",
    roles: operators,
    capability: 'scaling',
    params: byCluster,
    body: putQuotas,
    responses: ok('The quotas after the change', { quotas }),
    errors: ['not_found', 'state_conflict'],
  },
  takeGrants: {
    route: 'POST /v1/grants',
    summary: 'Allocate amounts from pools to a cluster, all or nothing, until the lease ends',
    roles: [...operators, 'agent'],
    capability: 'scaling',
    body: newAllocation,
    responses: ok('Allocated; or short, and nothing was allocated', allocationAnswer.meta({ id: 'GrantAnswer' })),
    errors: ['not_found', 'state_conflict', 'idempotency_conflict'],
  },
  listGrants: {
    route: 'GET /v1/grants',
    summary: 'List the allocations that a cluster holds',
    roles: [...readers, 'agent'],
    query: clusterPage,
    responses: page('A page of allocations', { grants: z.array(grant) }),
    errors: ['not_found'],
  },
  extendGrant: {
    route: 'POST /v1/grants/{id}/extend',
    summary: 'Extend the lease of an allocation, counted from now',
    roles: [...operators, 'agent'],
    params: byGrant,
    body: leaseOf,
    responses: ok('Extended', { grant }),
    errors: ['not_found', 'state_conflict'],
  },
  releaseGrant: {
    route: 'POST /v1/grants/{id}/release',
    summary: 'Release an allocation; one that has ended already is not changed',
    roles: [...operators, 'agent'],
    params: byGrant,
    responses: ok('The allocation has ended', { grant }),
  },
  reportUsage: {
    route: 'POST /v1/usage',
    summary: 'Report the current usage of agents, up to 1,000 samples. The same report again counts once',
    roles: [...operators, 'agent'],
    capability: 'scaling',
    body: usageReport,
    responses: { 202: response('Stored', usageTaken.meta({ id: 'UsageTaken' })) },
    errors: ['not_found'],
  },
});
