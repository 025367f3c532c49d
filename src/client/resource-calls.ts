import { v7 as uuidv7 } from 'uuid';
import {
  anyAnswer,
  budgetAnswer,
  budgetsPage,
  decisionAnswer,
  decisionsPage,
  operationAnswer,
  poolAnswer,
  poolsPage,
  quotasAnswer,
  resourceRequestAnswer,
  resourceRequestsPage,
} from '../contracts/api-answers.js';
import { clusterScores, type ClusterScores, type DecisionView, type ScaleCluster } from '../contracts/decisions.js';
import type { OperationView } from '../contracts/operations.js';
import type { CapacityRequestView } from '../contracts/capacity-requests.js';
import {
  resourcesView,
  usageTaken,
  type BudgetView,
  type PoolView,
  type PutBudget,
  type PutPool,
  type PutQuotas,
  type QuotasView,
  type ResourcesView,
  type UsageReport,
} from '../contracts/resources.js';
import { at, type Calls, type PageQuery } from './calls.js';

/** The part of the HTTP client that is about scaling and resources. */
export function resourceCalls({ get, send }: Calls) {
  const answer = async (id: string, verb: 'grant' | 'deny', reason?: string): Promise<CapacityRequestView> => {
    const body = reason === undefined ? {} : { reason };
    return (await send(resourceRequestAnswer, 'POST', at('resource-requests', id, verb), { body })).resourceRequest;
  };
  return {
    /** Safe to send again with the same `idempotencyKey`: it gives the same operation. */
    scaleCluster: async (
      id: string,
      body: ScaleCluster = {},
      { idempotencyKey = uuidv7() }: { idempotencyKey?: string } = {},
    ): Promise<OperationView> => {
      const headers = { 'idempotency-key': idempotencyKey };
      return (await send(operationAnswer, 'POST', at('clusters', id, 'scale'), { body, headers })).operation;
    },
    /** Newest first. */
    decisions: (clusterId: string, query: PageQuery = {}) =>
      get(decisionsPage, at('clusters', clusterId, 'decisions'), { ...query }),
    decision: async (id: string): Promise<DecisionView> => (await get(decisionAnswer, at('decisions', id))).decision,
    /** The last scores, oldest first. */
    scores: (clusterId: string, count: number): Promise<ClusterScores> =>
      get(clusterScores, at('clusters', clusterId, 'score'), { count }),
    resourceRequests: (query: PageQuery & { readonly state?: string; readonly clusterId?: string } = {}) =>
      get(resourceRequestsPage, '/v1/resource-requests', { ...query }),
    /** @throws ManagerError `state_conflict` when it was answered otherwise or its deadline is over. */
    grantRequest: (id: string, reason?: string): Promise<CapacityRequestView> => answer(id, 'grant', reason),
    denyRequest: (id: string, reason?: string): Promise<CapacityRequestView> => answer(id, 'deny', reason),
    /** @param samples at most 1,000, of any agents, or of the bearer alone when that is an agent. */
    reportUsage: async (samples: UsageReport['samples']): Promise<number> =>
      (await send(usageTaken, 'POST', '/v1/usage', { body: { samples } })).samples,
    resources: (): Promise<ResourcesView> => get(resourcesView, '/v1/resources'),
    pools: (query: PageQuery = {}) => get(poolsPage, '/v1/pools', { ...query }),
    pool: async (name: string): Promise<PoolView> => (await get(poolAnswer, at('pools', name))).pool,
    /** @throws ManagerError `state_conflict` below what is granted of it. */
    putPool: async (name: string, body: PutPool): Promise<PoolView> =>
      (await send(poolAnswer, 'PUT', at('pools', name), { body })).pool,
    removePool: async (name: string): Promise<void> => void (await send(anyAnswer, 'DELETE', at('pools', name))),
    quotas: async (clusterId: string): Promise<QuotasView> => (await get(quotasAnswer, at('quotas', clusterId))).quotas,
    putQuotas: async (clusterId: string, body: PutQuotas): Promise<QuotasView> =>
      (await send(quotasAnswer, 'PUT', at('quotas', clusterId), { body })).quotas,
    budgets: (query: PageQuery & { readonly clusterId: string }) => get(budgetsPage, '/v1/budgets', { ...query }),
    putBudget: async (id: string, body: PutBudget): Promise<BudgetView> =>
      (await send(budgetAnswer, 'PUT', at('budgets', id), { body })).budget,
  };
}
