import { ManagerError } from '../../contracts/errors.js';
import { putQuotas, type QuotasView } from '../../contracts/resources.js';
import { findAccount, quotasOf, setQuotas, setWeight } from '../../stores/resources/index.js';
import { requireCapability } from '../../operations/require-capability.js';
import type { Api, ResourceDeps } from '../deps.js';
import { json, jsonRequest, operationRoute } from '../operation-route.js';
import * as shapes from '../shapes.js';
import { requireMember } from '../cluster-visibility.js';

const get = operationRoute({
  operationId: 'getQuotas',
  method: 'get',
  path: '/v1/quotas/{clusterId}',
  summary: 'Show what a cluster may hold of the pools, what it holds, and its weight',
  tags: ['resources'],
  request: { params: shapes.byCluster },
  responses: { 200: json(shapes.quotasAnswer, 'The quotas') },
});

const put = operationRoute({
  operationId: 'putQuotas',
  method: 'put',
  path: '/v1/quotas/{clusterId}',
  summary: "Set a cluster's quotas, its weight, or both; never below what it holds",
  tags: ['resources'],
  request: { params: shapes.byCluster, body: jsonRequest(putQuotas) },
  responses: { 200: json(shapes.quotasAnswer, 'The quotas as they are now') },
});

export function quotaRoutes(api: Api, deps: ResourceDeps): void {
  api.openapi(get, async (c) => {
    const { clusterId } = c.req.valid('param');
    await requireMember(deps, c.var.principal, clusterId, noAccount(clusterId));
    return c.json({ quotas: await viewOf(deps, clusterId) }, 200);
  });

  api.openapi(put, async (c) => {
    requireCapability(deps, c.var.principal, 'scaling');
    const { clusterId } = c.req.valid('param');
    const { quotas, weight } = c.req.valid('json');
    const { state } = await viewOf(deps, clusterId);
    if (state === 'closed') {
      throw new ManagerError('state_conflict', `The account of cluster "${clusterId}" is closed: it was dissolved`);
    }
    // The quotas first: they may be refused for what is held, and then nothing was changed.
    if (quotas !== undefined) await setQuotas(deps.resources, clusterId, quotas);
    if (weight !== undefined) await setWeight(deps.resources, clusterId, weight);
    return c.json({ quotas: await viewOf(deps, clusterId) }, 200);
  });
}

async function viewOf({ resources }: ResourceDeps, clusterId: string): Promise<QuotasView> {
  const account = await findAccount(resources, clusterId);
  if (!account) throw noAccount(clusterId);
  return { clusterId, ...account, resources: await quotasOf(resources, clusterId) };
}

const noAccount = (clusterId: string): ManagerError =>
  new ManagerError('not_found', `Cluster "${clusterId}" has no resource account; form the cluster first`);
