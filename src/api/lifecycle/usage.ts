import { recordUsage, type ResourcesDb, type UsageSample } from '../../stores/resources/index.js';
import { GroupCommit } from '../group-commit.js';

const atOnce = 5000;

/** Reports that arrive while a statement is on its way share the next one: a statement for many agents costs little more than for one. */
export const usageOf = (resources: ResourcesDb): GroupCommit<UsageSample, boolean> =>
  new GroupCommit(async (samples) => {
    await recordUsage(resources, samples);
    return samples.map(() => true);
  }, atOnce);
