import { sql } from 'kysely';
import type { ClusterState, ClusterView } from '../../contracts/clusters.js';
import { clusterColumns, type ClusterRow } from './clusters.js';
import type { ClustersDb } from './schema.js';

interface MemberOfCluster {
  readonly agentId: string;
  readonly roles: readonly string[];
  readonly state: 'reserved' | 'active' | 'leaving';
  readonly joinedAt: string | null;
}

const members = sql<readonly MemberOfCluster[]>`
  coalesce((select jsonb_agg(jsonb_build_object('agentId', m.agent_id, 'roles', m.roles, 'state', m.state,
      'joinedAt', to_char(m.joined_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) order by m.agent_id)
    from memberships m where m.cluster_id = c.id and m.state <> 'released'), '[]'::jsonb) as members`;

export async function clusterView(db: ClustersDb, id: string): Promise<ClusterView | undefined> {
  const { rows } = await sql<ClusterRow & { members: MemberOfCluster[] }>`
    select ${clusterColumns}, ${members} from clusters c where c.id = ${id}`.execute(db);
  return rows[0] && toView(rows[0]);
}

export interface ClusterFilter {
  readonly state?: ClusterState;
  /** Only clusters with ids after this one: the last id of the page before. */
  readonly after?: string;
  readonly limit: number;
}

export async function clusterViews(db: ClustersDb, filter: ClusterFilter): Promise<ClusterView[]> {
  const { rows } = await sql<ClusterRow & { members: MemberOfCluster[] }>`
    select ${clusterColumns}, ${members} from clusters c
    where c.id > ${filter.after ?? ''} and (${filter.state ?? null}::text is null or c.state = ${filter.state ?? null})
    order by c.id limit ${filter.limit}`.execute(db);
  return rows.map(toView);
}

const toView = (row: ClusterRow & { members: MemberOfCluster[] }): ClusterView => ({
  id: row.id,
  name: row.name,
  state: row.state,
  epoch: row.epoch,
  size: row.spec.size,
  coordinator: row.coordinator,
  members: row.members.map((member) => ({ ...member, roles: [...member.roles] })),
  links: row.links.map(([from, to]) => [from, to]),
  requiredCapabilities: [...row.spec.requiredCapabilities],
  labels: row.spec.labels,
  operationId: row.operationId,
  createdAt: row.createdAt.toISOString(),
  activatedAt: row.activatedAt?.toISOString() ?? null,
  endedAt: row.endedAt?.toISOString() ?? null,
  stability: { score: null, parts: { a: null, m: null, l: null, d: null, b: null } },
});
