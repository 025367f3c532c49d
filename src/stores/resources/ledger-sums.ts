import { sql } from 'kysely';
import type { ResourcesDb } from './schema.js';

export interface LedgerSum {
  readonly pool: string;
  readonly resource: string;
  readonly sum: number;
  readonly entries: number;
}

/** What the ledger adds up to, by pool and resource: the first 1,000. */
export async function ledgerSums(db: ResourcesDb): Promise<LedgerSum[]> {
  const { rows } = await sql<LedgerSum>`
    select pool, resource, sum(delta) as sum, count(*) as entries from ledger group by 1, 2 order by 1, 2 limit 1000
  `.execute(db);
  return rows;
}
