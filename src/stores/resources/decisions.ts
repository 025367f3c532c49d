import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import type { ResourcesDb } from './schema.js';

/** A decision about a cluster's size, with everything it followed from. */
export interface NewDecision {
  /** `dec_…` */
  readonly id: string;
  readonly clusterId: string;
  readonly operationId: string | null;
  /** 0, or how often the operation decided before. */
  readonly round: number;
  readonly atMs: number;
  /** As it was decided, and what it was decided on: JSON. */
  readonly decision: unknown;
  readonly facts: unknown;
  /** The decision as a person reads it. */
  readonly sentence: string;
}

export interface DecisionRow extends Omit<NewDecision, 'atMs'> {
  readonly no: number;
  readonly at: Date;
  /** What became of it; null while that is open. */
  readonly outcome: string | null;
  readonly outcomeDetail: unknown;
}

const columns = sql<DecisionRow>`
  d.no, d.id, d.cluster_id as "clusterId", d.operation_id as "operationId", d.round, d.at, d.decision, d.facts, d.sentence,
  d.outcome, d.outcome_detail as "outcomeDetail"`;

/** Writes a decision once: the same id again changes nothing. @returns the one that is written. */
export async function saveDecision(db: ResourcesDb, decision: NewDecision): Promise<DecisionRow> {
  const { rows } = await sql<DecisionRow>`
    insert into decisions as d (id, cluster_id, operation_id, round, at, decision, facts, sentence)
    values (${decision.id}, ${decision.clusterId}, ${decision.operationId}, ${decision.round},
      ${new Date(decision.atMs)}, ${JSON.stringify(decision.decision)}::jsonb, ${JSON.stringify(decision.facts)}::jsonb,
      ${decision.sentence})
    on conflict (id) do nothing returning ${columns}`.execute(db);
  const saved = rows[0] ?? (await findDecision(db, decision.id));
  if (!saved) throw new Error(`Decision ${decision.id} was not written`);
  return saved;
}

export async function findDecision(db: ResourcesDb, id: string): Promise<DecisionRow | undefined> {
  const { rows } = await sql<DecisionRow>`select ${columns} from decisions d where d.id = ${id}`.execute(db);
  return rows[0];
}

/** Newest first. @param page.before only decisions before this one: the `no` of the last one of the page before. */
export async function listDecisions(
  db: ResourcesDb,
  clusterId: string,
  { before, limit }: { readonly before?: number; readonly limit: number },
): Promise<DecisionRow[]> {
  const { rows } = await sql<DecisionRow>`
    select ${columns} from decisions d where d.cluster_id = ${clusterId}
      and (${before ?? null}::bigint is null or d.no < ${before ?? null})
    order by d.no desc limit ${limit}`.execute(db);
  return rows;
}

/**
 * Says what became of a decision. The first outcome stays.
 * @throws ManagerError `not_found`; `state_conflict` when it had another one.
 */
export async function recordOutcome(
  db: ResourcesDb,
  id: string,
  outcome: string,
  detail: unknown = null,
): Promise<DecisionRow> {
  const { rows } = await sql<DecisionRow>`
    update decisions d set outcome = ${outcome}, outcome_detail = ${JSON.stringify(detail)}::jsonb
    where d.id = ${id} and d.outcome is null returning ${columns}`.execute(db);
  const saved = rows[0] ?? (await findDecision(db, id));
  if (!saved) throw new ManagerError('not_found', `There is no decision "${id}"`);
  if (saved.outcome === outcome) return saved;
  throw new ManagerError(
    'state_conflict',
    `Decision "${id}" already ended as ${saved.outcome}; an outcome is said once, and "${outcome}" changes nothing`,
  );
}

/** Deletes old decisions, a chunk at a time. @returns how many. */
export async function pruneDecisions(
  db: ResourcesDb,
  { keepSeconds, limit }: { readonly keepSeconds: number; readonly limit: number },
): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from decisions where no = any(array(select no from decisions
      where at < now() - make_interval(secs => ${keepSeconds}) order by at limit ${limit}))`.execute(db);
  return Number(numAffectedRows ?? 0n);
}
