import { countByState, queryRow } from '../expressions.js';
import type { ClustersDb } from './schema.js';

type Counts = Readonly<Record<string, number>>;

const countAgents = (db: ClustersDb) => queryRow<Record<'alive' | 'expired' | 'left', number>>(db)`
  select count(*) filter (where left_at is null and lease_expires_at > now()) as alive,
    count(*) filter (where left_at is null and lease_expires_at <= now()) as expired,
    count(*) filter (where left_at is not null) as left from agents`;

/** How many agents, clusters and operations are in each state. A state of clusters or operations without any is left out. */
export async function countsByState(db: ClustersDb): Promise<{
  readonly agents: Readonly<Record<'alive' | 'expired' | 'left', number>>;
  readonly clusters: Counts;
  readonly operations: Counts;
}> {
  const [agents = { alive: 0, expired: 0, left: 0 }, clusters, operations] = await Promise.all([
    countAgents(db),
    countByState(db, 'clusters'),
    countByState(db, 'operations'),
  ]);
  return { agents, clusters, operations };
}
