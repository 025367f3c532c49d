import { setCurrentDetails, sleep } from '@temporalio/workflow';
import type { AssessedNeeds } from '../activities/scaling/assess-needs.js';
import type { VerifiedStability } from '../activities/scaling/verify-stability.js';
import type { RoundIds } from '../contracts/ids.js';
import { scalingSteps } from './activity-options.js';

/**
 * Observes a change: takes as many stability scores as must pass, evenly over the soak, until there is a verdict.
 * @param ids.round 0 for the change itself, 1 for its rollback.
 */
export async function soak(ids: RoundIds, { seconds, samples }: AssessedNeeds['soak']): Promise<VerifiedStability> {
  const sinceMs = Date.now();
  for (let taken = 1; ; taken += 1) {
    const sample = `${taken} of ${samples}`;
    setCurrentDetails(`**Soaking** for ${seconds} s, ${taken - 1} of ${samples} scores taken`);
    await sleep((seconds * 1_000) / samples, { summary: `soak, until score ${sample}` });
    const verified = await scalingSteps(`score ${sample}`).verifyStability({
      ...ids,
      sinceMs,
      isLastSample: taken >= samples,
    });
    if (verified.state !== 'waiting') return verified;
  }
}
