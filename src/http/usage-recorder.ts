import type { ManagerConfig } from '../config/index.js';
import { unknownAgents, type ClustersDb } from '../stores/clusters/index.js';
import { recordUsage, type ResourcesDb, type UsageRules, type UsageSample } from '../stores/resources/index.js';
import { GroupCommit } from '../messaging/group-commit.js';

const atOnce = 5000;
/** As many sample periods old, a reading says nothing any more. */
const staleAfterPeriods = 3;

/** How samples are smoothed and kept, by whichever way they come. */
export const usageRulesOf = ({ scaling }: Pick<ManagerConfig, 'scaling'>): UsageRules => ({
  halfLifeSeconds: scaling.halfLifeSeconds,
  slotSeconds: scaling.samplePeriodSeconds,
  staleAfterSeconds: staleAfterPeriods * scaling.samplePeriodSeconds,
});

/** Reports that arrive while a statement is on its way share the next one: a statement for many agents costs little more than for one. */
export const usageRecorder = (
  resources: ResourcesDb,
  config: () => Pick<ManagerConfig, 'scaling'>,
): GroupCommit<UsageSample, boolean> =>
  new GroupCommit(async (samples) => {
    await recordUsage(resources, samples, usageRulesOf(config()));
    return samples.map(() => true);
  }, atOnce);

/** Whether agents are there, asked for many reports at once. */
export const agentExistence = (clusters: ClustersDb): GroupCommit<string, boolean> =>
  new GroupCommit(async (ids) => {
    const unknown = new Set(await unknownAgents(clusters, [...new Set(ids)]));
    return ids.map((id) => !unknown.has(id));
  }, atOnce);
