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

/** What the checker knows apart from the databases. */
export interface Evidence {
  /** What clients sent, received and acked, as their journals record it. */
  readonly journal: readonly JournalEntry[];
  /** The limits in the manager's settings. */
  readonly bounds: { readonly mailbox: number; readonly maxUnacked: number; readonly tries: number };
}

/** A true statement about the stored data, and a search for rows that violate it. */
export interface Invariant {
  readonly name: string;
  /** `always`: at every instant. `quiet`: once no operation is running or queued. */
  readonly holds: 'always' | 'quiet';
  /** @returns the rows that violate it; none when it holds. */
  readonly findViolations: (stores: Stores, evidence: Evidence) => Promise<readonly object[]>;
}

/** An invariant of one database. One statement reads one snapshot, so concurrent writes cannot disturb it. */
export const inDatabase =
  (database: keyof Stores) =>
  (
    holds: Invariant['holds'],
    name: string,
    query: string | ((evidence: Evidence) => RawBuilder<object>),
  ): Invariant => ({
    name,
    holds,
    findViolations: async (stores, evidence) => {
      const statement = typeof query === 'string' ? sql.raw<object>(query) : query(evidence);
      const { rows } = await statement.execute(stores[database] as Kysely<unknown>);
      return rows;
    },
  });
