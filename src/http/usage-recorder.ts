import type { ManagerConfig } from '../config/index.js';
import { GroupCommit } from '../messaging/group-commit.js';
import { unknownAgents, type ClustersDb } from '../stores/clusters/index.js';
import { recordUsage, usageRulesOf, type ResourcesDb, type UsageSample } from '../stores/resources/index.js';

const maxItemsPerStatement = 5000;

/** Stores usage samples. Reports that arrive while a statement runs share the next one: its cost hardly grows with its rows. */
export const usageRecorder = (
  resources: ResourcesDb,
  config: () => Pick<ManagerConfig, 'scaling'>,
): GroupCommit<UsageSample, boolean> =>
  new GroupCommit(async (samples) => {
    await recordUsage(resources, samples, usageRulesOf(config()));
    return samples.map(() => true);
  }, maxItemsPerStatement);

/** Whether agents of these ids are registered, asked for many reports in one query. */
export const agentExistence = (clusters: ClustersDb): GroupCommit<string, boolean> =>
  new GroupCommit(async (ids) => {
    const unknown = new Set(await unknownAgents(clusters, [...new Set(ids)]));
    return ids.map((id) => !unknown.has(id));
  }, maxItemsPerStatement);
