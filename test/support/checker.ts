import { acrossDatabases } from '../invariants/across-databases.js';
import { inClusters } from '../invariants/in-clusters.js';
import { inCommunication } from '../invariants/in-communication.js';
import type { Invariant, Stores } from '../invariants/invariant.js';

export const invariants: readonly Invariant[] = [...inClusters, ...inCommunication, ...acrossDatabases];

export interface Violation {
  readonly name: string;
  readonly rows: readonly object[];
}

/**
 * Searches the three databases for what contradicts the promises of the manager.
 * @param options.while `quiet`, the default: no operation is under way, everything must hold. `running`: only what
 * holds at every instant is looked at.
 * @param options.among these only; default all.
 * @returns one entry for each broken invariant, with the rows that break it; empty when all is well.
 */
export async function checkInvariants(
  stores: Stores,
  options: { readonly while?: 'quiet' | 'running'; readonly among?: readonly Invariant[] } = {},
): Promise<Violation[]> {
  const looked = (options.among ?? invariants).filter(
    (invariant) => options.while !== 'running' || invariant.holds === 'always',
  );
  const found = await Promise.all(
    looked.map(async ({ name, contradictions }) => ({ name, rows: await contradictions(stores) })),
  );
  return found.filter(({ rows }) => rows.length > 0);
}
