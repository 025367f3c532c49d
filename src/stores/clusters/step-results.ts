import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import type { MembershipRow } from './memberships.js';
import type { ClustersDb, Row } from './schema.js';

const columns = ['step', 'round', 'attempt', 'startedAt', 'endedAt', 'result'] as const;

export type StepRow = Row<'operationSteps', typeof columns>;

/** The steps of an operation, oldest first. */
export const stepsOf = (db: ClustersDb, operationId: string): Promise<StepRow[]> =>
  db.selectFrom('operationSteps').select(columns).where('operationId', '=', operationId).orderBy('endedAt').execute();

/** The steps of many operations, oldest first, by operation id, in one statement. */
export async function stepsOfMany(
  db: ClustersDb,
  operationIds: readonly string[],
): Promise<ReadonlyMap<string, readonly StepRow[]>> {
  const rows = await db
    .selectFrom('operationSteps')
    .select(['operationId', ...columns])
    .where(sql<boolean>`operation_id = any(${operationIds}::text[])`)
    .orderBy('endedAt')
    .execute();
  const byOperation = new Map<string, StepRow[]>();
  for (const { operationId, ...row } of rows) {
    const steps = byOperation.get(operationId);
    if (steps) steps.push(row);
    else byOperation.set(operationId, [row]);
  }
  return byOperation;
}

interface StepOf {
  readonly operationId: string;
  readonly step: string;
}

/** The saved result of a step, or undefined while it is not done. */
export async function stepResult<Result>(
  db: ClustersDb,
  { operationId, step, round }: StepOf & { readonly round: number },
): Promise<Result | undefined> {
  const row = await db
    .selectFrom('operationSteps')
    .select('result')
    .where('operationId', '=', operationId)
    .where('step', '=', step)
    .where('round', '=', round)
    .executeTakeFirst();
  return row?.result as Result | undefined;
}

/** The newest result of a step. @throws ManagerError `state_conflict` when it has none yet. */
export async function requireStepResult<Result>(db: ClustersDb, { operationId, step }: StepOf): Promise<Result> {
  const { result } = await db
    .selectFrom('operationSteps')
    .select('result')
    .where('operationId', '=', operationId)
    .where('step', '=', step)
    .orderBy('round', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow(() => missing(operationId, step));
  return result as Result;
}

/**
 * The round in which a queued request is tried next. Agents reserved in it are found by the waiting workflow, which
 * counts its rounds the same way.
 */
export async function nextRound(db: ClustersDb, operationId: string): Promise<number> {
  const { rows } = await sql<{ round: number }>`
    select coalesce(max(round), -1) + 1 as round from operation_steps
    where operation_id = ${operationId} and step = 'defineCluster'`.execute(db);
  return rows[0]?.round ?? 0;
}

/** What the fourth step of a formation starts from. */
export interface Connected<Plan, Connections, Result> {
  /** The fourth step's own result, when it is done already. */
  readonly done: Result | null;
  readonly plan: Plan;
  readonly connections: Connections;
  readonly members: readonly MembershipRow[];
}

/** Reads in one statement what the fourth step starts from. @throws ManagerError `state_conflict` when an earlier step has no result yet. */
export async function connectedSoFar<Plan, Connections, Result>(
  db: ClustersDb,
  { operationId, clusterId }: { readonly operationId: string; readonly clusterId: string },
): Promise<Connected<Plan, Connections, Result>> {
  const newest = (step: string) => sql`(select result from operation_steps
    where operation_id = ${operationId} and step = ${step} order by round desc limit 1)`;
  const { rows } = await sql<{
    done: Result | null;
    plan: Plan | null;
    connections: Connections | null;
    members: MembershipRow[];
  }>`
    select ${newest('initializeCluster')} as done, ${newest('identifyAgents')} as plan,
      ${newest('establishConnections')} as connections, members_of(${clusterId}) as members`.execute(db);
  const { done = null, plan = null, connections = null, members = [] } = rows[0] ?? {};
  if (plan === null) throw missing(operationId, 'identifyAgents');
  if (connections === null) throw missing(operationId, 'establishConnections');
  return { done, plan, connections, members };
}

const missing = (operationId: string, step: string): ManagerError =>
  new ManagerError('state_conflict', `Operation ${operationId} has no result of ${step} yet`);
