import { reportedUsage } from '../stores/clusters/index.js';
import { recordUsage, usageRulesOf } from '../stores/resources/index.js';
import type { MaintenanceDeps } from './deps.js';
import { inPages, pageSize } from './in-pages.js';

type Deps = Pick<MaintenanceDeps, 'clusters' | 'resources' | 'config'>;

/**
 * Stores the usage that members reported by heartbeat as samples, once a sample period. Servers may do it at the same
 * time: of several samples of one period the last counts. @returns a run; a run that reaches its limit of pages is
 * continued by the next.
 */
export function usageSampler({ clusters, resources, config }: Deps): () => Promise<void> {
  let dueMs = 0;
  return inPages(
    20,
    async (after) => {
      const { samples, last } = await reportedUsage(clusters, { after, limit: pageSize });
      if (samples.length > 0) await recordUsage(resources, samples, usageRulesOf(config()));
      return last;
    },
    () => {
      if (Date.now() < dueMs) return false;
      dueMs = Date.now() + config().scaling.samplePeriodSeconds * 1_000 - 50;
      return true;
    },
  );
}
