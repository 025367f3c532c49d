import type { Client } from '@temporalio/client';
import type { ClusterManagerClient } from '../../src/client/index.js';
import type { FormationRequest } from '../../src/contracts/formation.js';
import type { ClustersDb } from '../../src/stores/clusters/index.js';
import { recordUsage, type ResourcesDb } from '../../src/stores/resources/index.js';
import { addAgents } from './fleet.js';

/** Where a test adds agents and forms clusters. */
export interface Fleet {
  readonly clusters: ClustersDb;
  readonly manager: ClusterManagerClient;
}

export interface ClusterOptions {
  /** Free agents of the same kind, beside the members. */
  readonly spare?: number;
  /** The capability of the agents and the cluster; by default the name. */
  readonly capability?: string;
  readonly agent?: object;
  readonly request?: Partial<FormationRequest>;
}

/** Adds agents named `<name>-<index>`, each with four slots, and forms a cluster of `size` of them. @returns its id. */
export async function clusterOf(
  { clusters, manager }: Fleet,
  name: string,
  size: number,
  { spare = 0, capability = name, agent = {}, request = {} }: ClusterOptions = {},
): Promise<string> {
  await addAgents(clusters, size + spare, { capabilities: [capability], resources: { slots: 4 }, ...agent }, name);
  const { clusterId } = await manager.formCluster({
    requestId: name,
    name,
    requiredCapabilities: [capability],
    size: { min: 3, desired: size, max: 10 },
    ...request,
  });
  return clusterId;
}

/** The members of a cluster in one state, by agent id. */
export async function membersOf(
  clusters: ClustersDb,
  clusterId: string,
  state: 'active' | 'leaving' | 'reserved' = 'active',
): Promise<string[]> {
  const rows = await clusters
    .selectFrom('memberships')
    .select('agentId')
    .where('clusterId', '=', clusterId)
    .where('state', '=', state)
    .orderBy('agentId')
    .execute();
  return rows.map(({ agentId }) => agentId);
}

/** Records the same usage of `slots` for each agent twice, a sample period apart. */
export async function useSlots(resources: ResourcesDb, agentIds: readonly string[], amount: number): Promise<void> {
  for (const atMs of [Date.now() - 16_000, Date.now()]) {
    await recordUsage(
      resources,
      agentIds.map((agentId) => ({ agentId, resource: 'slots', amount, atMs })),
    );
  }
}

/** The activities that a workflow scheduled, in order. */
export async function activitiesOf(client: Client, workflowId: string): Promise<string[]> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  return (events ?? []).flatMap((event) => event.activityTaskScheduledEventAttributes?.activityType?.name ?? []);
}

/** The operation errors that a test gives to the compensations that it calls itself. */
export const cancelledByTest = { code: 'cancelled', detail: 'cancelled by the test' } as const;
