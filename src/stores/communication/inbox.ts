import { sql } from 'kysely';
import { retryOnDeadlock } from '../retry-on-deadlock.js';
import type { DeliveryView } from '../../contracts/inbox.js';
import { deliveryIdOf, parseDeliveryId, type DeliveryKey } from './delivery-id.js';
import type { CommunicationDb, AgentStatus } from './schema.js';

/** The manager's own mail: recipients are named, not routed. */
export interface ManagerMessage {
  /** The same id again is the same message: it is not delivered twice. */
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly clusterId: string | null;
  readonly epoch: number | null;
  readonly data: unknown;
}

/** Stores a message and its deliveries, once. Inboxes must exist: who has none is passed over. */
export async function deliver(
  db: CommunicationDb,
  message: ManagerMessage,
  recipients: readonly string[],
): Promise<void> {
  await sql`select deliver(${JSON.stringify(message)}::jsonb, ${recipients}::text[])`.execute(db);
}

/** Makes an inbox for an agent, or opens the one it had, and lists it under its capabilities. */
export async function openInbox(db: CommunicationDb, agentId: string, capabilities: readonly string[]): Promise<void> {
  await sql`
    with box as (
      insert into inboxes (agent_id, capabilities) values (${agentId}, ${capabilities}::text[])
      on conflict (agent_id) do update set agent_status = 'live', lapsed_at = null, capabilities = excluded.capabilities
      returning no
    ), gone as (
      delete from capability_inboxes c using box where c.inbox_no = box.no and c.capability <> all(${capabilities}::text[])
    )
    insert into capability_inboxes (capability, inbox_no, agent_id)
    select name, box.no, ${agentId} from box, unnest(${capabilities}::text[]) name on conflict do nothing`.execute(db);
}

/** Of an agent that has left: nothing is delivered there any more, its subscriptions end, its capabilities are nobody's. */
export async function closeInbox(db: CommunicationDb, agentId: string): Promise<void> {
  await sql`select close_inbox(${agentId})`.execute(db);
}

export interface LeaseRules {
  readonly leaseSeconds: number;
  /** Deliveries that one recipient may hold unacked. */
  readonly maxUnacked: number;
  /** Hand-overs before a delivery becomes a dead letter. */
  readonly tries: number;
  /** Seconds of waiting after the first, second, … failed try; the last repeats. Each is drawn from ±20 %. */
  readonly retryDelaysSeconds: readonly number[];
}

/** A delivery but for its message's data. */
export type DeliveryHead = Omit<DeliveryView, 'message'> & { readonly message: Omit<DeliveryView['message'], 'data'> };

/** A leased delivery with what its latency is measured by. */
export interface Leased {
  readonly delivery: DeliveryHead;
  /** The message's data as JSON text, as it was stored: nobody on its way needs to look inside. */
  readonly data: string;
  readonly clusterId: string | null;
  /** From acceptance to this hand-over, ms by the database's clock; null unless it is the first. */
  readonly handedOverAfterMs: number | null;
}

/**
 * Leases the oldest open deliveries of an agent, in the order they were accepted.
 * @param max deliveries now.
 */
export async function leaseDeliveries(
  db: CommunicationDb,
  agentId: string,
  max: number,
  rules: LeaseRules,
): Promise<Leased[]> {
  const { rows } = await retryOnDeadlock(() =>
    sql<LeasedRow>`
    select inbox_no as "inboxNo", sequence, attempt, lease_token as "leaseToken", lease_expires_us as "leaseExpiresUs",
      waited_us as "waitedUs", id, source, type, time_us as "timeUs", address as "to", cluster_id as "clusterId", epoch,
      topic, correlation_id as "correlationId", reply_to as "replyTo", partition_key as "partitionKey", data
    from lease_deliveries(agent => ${agentId}, max_count => ${max}, lease_seconds => ${rules.leaseSeconds},
      max_leased => ${rules.maxUnacked}, max_attempts => ${rules.tries},
      retry_delays => ${rules.retryDelaysSeconds}::integer[])`.execute(db),
  );
  // All of one call end at one moment.
  const leaseExpiresAt = rows[0] ? textOf(rows[0].leaseExpiresUs) : '';
  return rows.map((row) => ({
    delivery: deliveryOf(row, leaseExpiresAt),
    data: row.data,
    clusterId: row.clusterId,
    handedOverAfterMs: row.attempt === 1 ? row.waitedUs / 1000 : null,
  }));
}

const textOf = (us: number): string => new Date(Math.floor(us / 1000)).toISOString();

interface LeasedRow extends DeliveryKey {
  readonly attempt: number;
  readonly leaseToken: string;
  readonly leaseExpiresUs: number;
  readonly waitedUs: number;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly timeUs: number;
  readonly to: unknown;
  readonly clusterId: string | null;
  readonly epoch: number | null;
  readonly topic: string | null;
  readonly correlationId: string | null;
  readonly replyTo: string | null;
  readonly partitionKey: string | null;
  readonly data: string;
}

const deliveryOf = (row: LeasedRow, leaseExpiresAt: string): DeliveryHead => ({
  id: deliveryIdOf(row),
  leaseToken: row.leaseToken,
  leaseExpiresAt,
  attempt: row.attempt,
  sequence: row.sequence,
  message: {
    id: row.id,
    source: row.source,
    type: row.type,
    time: textOf(row.timeUs),
    datacontenttype: 'application/json',
    to: row.to,
    clusterId: row.clusterId,
    epoch: row.epoch,
    topic: row.topic,
    correlationId: row.correlationId,
    replyTo: row.replyTo,
    partitionKey: row.partitionKey,
  },
});

/** A delivery as its holder names it: by its id and the token of its lease. */
export interface LeaseClaim {
  readonly agentId: string;
  readonly id: string;
  readonly leaseToken: string;
}

export interface Acked {
  readonly clusterId: string | null;
  /** From acceptance to the ack, ms by the database's clock; null when it was acked before. */
  readonly ackedAfterMs: number | null;
}

/**
 * Acknowledges deliveries whose lease nobody else has taken over. An ack that was already confirmed is confirmed again.
 * @returns what each claim, by its place, acked; the others are not the claimant's, or went to another attempt.
 */
export async function ack(db: CommunicationDb, claims: readonly LeaseClaim[]): Promise<ReadonlyMap<number, Acked>> {
  const wanted = claims.map(({ agentId, id, leaseToken }) => ({
    agentId,
    ...parseDeliveryId(id),
    leaseToken: isUuid(leaseToken) ? leaseToken : null,
  }));
  const { rows } = await retryOnDeadlock(() =>
    sql<Acked & { readonly index: number }>`
    select claim_index as index, cluster_id as "clusterId", acked_after_ms as "ackedAfterMs"
    from ack_deliveries(${JSON.stringify(wanted)}::jsonb)`.execute(db),
  );
  return new Map(rows.map(({ index, ...acked }) => [index, acked]));
}

/**
 * Gives a delivery back for another try, or, when it was the last one or none can help, to the dead letters.
 * @returns undefined when the lease is no longer held.
 */
export async function nackDelivery(
  db: CommunicationDb,
  { agentId, id, leaseToken }: LeaseClaim,
  how: { readonly delaySeconds: number | undefined; readonly reason: string | undefined; readonly final: boolean },
  rules: Pick<LeaseRules, 'tries' | 'retryDelaysSeconds'>,
): Promise<'waiting' | 'dead' | undefined> {
  const key = parseDeliveryId(id);
  if (!key || !isUuid(leaseToken)) return undefined;
  const { rows } = await sql<{ buried: number | null }>`
    with returned as (
      update deliveries d set lease_token = null, lease_expires_at = null,
        available_at = clock_timestamp() + make_interval(secs => coalesce(${how.delaySeconds ?? null}::double precision,
          (${rules.retryDelaysSeconds}::integer[])[least(d.attempts, ${rules.retryDelaysSeconds.length})]
            * (0.8 + 0.4 * random()))),
        failed_attempts = coalesce(d.failed_attempts, '[]') || jsonb_build_object('leasedAt', d.last_leased_at,
          'endedAt', clock_timestamp(), 'how', 'nacked', 'reason', ${how.reason ?? null}::text)
      from inboxes i
      where i.no = d.inbox_no and i.agent_id = ${agentId} and d.inbox_no = ${key.inboxNo}
        and d.sequence = ${key.sequence} and d.lease_token = ${leaseToken}::uuid
      returning d.inbox_no, d.sequence, d.attempts
    )
    select case when ${how.final} or attempts >= ${rules.tries} then 1 end as buried from returned`.execute(db);
  const row = rows[0];
  if (!row) return undefined;
  if (row.buried === null) return 'waiting';
  const [reason, detail] = how.final
    ? ['rejected', how.reason ?? 'Its recipient said that no further try can help']
    : [
        'tries_exhausted',
        `Handed over ${rules.tries} times; the last was given back: ${how.reason ?? 'without a reason'}`,
      ];
  await deadLetterDelivery(db, [key], reason, detail);
  return 'dead';
}

/** Ends open deliveries as dead letters. @returns how many were still open. */
export async function deadLetterDelivery(
  db: CommunicationDb,
  deliveries: readonly DeliveryKey[],
  reason: string,
  detail: string,
): Promise<number> {
  const { rows } = await sql<{ buried: number }>`
    select dead_letter_deliveries(${deliveries.map((d) => d.inboxNo)}::integer[], ${deliveries.map((d) => d.sequence)}::bigint[],
      ${reason}, ${detail}) as buried`.execute(db);
  return rows[0]?.buried ?? 0;
}

/** Prolongs a lease that is still held, counted from now. @returns its new end, or undefined. */
export async function extendLease(
  db: CommunicationDb,
  { agentId, id, leaseToken }: LeaseClaim,
  leaseSeconds: number,
): Promise<Date | undefined> {
  const key = parseDeliveryId(id);
  if (!key || !isUuid(leaseToken)) return undefined;
  const { rows } = await sql<{ end: Date }>`
    update deliveries d set lease_expires_at = clock_timestamp() + make_interval(secs => ${leaseSeconds}),
      available_at = clock_timestamp() + make_interval(secs => ${leaseSeconds})
    from inboxes i
    where i.no = d.inbox_no and i.agent_id = ${agentId} and d.inbox_no = ${key.inboxNo} and d.sequence = ${key.sequence}
      and d.lease_token = ${leaseToken}::uuid and d.lease_expires_at > clock_timestamp()
    returning d.lease_expires_at as "end"`.execute(db);
  return rows[0]?.end;
}

/** Whether a delivery is, or was, an agent's own. */
export async function ownsDelivery(db: CommunicationDb, agentId: string, id: string): Promise<boolean> {
  const key = parseDeliveryId(id);
  if (!key) return false;
  const { rows } = await sql<{ owns: boolean }>`
    select exists (select 1 from inboxes where no = ${key.inboxNo} and agent_id = ${agentId}
      and next_sequence > ${key.sequence}) as owns`.execute(db);
  return rows[0]?.owns ?? false;
}

/** Which of these agents have mail that can be handed over now: one question for all who wait. */
export async function agentsWithDueDeliveries(db: CommunicationDb, agentIds: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select i.agent_id as id from inboxes i left join inbox_cursors c on c.inbox_no = i.no
    where i.agent_id = any(${agentIds}::text[]) and exists (
      select 1 from deliveries d where d.inbox_no = i.no and d.sequence >= coalesce(c.low_water, 1)
        and d.available_at <= now() and (d.lease_expires_at is null or d.lease_expires_at <= now()))`.execute(db);
  return rows.map((row) => row.id);
}

/** Unacked deliveries of a cluster's messages: what a drain waits for. */
export async function openDeliveries(db: CommunicationDb, clusterId: string): Promise<number> {
  const { rows } = await sql<{ open: number }>`
    select count(*) as open from deliveries d join messages m on m.no = d.message_no
    where m.cluster_id = ${clusterId}`.execute(db);
  return rows[0]?.open ?? 0;
}

/** Which of these agents' inboxes take mail. */
export async function openInboxesOf(db: CommunicationDb, agentIds: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select agent_id as id from inboxes where agent_id = any(${agentIds}::text[]) and agent_status <> 'left'`.execute(
    db,
  );
  return rows.map(({ id }) => id);
}

/** Sets what is known of agents' standing. @returns how many changed. */
export async function setAgentStatus(
  db: CommunicationDb,
  agentIds: readonly string[],
  statuses: readonly AgentStatus[],
): Promise<number> {
  const { numAffectedRows } = await sql`
    update inboxes i set agent_status = w.status,
      lapsed_at = case when w.status = 'lapsed' then now() end
    from unnest(${agentIds}::text[], ${statuses}::text[]) as w (id, status)
    where i.agent_id = w.id and i.agent_status <> w.status and i.agent_status <> 'left'`.execute(db);
  return Number(numAffectedRows ?? 0n);
}

const isUuid = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);
