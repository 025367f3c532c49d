import { crossDatabaseInvariants } from '../invariants/across-databases.js';
import { clustersInvariants } from '../invariants/clusters-db.js';
import { communicationInvariants } from '../invariants/communication-db.js';
import { resourcesInvariants } from '../invariants/resources-db.js';
import type { Evidence, Invariant, Stores } from '../invariants/invariant.js';
import { scalingInvariants } from '../invariants/scaling.js';

export const invariants: readonly Invariant[] = [
  ...clustersInvariants,
  ...communicationInvariants,
  ...resourcesInvariants,
  ...crossDatabaseInvariants,
  ...scalingInvariants,
];

export interface Violation {
  readonly name: string;
  readonly rows: readonly object[];
}

/** The settings' defaults. */
const defaultBounds: Evidence['bounds'] = { mailbox: 10_000, maxUnacked: 100, tries: 5 };

/**
 * Searches the three databases and the clients' journals for rows that violate an invariant. Retention must not have
 * deleted rows that the journals mention.
 * @param options.while `quiet`, the default: no operation is running and every invariant must hold. `running`: only
 * invariants that hold at every instant are checked.
 * @param options.among the invariants to check; default all.
 * @param options.journal what clients recorded, read before the call; default nothing.
 * @param options.bounds other than the settings' defaults.
 * @returns one entry for each violated invariant, with the rows that violate it.
 */
export async function checkInvariants(
  stores: Stores,
  options: {
    readonly while?: 'quiet' | 'running';
    readonly among?: readonly Invariant[];
    readonly journal?: Evidence['journal'];
    readonly bounds?: Partial<Evidence['bounds']>;
  } = {},
): Promise<Violation[]> {
  const checked = (options.among ?? invariants).filter(
    (invariant) => options.while !== 'running' || invariant.holds === 'always',
  );
  const evidence: Evidence = { journal: options.journal ?? [], bounds: { ...defaultBounds, ...options.bounds } };
  const found = await Promise.all(
    checked.map(async ({ name, findViolations }) => ({ name, rows: await findViolations(stores, evidence) })),
  );
  return found.filter(({ rows }) => rows.length > 0);
}
