import { sql } from 'kysely';
import type { ClustersDb } from '../../src/stores/clusters/index.js';

export const clusterName = (index: number): string => `cl_bench-${String(index).padStart(6, '0')}`;
export const memberName = (cluster: number, member: number): string => `m-${cluster}-${member}`;

const spec = (members: number, max: number) => ({
  name: 'bench',
  requiredCapabilities: ['work'],
  roles: [],
  size: { min: 3, desired: members, max },
  resources: {},
  labels: {},
  spread: null,
  weight: 1,
  deadlineSeconds: 120,
  onInsufficient: 'fail',
  queueSeconds: 3600,
});

/** Inserts active clusters with their members into clusters_db only, as a formation would store them there. */
export async function insertClusters(
  db: ClustersDb,
  {
    from,
    to,
    members,
    max = 10,
  }: { readonly from: number; readonly to: number; readonly members: number; readonly max?: number },
): Promise<void> {
  const clusters = sql`generate_series(${from}::integer, ${to}::integer) c`;
  const each = sql`${clusters}, generate_series(1, ${members}::integer) m`;
  const id = sql`'cl_bench-' || lpad(c::text, 6, '0')`;
  await sql`
    insert into agents (id, capabilities, resources, lease_expires_at, registered_at)
    select 'm-' || c || '-' || m, '{work}', '{"slots": 4}', now() + interval '1 day', now() from ${each}`.execute(db);
  await sql`
    insert into clusters (id, name, state, epoch, spec, coordinator, operation_id, activated_at)
    select ${id}, 'bench', 'active', 1, ${JSON.stringify(spec(members, max))}::jsonb, 'm-' || c || '-1', 'op_bench', now()
    from ${clusters}`.execute(db);
  await sql`
    insert into memberships (cluster_id, agent_id, state, operation_id, epoch, joined_at)
    select ${id}, 'm-' || c || '-' || m, 'active', 'op_bench', 1, now() - interval '1 hour' from ${each}`.execute(db);
  for (const table of ['agents', 'clusters', 'memberships']) await sql`analyze ${sql.table(table)}`.execute(db);
}

/** Inserts agents that are members of no cluster. */
export async function insertFreeAgents(db: ClustersDb, count: number): Promise<void> {
  await sql`
    insert into agents (id, capabilities, resources, lease_expires_at, registered_at)
    select 'spare-' || i, '{work}', '{"slots": 4}', now() + interval '1 day', now()
    from generate_series(1, ${count}::integer) i`.execute(db);
}
