import { z } from 'zod';
import { clusterState, clusterView, dissolveRequest } from '../clusters.js';
import { clusterScores, decisionSummary, decisionView, scaleCluster } from '../decisions.js';
import {
  byId,
  idempotencyHeaders,
  ok,
  operators,
  page,
  pageOnly,
  pageQuery,
  readers,
  tagged,
  waitQuery,
} from '../endpoint.js';
import { operationResponses } from './operations.js';

const cluster = clusterView.meta({ id: 'Cluster' });

export const clusterEndpoints = {
  ...tagged('clusters', {
    listClusters: {
      route: 'GET /v1/clusters',
      summary: 'List clusters by id; an agent sees the clusters that it is a member of',
      roles: [...readers, 'agent'],
      query: z.strictObject({ ...pageQuery, state: clusterState.optional() }),
      responses: page('A page of clusters', { clusters: z.array(cluster) }),
    },
    getCluster: {
      route: 'GET /v1/clusters/{id}',
      summary: 'Get a cluster: members, roles, epoch, links, latency and stability',
      roles: [...readers, 'agent'],
      params: byId,
      responses: ok('The cluster', { cluster }),
    },
    dissolveCluster: {
      route: 'DELETE /v1/clusters/{id}',
      summary: 'Dissolve a cluster after draining its deliveries. Dissolving it twice is the same operation',
      roles: operators,
      capability: 'cluster_management',
      params: byId,
      query: waitQuery,
      body: dissolveRequest,
      bodyIsOptional: true,
      responses: operationResponses,
      errors: ['not_found', 'state_conflict', 'idempotency_conflict'],
    },
  }),
  ...tagged('scaling', {
    scaleCluster: {
      route: 'POST /v1/clusters/{id}/scale',
      summary: 'Scale a cluster to the size that its usage needs, or to the size requested, and verify its stability',
      roles: operators,
      capability: 'scaling',
      params: byId,
      query: waitQuery,
      headers: idempotencyHeaders,
      body: scaleCluster,
      bodyIsOptional: true,
      responses: operationResponses,
      errors: ['not_found', 'state_conflict', 'idempotency_conflict'],
    },
    listDecisions: {
      route: 'GET /v1/clusters/{id}/decisions',
      summary: "List the decisions about a cluster's size, each with its explanation, newest first",
      roles: [...readers, 'agent'],
      params: byId,
      query: pageOnly,
      responses: page('A page of decisions', { decisions: z.array(decisionSummary.meta({ id: 'DecisionSummary' })) }),
    },
    getDecision: {
      route: 'GET /v1/decisions/{id}',
      summary: 'Get a decision with all of its inputs and its outcome',
      roles: [...readers, 'agent'],
      params: byId,
      responses: ok('The decision', { decision: decisionView.meta({ id: 'Decision' }) }),
    },
    getScore: {
      route: 'GET /v1/clusters/{id}/score',
      summary: "Get a cluster's latest stability scores with their parts, oldest first",
      roles: [...readers, 'agent'],
      params: byId,
      query: z.strictObject({ count: z.coerce.number<number>().int().min(1).max(1000).default(20) }),
      responses: ok('The scores; empty before the first one', clusterScores.meta({ id: 'Scores' })),
    },
  }),
};
