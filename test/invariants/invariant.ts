import { sql, type Kysely } from 'kysely';
import type { ClustersDb } from '../../src/stores/clusters/index.js';
import type { CommunicationDb } from '../../src/stores/communication/index.js';
import type { ResourcesDb } from '../../src/stores/resources/index.js';

export interface Stores {
  readonly clusters: ClustersDb;
  readonly communication: CommunicationDb;
  readonly resources: ResourcesDb;
}

/** A sentence about the stored data that is true, told as the search for what contradicts it. */
export interface Invariant {
  readonly name: string;
  /** `always`: at every instant. `quiet`: once no operation is under way any more. */
  readonly holds: 'always' | 'quiet';
  /** The rows that contradict it; none when it holds. */
  readonly contradictions: (stores: Stores) => Promise<readonly object[]>;
}

/** An invariant within one database: one statement, so one snapshot, even while others write. */
export const inDatabase =
  (database: keyof Stores) =>
  (holds: Invariant['holds'], name: string, query: string): Invariant => ({
    name,
    holds,
    contradictions: async (stores) => {
      const { rows } = await sql.raw<object>(query).execute(stores[database] as Kysely<unknown>);
      return rows;
    },
  });
