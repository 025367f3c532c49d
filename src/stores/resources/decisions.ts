import { ManagerError } from '../../contracts/errors.js';
import { json, newestRows, queryRow, queryRows } from '../expressions.js';
import type { ResourcesDb, Row } from './schema.js';

/** A decision about a cluster's size, with the facts it was made from and what became of it. */
export type DecisionRow = Row<'decisions'>;

export interface NewDecision extends Omit<DecisionRow, 'no' | 'at' | 'outcome' | 'outcomeDetail'> {
  readonly atMs: number;
}

/** Saves a decision once: the same id again changes nothing. @returns the saved one. */
export async function saveDecision(
  db: ResourcesDb,
  { atMs, decision, facts, ...columnsAsGiven }: NewDecision,
): Promise<DecisionRow> {
  const saved =
    (await db
      .insertInto('decisions')
      .values({ ...columnsAsGiven, at: new Date(atMs), decision: json(decision), facts: json(facts) })
      .onConflict((conflict) => conflict.column('id').doNothing())
      .returningAll()
      .executeTakeFirst()) ?? (await findDecision(db, columnsAsGiven.id));
  if (!saved) throw new Error(`Decision ${columnsAsGiven.id} was not written`);
  return saved;
}

export const findDecision = (db: ResourcesDb, id: string): Promise<DecisionRow | undefined> =>
  db.selectFrom('decisions').selectAll().where('id', '=', id).executeTakeFirst();

/** Newest first. @param page.after the `no` of the last decision of the page before. */
export const listDecisions = (
  db: ResourcesDb,
  clusterId: string,
  page: { readonly after?: number; readonly limit: number },
): Promise<DecisionRow[]> => newestRows(db, 'decisions', { clusterId }, page);

/**
 * Records what became of a decision. The first outcome stays.
 * @throws ManagerError `not_found`; `state_conflict` when it has another outcome.
 */
export async function recordOutcome(
  db: ResourcesDb,
  id: string,
  outcome: string,
  detail: unknown = null,
): Promise<DecisionRow> {
  const saved =
    (await queryRow<DecisionRow>(db)`
      update decisions set outcome = ${outcome}, outcome_detail = ${json(detail)}
      where id = ${id} and outcome is null returning *`) ?? (await findDecision(db, id));
  if (!saved) throw new ManagerError('not_found', `Decision "${id}" does not exist`);
  if (saved.outcome === outcome) return saved;
  throw new ManagerError(
    'state_conflict',
    `Decision "${id}" already ended as ${saved.outcome}; the first outcome stays, and "${outcome}" changes nothing`,
  );
}

/** Records that an operation failed, in place of an outcome that it recorded and then did not commit. */
export async function recordFailure(db: ResourcesDb, id: string, detail: unknown): Promise<void> {
  await db
    .updateTable('decisions')
    .set({ outcome: 'failed', outcomeDetail: json(detail) })
    .where('id', '=', id)
    .execute();
}

/** A cluster that wants more members than it has. */
export interface OpenClaim {
  readonly clusterId: string;
  readonly weight: number;
  readonly perMember: Readonly<Record<string, number>>;
  readonly quota: Readonly<Record<string, number>>;
  /** Members in all. */
  readonly desired: number;
  readonly since: Date;
}

/** Decisions to grow that have no outcome yet, with their accounts: the clusters that compete for what is free. */
export const openClaims = (db: ResourcesDb, { limit }: { readonly limit: number }): Promise<OpenClaim[]> =>
  queryRows<OpenClaim>(db)`
    select d.cluster_id, a.weight, a.per_member, (d.decision ->> 'desired')::integer as desired, d.at as since,
      coalesce((select json_object_agg(q.resource, q.quota) from quotas q
        where q.cluster_id = d.cluster_id and q.quota is not null), '{}') as quota
    from (select distinct on (cluster_id) * from decisions
      where outcome is null and operation_id is not null and decision ->> 'direction' = 'out' and at > now() - interval '7 days'
      order by cluster_id, at desc) d
    join accounts a on a.cluster_id = d.cluster_id and a.state = 'open'
    order by d.at limit ${limit}`;
