import { setTimeout as delay } from 'node:timers/promises';
import { membershipInvariants } from '../invariants/clusters-db.js';
import type { Stores } from '../invariants/invariant.js';
import { checkInvariants, type Violation } from '../support/checker.js';

/**
 * Checks the invariants of agents and memberships that hold at every instant repeatedly until it is stopped.
 * @returns a function that stops the sampler and returns the number of samples and the violations.
 */
export function startSampler(
  stores: Stores,
  { everyMs }: { readonly everyMs: number },
): () => Promise<{ readonly samples: number; readonly violations: readonly Violation[] }> {
  let samples = 0;
  let stopped = false;
  const violations: Violation[] = [];
  const sampling = (async () => {
    while (!stopped) {
      violations.push(...(await checkInvariants(stores, { while: 'running', among: membershipInvariants })));
      samples += 1;
      await delay(everyMs);
    }
  })();
  return async () => {
    stopped = true;
    await sampling;
    return { samples, violations };
  };
}
