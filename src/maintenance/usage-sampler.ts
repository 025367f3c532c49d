import { reportedUsage } from '../stores/clusters/index.js';
import { recordUsage, usageRulesOf } from '../stores/resources/index.js';
import type { MaintenanceDeps } from './deps.js';

const page = 5_000;
const maxPagesPerRun = 20;

/**
 * Stores the usage that members reported by heartbeat as samples, once a sample period. Servers may do it at the same
 * time: of several samples of one period the last counts. @returns a run; a run that reaches its limit of pages is
 * continued by the next.
 */
export function usageSampler({
  clusters,
  resources,
  config,
}: Pick<MaintenanceDeps, 'clusters' | 'resources' | 'config'>): () => Promise<void> {
  let after = '';
  let dueMs = 0;
  return async () => {
    if (after === '' && Date.now() < dueMs) return;
    if (after === '') dueMs = Date.now() + config().scaling.samplePeriodSeconds * 1_000 - 50;
    for (let pages = 0; pages < maxPagesPerRun; pages += 1) {
      const { told, last } = await reportedUsage(clusters, { after, limit: page });
      if (told.length > 0) await recordUsage(resources, told, usageRulesOf(config()));
      after = last ?? '';
      if (after === '') return;
    }
  };
}
