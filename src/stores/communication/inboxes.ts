import { sql } from 'kysely';
import { andEqual, anyOf, json, queryRow, queryRows } from '../expressions.js';
import { parseDeliveryId } from './delivery-id.js';
import type { AgentStatus, CommunicationDb } from './schema.js';

/** A message of the manager itself: its recipients are named, not routed. */
export interface ManagerMessage {
  /** The same id again is the same message: it is not delivered twice. */
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly clusterId: string | null;
  readonly epoch: number | null;
  readonly data: unknown;
}

/** Stores a message and its deliveries, once. Recipients without an inbox are passed over. */
export async function deliver(
  db: CommunicationDb,
  message: ManagerMessage,
  recipients: readonly string[],
): Promise<void> {
  await queryRow(db)`select deliver(${json(message)}, ${recipients}::text[])`;
}

/** Creates the inbox of an agent that has none yet, without capabilities. */
export async function createInbox(db: CommunicationDb, agentId: string): Promise<void> {
  await db
    .insertInto('inboxes')
    .values({ agentId })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Creates the inbox of an agent, or opens the one it had, and lists it under its capabilities. */
export async function openInbox(db: CommunicationDb, agentId: string, capabilities: readonly string[]): Promise<void> {
  await queryRow(db)`
    with opened as (
      insert into inboxes (agent_id, capabilities) values (${agentId}, ${capabilities}::text[])
      on conflict (agent_id) do update
        set agent_status = 'live', lapsed_at = null, capabilities = excluded.capabilities
      returning no
    ), lost as (
      delete from capability_inboxes c using opened o
      where c.inbox_no = o.no and c.capability <> all(${capabilities}::text[])
    )
    insert into capability_inboxes (capability, inbox_no, agent_id)
    select name, o.no, ${agentId} from opened o, unnest(${capabilities}::text[]) name on conflict do nothing`;
}

/** Closes the inbox of an agent that has left: deliveries to it, its subscriptions and its capabilities end. */
export async function closeInbox(db: CommunicationDb, agentId: string): Promise<void> {
  await queryRow(db)`select close_inbox(${agentId})`;
}

/** Copies the status of agents from clusters_db. @returns how many changed. */
export async function setAgentStatus(
  db: CommunicationDb,
  agentIds: readonly string[],
  statuses: readonly AgentStatus[],
): Promise<number> {
  const { numAffectedRows } = await sql`
    update inboxes i set agent_status = w.status, lapsed_at = case when w.status = 'lapsed' then now() end
    from unnest(${agentIds}::text[], ${statuses}::text[]) as w (id, status)
    where i.agent_id = w.id and i.agent_status <> w.status and i.agent_status <> 'left'`.execute(db);
  return Number(numAffectedRows ?? 0n);
}

/** Which of these agents have an inbox that is open, or closed. */
export async function inboxesOf(
  db: CommunicationDb,
  agentIds: readonly string[],
  state: 'open' | 'closed',
): Promise<string[]> {
  const rows = await db
    .selectFrom('inboxes')
    .select('agentId')
    .where('agentId', '=', anyOf(agentIds))
    .where('agentStatus', state === 'open' ? '<>' : '=', 'left')
    .execute();
  return rows.map(({ agentId }) => agentId);
}

export interface InboxLoad {
  readonly agentId: string;
  readonly status: AgentStatus;
  /** Open deliveries. Counting stops at 1,000, which is enough to compare inboxes. */
  readonly open: number;
}

/** Status and load of these agents' inboxes, without closed ones. */
export const inboxLoads = (db: CommunicationDb, agentIds: readonly string[]): Promise<InboxLoad[]> =>
  queryRows<InboxLoad>(db)`
    select i.agent_id, i.agent_status as status, (
      select count(*) from (select from deliveries d where d.inbox_no = i.no limit 1000) counted) as open
    from inboxes i where i.agent_id = any(${agentIds}::text[]) and i.agent_status <> 'left'`;

/** Which of these agents have deliveries that can be leased now. */
export async function agentsWithDueDeliveries(db: CommunicationDb, agentIds: readonly string[]): Promise<string[]> {
  const rows = await queryRows<{ agentId: string }>(db)`
    select i.agent_id from inboxes i left join inbox_cursors c on c.inbox_no = i.no
    where i.agent_id = any(${agentIds}::text[]) and exists (
      select from deliveries d where d.inbox_no = i.no and d.sequence >= coalesce(c.low_water, 1)
        and d.available_at <= now() and (d.lease_expires_at is null or d.lease_expires_at <= now()))`;
  return rows.map(({ agentId }) => agentId);
}

/** Selects the ids of deliveries that are or were in the agent's inbox. A malformed id is in no inbox. */
export async function ownedDeliveries(
  db: CommunicationDb,
  agentId: string,
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set();
  const inbox = await db
    .selectFrom('inboxes')
    .select(['no', 'nextSequence'])
    .where('agentId', '=', agentId)
    .executeTakeFirst();
  return new Set(
    ids.filter((id) => {
      const key = parseDeliveryId(id);
      return key && inbox && key.inboxNo === inbox.no && key.sequence < inbox.nextSequence;
    }),
  );
}

/** Open deliveries of the messages of a cluster, which a drain waits for, or of a topic. */
export async function openDeliveries(
  db: CommunicationDb,
  of: { readonly clusterId: string } | { readonly topic: string },
): Promise<number> {
  const row = await queryRow<{ open: number }>(db)`
    select count(*) as open from deliveries d join messages m on m.no = d.message_no where true ${andEqual(of)}`;
  return row?.open ?? 0;
}

/** Open deliveries of a cluster's messages in the inboxes of some of its agents; without those of the manager itself. */
export async function openDeliveriesOf(
  db: CommunicationDb,
  clusterId: string,
  agentIds: readonly string[],
): Promise<number> {
  const row = await queryRow<{ open: number }>(db)`
    select count(*) as open from deliveries d join messages m on m.no = d.message_no
    where m.cluster_id = ${clusterId} and m.kind <> 'manager'
      and d.inbox_no in (select no from inboxes where agent_id = any(${agentIds}::text[]))`;
  return row?.open ?? 0;
}
