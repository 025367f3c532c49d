import { sql } from 'kysely';
import type { StepRow } from './operations.js';
import type { ClustersDb } from './schema.js';

/** How many clusters are in each state; a state that none is in is left out. */
export async function countClusters(db: ClustersDb): Promise<Readonly<Record<string, number>>> {
  const { rows } = await sql<{ state: string; count: number }>`
    select state, count(*) as count from clusters group by state`.execute(db);
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}

/** How many operations are in each state; a state that none is in is left out. */
export async function countOperations(db: ClustersDb): Promise<Readonly<Record<string, number>>> {
  const { rows } = await sql<{ state: string; count: number }>`
    select state, count(*) as count from operations group by state`.execute(db);
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}

/** The steps of many operations, oldest first, by operation id: one question for a page of them. */
export async function stepsOfMany(
  db: ClustersDb,
  operationIds: readonly string[],
): Promise<ReadonlyMap<string, readonly StepRow[]>> {
  const { rows } = await sql<StepRow & { operationId: string }>`
    select operation_id as "operationId", step, round, attempt, started_at as "startedAt", ended_at as "endedAt", result
    from operation_steps where operation_id = any(${operationIds}::text[]) order by ended_at`.execute(db);
  const byOperation = new Map<string, StepRow[]>();
  for (const { operationId, ...row } of rows) {
    const steps = byOperation.get(operationId);
    if (steps) steps.push(row);
    else byOperation.set(operationId, [row]);
  }
  return byOperation;
}
