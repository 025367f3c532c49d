import { sql, type RawBuilder } from 'kysely';
import type { InvitationAnswer } from '../../contracts/agents.js';
import { ManagerError } from '../../contracts/errors.js';
import { queryRow, queryRows, queryValue, queryValues } from '../expressions.js';
import { withCommit } from '../pipelined-pool.js';
import type { ClustersDb, Row } from './schema.js';

/** A reserved or active membership with what is known of its agent. */
export interface MembershipRow
  extends
    Pick<Row<'memberships'>, 'id' | 'agentId' | 'roles' | 'operationId' | 'answer' | 'answerReason' | 'tries'>,
    Pick<Row<'memberships'>, 'chosenLoad'>,
    Pick<Row<'agents'>, 'acceptance' | 'load' | 'host' | 'zone' | 'capabilities' | 'resources' | 'held'>,
    Pick<Row<'agents'>, 'clusterCount' | 'maxClusters' | 'recentFlaps'> {
  readonly state: 'reserved' | 'active';
  /** Seconds since the last invitation, by the database's clock. */
  readonly invitedSecondsAgo: number | null;
  readonly alive: boolean;
}

/** The reserved and active memberships of a cluster, by agent id. */
export const membershipsOf = async (tx: ClustersDb, clusterId: string): Promise<MembershipRow[]> =>
  (await queryValue<MembershipRow[]>(tx)`select members_of(${clusterId})`) ?? [];

/**
 * Reserves agents for a cluster. A trigger counts each membership on its agent's row, whose constraint refuses one too
 * many.
 * @param into.expiresInSeconds after which the formation interval may release them.
 */
export async function reserve(
  tx: ClustersDb,
  into: Pick<Row<'memberships'>, 'clusterId' | 'operationId' | 'resources'> & { readonly expiresInSeconds: number },
  reservations: readonly Pick<Row<'memberships'>, 'agentId' | 'roles'>[],
): Promise<void> {
  if (reservations.length === 0) return;
  await sql`${withCommit}
    insert into memberships (cluster_id, agent_id, state, roles, resources, chosen_load, operation_id, expires_at)
    select ${into.clusterId}, a.id, 'reserved', array(select jsonb_array_elements_text(r -> 'roles')),
      ${JSON.stringify(into.resources)}::jsonb, a.load, ${into.operationId},
      now() + make_interval(secs => ${into.expiresInSeconds})
    from jsonb_array_elements(${JSON.stringify(reservations)}::jsonb) r join agents a on a.id = r ->> 'agentId'
    order by a.id`.execute(tx);
}

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

/** Agents that declined this operation's invitation or never answered it. */
export const unwillingAgents = (tx: ClustersDb, operationId: string): Promise<string[]> => queryValues<string>(tx)`
  select agent_id from memberships where operation_id = ${operationId} and answer in ('declined', 'silent')`;

/** Releases the memberships that fulfil a condition, locked in agent order, so that two releases do not deadlock. @returns their agents. */
export const releaseMemberships = (
  tx: ClustersDb,
  condition: RawBuilder<unknown>,
  lock = sql`for update`,
): Promise<string[]> => queryValues<string>(tx)`
  with held as (select id from memberships where ${condition} order by agent_id ${lock})
  update memberships m set state = 'released', left_at = now() from held where m.id = held.id returning m.agent_id`;

/** Releases the agents that an operation has reserved. */
export const releaseReservations = (tx: ClustersDb, operationId: string): Promise<string[]> =>
  releaseMemberships(tx, sql`operation_id = ${operationId} and state = 'reserved'`);

/** Releases one agent's reservation, as when it declined. */
export async function releaseReservation(
  tx: ClustersDb,
  membershipId: number,
  answer: 'declined' | 'silent',
): Promise<void> {
  await sql`
    update memberships set state = 'released', left_at = now(), answer = ${answer}
    where id = ${membershipId} and state = 'reserved'`.execute(tx);
}

const isExpired = sql`state = 'reserved' and expires_at < now()`;

/**
 * Releases reservations past their expiry: an agent does not stay reserved for ever because a workflow was terminated.
 * @returns how many were released.
 */
export const releaseExpiredReservations = async (db: ClustersDb): Promise<number> =>
  (await releaseMemberships(db, isExpired, sql`for update skip locked limit 1000`)).length;

/** The reservations that releaseExpiredReservations would release now. */
export const expiredReservations = (db: ClustersDb): Promise<Row<'memberships'>[]> =>
  queryRows<Row<'memberships'>>(db)`select * from memberships where ${isExpired} order by agent_id limit 1000`;
