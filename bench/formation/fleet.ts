import { sql } from 'kysely';
import type { ClustersDb } from '../../src/stores/clusters/index.js';

/** Twenty capabilities, three for each agent, so that about a seventh of the fleet offers each of them. */
const capabilities = ['plan', 'code', 'review', 'test', 'search', 'translate', 'summarise', 'vision', 'speech', 'maths',
  'law', 'finance', 'biology', 'chemistry', 'physics', 'history', 'design', 'write', 'edit', 'route']; // prettier-ignore

/** Inserts registered agents until there are `count`, with leases that outlast the bench. */
export async function registerFleet(db: ClustersDb, count: number, { maxClusters = 1 } = {}): Promise<void> {
  await sql`
    insert into agents (id, host, capabilities, resources, max_clusters, lease_expires_at, load)
    select 'agent-' || i, 'host-' || (i / 10),
      array[(${capabilities}::text[])[1 + i % 20], (${capabilities}::text[])[1 + (i / 20) % 20], (${capabilities}::text[])[1 + (i * 7) % 20]],
      '{"slots": 1000}', ${maxClusters}, now() + interval '1 day', (i % 10) / 10.0
    from generate_series(1, ${count}) i on conflict do nothing`.execute(db);
  await sql`vacuum analyze agents`.execute(db);
}
