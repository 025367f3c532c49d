import { sql } from 'kysely';
import type { FormationSpec } from '../../contracts/formation.js';
import { ManagerError } from '../../contracts/errors.js';
import { isDatabaseError } from '../database.js';
import { columnsOf } from '../expressions.js';
import { withCommit } from '../pipelined-pool.js';
import type { MembershipRow } from './memberships.js';
import type { ClustersDb, Row } from './schema.js';

const columns = [
  'id',
  'name',
  'state',
  'epoch',
  'spec',
  'coordinator',
  'links',
  'operationId',
  'createdAt',
  'activatedAt',
  'endedAt',
] as const;

export type ClusterRow = Row<'clusters', typeof columns>;

export const clusterColumns = columnsOf('c', columns);

export const findCluster = (db: ClustersDb, id: string): Promise<ClusterRow | undefined> =>
  db.selectFrom('clusters').select(columns).where('id', '=', id).executeTakeFirst();

/** A cluster with its reserved and active memberships by agent id, in one statement. */
export async function clusterWithMembers(
  db: ClustersDb,
  id: string,
): Promise<{ readonly cluster: ClusterRow; readonly members: readonly MembershipRow[] } | undefined> {
  const row = await db
    .selectFrom('clusters')
    .select(columns)
    .select(sql<readonly MembershipRow[]>`members_of(id)`.as('members'))
    .where('id', '=', id)
    .executeTakeFirst();
  if (!row) return undefined;
  const { members, ...cluster } = row;
  return { cluster, members };
}

/** Locks the row until the end of the transaction. Every change of membership holds this lock. */
export const lockCluster = (tx: ClustersDb, id: string): Promise<ClusterRow> =>
  tx
    .selectFrom('clusters')
    .select(columns)
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirstOrThrow(() => new ManagerError('not_found', `There is no cluster "${id}"`));

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

/** How many clusters are in each state; a state without any is left out. */
export async function countClusters(db: ClustersDb): Promise<Readonly<Record<string, number>>> {
  const rows = await db
    .selectFrom('clusters')
    .select((query) => ['state', query.fn.countAll<number>().as('count')])
    .groupBy('state')
    .execute();
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}
