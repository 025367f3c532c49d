import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import type { OperationIds } from '../../contracts/ids.js';
import { queryRow, queryRows, queryValue } from '../expressions.js';
import type { MembershipRow } from './memberships.js';
import type { ClustersDb, Row } from './schema.js';
import type { StepKey } from './steps.js';

export type StepRow = Row<'operationSteps'>;

/** The steps of operations, oldest first, by operation id. An operation without any is absent. */
export async function stepsOfMany(
  db: ClustersDb,
  operationIds: readonly string[],
): Promise<ReadonlyMap<string, readonly StepRow[]>> {
  const rows = await queryRows<StepRow>(db)`
    select * from operation_steps where operation_id = any(${operationIds}::text[]) order by ended_at`;
  const byOperation = new Map<string, StepRow[]>();
  for (const row of rows) byOperation.set(row.operationId, [...(byOperation.get(row.operationId) ?? []), row]);
  return byOperation;
}

/** The steps of an operation, oldest first. */
export const stepsOf = async (db: ClustersDb, operationId: string): Promise<readonly StepRow[]> =>
  (await stepsOfMany(db, [operationId])).get(operationId) ?? [];

/** The saved result of a step, or undefined while it is not done. */
export const stepResult = <Result>(
  db: ClustersDb,
  { operationId, step, round }: StepKey,
): Promise<Result | undefined> => queryValue<Result>(db)`
  select result from operation_steps where operation_id = ${operationId} and step = ${step} and round = ${round}`;

/** The newest result of a step. @throws ManagerError `state_conflict` when it has none yet. */
export async function requireStepResult<Result>(
  db: ClustersDb,
  { operationId, step }: Omit<StepKey, 'round'>,
): Promise<Result> {
  const row = await queryRow<{ result: Result }>(db)`
    select result from operation_steps where operation_id = ${operationId} and step = ${step} order by round desc limit 1`;
  if (!row) throw missing(operationId, step);
  return row.result;
}

/**
 * The round in which a queued request is tried next. Agents reserved in it are found by the waiting workflow, which
 * counts its rounds the same way.
 */
export const nextRound = async (db: ClustersDb, operationId: string): Promise<number> =>
  (await queryValue<number>(db)`
    select coalesce(max(round), -1) + 1 from operation_steps
    where operation_id = ${operationId} and step = 'defineCluster'`) ?? 0;

interface ConnectedRow<Plan, Connections, Result> {
  /** The fourth step's own result, when it is done already. */
  readonly done: Result | null;
  readonly plan: Plan | null;
  readonly connections: Connections | null;
  readonly members: readonly MembershipRow[] | null;
}

/**
 * Reads in one statement what the fourth step of a formation starts from.
 * @throws ManagerError `state_conflict` when an earlier step has no result yet.
 */
export async function connectedSoFar<Plan, Connections, Result>(
  db: ClustersDb,
  { operationId, clusterId }: OperationIds,
) {
  const newest = (step: string) => sql`(select result from operation_steps
    where operation_id = ${operationId} and step = ${step} order by round desc limit 1)`;
  const row = await queryRow<ConnectedRow<Plan, Connections, Result>>(db)`
    select ${newest('initializeCluster')} as done, ${newest('identifyAgents')} as plan,
      ${newest('establishConnections')} as connections, members_of(${clusterId}) as members`;
  const { done = null, plan = null, connections = null, members } = row ?? {};
  if (plan === null) throw missing(operationId, 'identifyAgents');
  if (connections === null) throw missing(operationId, 'establishConnections');
  return { done, plan, connections, members: members ?? [] };
}

const missing = (operationId: string, step: string): ManagerError =>
  new ManagerError('state_conflict', `Operation ${operationId} has no result of ${step} yet`);
