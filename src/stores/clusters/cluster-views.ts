import { sql } from 'kysely';
import type { ClusterState, ClusterView } from '../../contracts/clusters.js';
import { andEqual, queryRow, queryRows } from '../expressions.js';
import type { ClustersDb, Row } from './schema.js';

interface ViewedCluster extends Row<'clusters'> {
  readonly members: ClusterView['members'];
}

const columns = sql`
  c.*, coalesce((select jsonb_agg(jsonb_build_object('agentId', m.agent_id, 'roles', m.roles, 'state', m.state,
      'joinedAt', to_char(m.joined_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) order by m.agent_id)
    from memberships m where m.cluster_id = c.id and m.state <> 'released'), '[]'::jsonb) as members`;

export async function clusterView(db: ClustersDb, id: string): Promise<ClusterView | undefined> {
  const row = await queryRow<ViewedCluster>(db)`select ${columns} from clusters c where c.id = ${id}`;
  return row && toView(row);
}

/** A page of clusters by id. @param page.after the last id of the page before. */
export async function clusterViews(
  db: ClustersDb,
  { state, after = '', limit }: { readonly state?: ClusterState; readonly after?: string; readonly limit: number },
): Promise<ClusterView[]> {
  const rows = await queryRows<ViewedCluster>(db)`
    select ${columns} from clusters c where c.id > ${after} ${andEqual({ 'c.state': state })} order by c.id limit ${limit}`;
  return rows.map(toView);
}

const toView = (row: ViewedCluster): ClusterView => ({
  id: row.id,
  name: row.name,
  state: row.state,
  epoch: row.epoch,
  size: row.spec.size,
  coordinator: row.coordinator,
  members: row.members,
  links: row.links.map(([from, to]) => [from, to]),
  requiredCapabilities: [...row.spec.requiredCapabilities],
  labels: row.spec.labels,
  operationId: row.operationId,
  createdAt: row.createdAt.toISOString(),
  activatedAt: row.activatedAt?.toISOString() ?? null,
  endedAt: row.endedAt?.toISOString() ?? null,
  stability: { score: null, parts: { a: null, m: null, l: null, d: null, b: null } },
});
