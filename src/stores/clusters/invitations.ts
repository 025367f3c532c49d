import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import type { InvitationAnswer } from '../../contracts/agents.js';
import type { ClustersDb } from './schema.js';

/** Notes that these reserved agents are being asked (again). */
export async function recordInvitations(tx: ClustersDb, membershipIds: readonly number[]): Promise<void> {
  if (membershipIds.length === 0) return;
  await sql`
    update memberships set answer = 'invited', tries = tries + 1, invited_at = clock_timestamp()
    where id = any(${membershipIds}::bigint[]) and state = 'reserved' and answer in ('none', 'invited')`.execute(tx);
}

/**
 * Saves an agent's answer to its invitation. The first answer counts; the same one again is accepted silently.
 * @returns the workflow that waits for it.
 * @throws ManagerError `not_found` when the agent was never invited, `state_conflict` when it answered otherwise or too late.
 */
export async function answerInvitation(
  db: ClustersDb,
  clusterId: string,
  agentId: string,
  { answer, reason }: InvitationAnswer,
): Promise<{ readonly workflowId: string }> {
  const word = answer === 'accept' ? 'accepted' : 'declined';
  const { rows } = await sql<{ workflowId: string }>`
    update memberships m set answer = ${word}, answer_reason = ${reason ?? null}
    from operations o
    where m.cluster_id = ${clusterId} and m.agent_id = ${agentId} and m.state = 'reserved'
      and m.answer in ('invited', ${word}) and o.id = m.operation_id
    returning o.workflow_id as "workflowId"`.execute(db);
  const open = rows[0];
  if (open) return open;
  const { rows: past } = await sql<{ state: string; answer: string }>`
    select state, answer from memberships where cluster_id = ${clusterId} and agent_id = ${agentId}
    order by id desc limit 1`.execute(db);
  if (!past[0]) throw new ManagerError('not_found', `There is no invitation of cluster "${clusterId}" for this agent`);
  throw new ManagerError(
    'state_conflict',
    `The invitation of cluster "${clusterId}" is closed: the membership is ${past[0].state}, the answer "${past[0].answer}"`,
  );
}
