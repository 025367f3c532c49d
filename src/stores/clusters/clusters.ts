import { sql } from 'kysely';
import type { ClusterState, ClusterView } from '../../contracts/clusters.js';
import type { FormationSpec } from '../../contracts/formation.js';
import { ManagerError } from '../../contracts/errors.js';
import { isDatabaseError } from '../database.js';
import { andEqual, queryRow, queryRows } from '../expressions.js';
import { isoDates } from '../../contracts/view.js';
import { withCommit } from '../pipelined-pool.js';
import type { MembershipRow } from './memberships.js';
import type { ClustersDb, Row } from './schema.js';

export type ClusterRow = Row<'clusters'>;

const selectCluster = (db: ClustersDb, id: string) => db.selectFrom('clusters').selectAll().where('id', '=', id);

export const findCluster = (db: ClustersDb, id: string): Promise<ClusterRow | undefined> =>
  selectCluster(db, id).executeTakeFirst();

/** @throws ManagerError `not_found`, `state_conflict` for a cluster that is not active. */
export function requireScalable(cluster: ClusterRow | undefined, id: string): asserts cluster {
  if (!cluster) throw new ManagerError('not_found', `Cluster "${id}" does not exist`);
  if (cluster.state === 'active') return;
  throw new ManagerError(
    'state_conflict',
    `Cluster "${id}" is ${cluster.state}; only an active cluster can be scaled` +
      (cluster.state === 'forming' ? `: wait for its operation ${cluster.operationId}` : ''),
  );
}

/** A cluster with its reserved and active memberships by agent id, in one statement. */
export async function clusterWithMembers(
  db: ClustersDb,
  id: string,
): Promise<{ readonly cluster: ClusterRow; readonly members: readonly MembershipRow[] } | undefined> {
  const withMembers = sql<readonly MembershipRow[]>`members_of(id)`.as('members');
  const { members, ...cluster } = (await selectCluster(db, id).select(withMembers).executeTakeFirst()) ?? {};
  return members && { cluster: cluster as ClusterRow, members };
}

/** Locks the row until the end of the transaction. Every change of membership holds this lock. */
export const lockCluster = (tx: ClustersDb, id: string): Promise<ClusterRow> =>
  selectCluster(tx, id)
    .forUpdate()
    .executeTakeFirstOrThrow(() => new ManagerError('not_found', `Cluster "${id}" does not exist`));

type ViewedCluster = Omit<ClusterRow, 'links'> & Pick<ClusterView, 'links' | 'members'>;

const viewedColumns = sql`c.*,
  coalesce((select jsonb_agg(jsonb_build_object('agentId', m.agent_id, 'roles', m.roles, 'state', m.state,
      'joinedAt', to_char(m.joined_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')) order by m.agent_id)
    from memberships m where m.cluster_id = c.id and m.state <> 'released'), '[]'::jsonb) as members`;

export async function clusterView(db: ClustersDb, id: string): Promise<ClusterView | undefined> {
  const row = await queryRow<ViewedCluster>(db)`select ${viewedColumns} from clusters c where c.id = ${id}`;
  return row && toView(row);
}

/** A page of clusters by id. @param page.after the last id of the page before. */
export async function clusterViews(
  db: ClustersDb,
  { state, after = '', limit }: { readonly state?: ClusterState; readonly after?: string; readonly limit: number },
): Promise<ClusterView[]> {
  const rows = await queryRows<ViewedCluster>(db)`
    select ${viewedColumns} from clusters c where c.id > ${after} ${andEqual({ 'c.state': state })}
    order by c.id limit ${limit}`;
  return rows.map(toView);
}

const toView = ({ spec, ...row }: ViewedCluster): ClusterView => ({
  ...isoDates(row),
  size: spec.size,
  requiredCapabilities: [...spec.requiredCapabilities],
  labels: spec.labels,
  stability: { score: null, parts: { a: null, m: null, l: null, d: null, b: null } },
});

/** Writes a new cluster in state `forming`, epoch 0. An id that is another operation's fails the transaction: `isClusterTaken`. */
export async function insertCluster(
  tx: ClustersDb,
  { id, spec, operationId }: { readonly id: string; readonly spec: FormationSpec; readonly operationId: string },
): Promise<void> {
  await sql`${withCommit}
    insert into clusters (id, name, state, epoch, spec, operation_id)
    values (${id}, ${spec.name}, 'forming', 0, ${JSON.stringify(spec)}::jsonb, ${operationId})`.execute(tx);
}

export const isClusterTaken = (error: unknown): boolean => isDatabaseError(error, 'clusters_pkey');

export async function saveLinks(
  tx: ClustersDb,
  clusterId: string,
  links: readonly (readonly [string, string])[],
): Promise<void> {
  await sql`${withCommit} update clusters set links = ${JSON.stringify(links)}::jsonb where id = ${clusterId}`.execute(
    tx,
  );
}
