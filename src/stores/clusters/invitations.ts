import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import type { InvitationAnswer } from '../../contracts/agents.js';
import { queryRow } from '../expressions.js';
import type { ClustersDb, Row } from './schema.js';

/** Records that these reserved agents are invited (again). */
export async function recordInvitations(tx: ClustersDb, membershipIds: readonly number[]): Promise<void> {
  if (membershipIds.length === 0) return;
  await sql`
    update memberships set answer = 'invited', tries = tries + 1, invited_at = clock_timestamp()
    where id = any(${membershipIds}::bigint[]) and state = 'reserved' and answer in ('none', 'invited')`.execute(tx);
}

/**
 * Saves an agent's answer to its invitation. The first answer counts; the same one again changes nothing.
 * @returns the workflow that waits for it.
 * @throws ManagerError `not_found` when the agent was never invited, `state_conflict` when it answered otherwise or too late.
 */
export async function answerInvitation(
  db: ClustersDb,
  clusterId: string,
  agentId: string,
  { answer, reason }: InvitationAnswer,
): Promise<{ readonly workflowId: string }> {
  const saved = answer === 'accept' ? 'accepted' : 'declined';
  const open = await queryRow<{ workflowId: string }>(db)`
    update memberships m set answer = ${saved}, answer_reason = ${reason ?? null}
    from operations o
    where m.cluster_id = ${clusterId} and m.agent_id = ${agentId} and m.state = 'reserved'
      and m.answer in ('invited', ${saved}) and o.id = m.operation_id
    returning o.workflow_id`;
  if (open) return open;
  const past = await queryRow<Row<'memberships'>>(db)`
    select * from memberships where cluster_id = ${clusterId} and agent_id = ${agentId} order by id desc limit 1`;
  if (!past) throw new ManagerError('not_found', `Cluster "${clusterId}" has not invited this agent`);
  throw new ManagerError(
    'state_conflict',
    `The invitation of cluster "${clusterId}" is closed: the membership is ${past.state}, the answer "${past.answer}"`,
  );
}
