import { sql, type Kysely, type RawBuilder } from 'kysely';
import type { ClustersDb } from '../../src/stores/clusters/index.js';
import type { CommunicationDb } from '../../src/stores/communication/index.js';
import type { ResourcesDb } from '../../src/stores/resources/index.js';
import type { JournalEntry } from '../support/journal.js';

export interface Stores {
  readonly clusters: ClustersDb;
  readonly communication: CommunicationDb;
  readonly resources: ResourcesDb;
}

/** What is known beside the databases. */
export interface Evidence {
  /** What clients sent, received and acked, by their own journals. */
  readonly journal: readonly JournalEntry[];
  /** The bounds that the manager was told to keep. */
  readonly bounds: { readonly mailbox: number; readonly maxUnacked: number; readonly tries: number };
}

/** A sentence about the stored data that is true, told as the search for what contradicts it. */
export interface Invariant {
  readonly name: string;
  /** `always`: at every instant. `quiet`: once no operation is under way any more. */
  readonly holds: 'always' | 'quiet';
  /** The rows that contradict it; none when it holds. */
  readonly contradictions: (stores: Stores, evidence: Evidence) => Promise<readonly object[]>;
}

/** An invariant within one database: one statement, so one snapshot, even while others write. */
export const inDatabase =
  (database: keyof Stores) =>
  (
    holds: Invariant['holds'],
    name: string,
    query: string | ((evidence: Evidence) => RawBuilder<object>),
  ): Invariant => ({
    name,
    holds,
    contradictions: async (stores, evidence) => {
      const statement = typeof query === 'string' ? sql.raw<object>(query) : query(evidence);
      const { rows } = await statement.execute(stores[database] as Kysely<unknown>);
      return rows;
    },
  });
