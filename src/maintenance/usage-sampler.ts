import { reportedUsage } from '../stores/clusters/index.js';
import { recordUsage } from '../stores/resources/index.js';
import type { ApiDeps } from '../http/deps.js';
import { usageRulesOf } from '../http/usage-recorder.js';

const page = 5_000;
/** A run looks at so many agents at most, and the next one goes on from there. */
const pagesAtMost = 20;

/**
 * Takes what members told of their usage by heartbeat as samples, once a period. Any number of servers may do it at once:
 * of several samples of one period the last counts.
 */
export function usageSampler({
  clusters,
  resources,
  config,
}: Pick<ApiDeps, 'clusters' | 'resources' | 'config'>): () => Promise<void> {
  let after = '';
  let dueMs = 0;
  return async () => {
    const { samplePeriodSeconds } = config().scaling;
    if (after === '' && Date.now() < dueMs) return;
    if (after === '') dueMs = Date.now() + samplePeriodSeconds * 1_000 - 50;
    for (let pages = 0; pages < pagesAtMost; pages += 1) {
      const { told, last } = await reportedUsage(clusters, { after, limit: page });
      if (told.length > 0) {
        await recordUsage(resources, told, usageRulesOf(config()));
      }
      after = last ?? '';
      if (after === '') return;
    }
  };
}
