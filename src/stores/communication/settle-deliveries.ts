import { inTransaction, retryOnDeadlock } from '../database.js';
import { json, now, queryRow, queryRows, secondsFromNow } from '../expressions.js';
import { deadLetterDeliveries } from './dead-letters.js';
import { parseDeliveryId } from './delivery-id.js';
import type { LeaseRules } from './lease-deliveries.js';
import type { CommunicationDb } from './schema.js';

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

const isUuid = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);

/**
 * Acknowledges deliveries whose lease was not taken over. An ack that was already confirmed is confirmed again.
 * @returns the acknowledged claims by index; the others are not the claimant's, or were leased again since.
 */
export async function ackDeliveries(
  db: CommunicationDb,
  claims: readonly LeaseClaim[],
): Promise<ReadonlyMap<number, Acked>> {
  const wanted = claims.map(({ agentId, id, leaseToken }) => ({
    agentId,
    ...parseDeliveryId(id),
    leaseToken: isUuid(leaseToken) ? leaseToken : null,
  }));
  const rows = await retryOnDeadlock(
    () => queryRows<Acked & { readonly claimIndex: number }>(db)`select * from ack_deliveries(${json(wanted)})`,
  );
  return new Map(rows.map(({ claimIndex, ...acked }) => [claimIndex, acked]));
}

/**
 * Ends an attempt without success: the delivery waits for another one, or, after the last or a final one, becomes a dead
 * letter.
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
  // In one transaction: a delivery without a lease could be leased again before it becomes a dead letter.
  return inTransaction(db, async (tx) => {
    const row = await queryRow<{ attempts: number }>(tx)`
    update deliveries d set lease_token = null, lease_expires_at = null,
      available_at = clock_timestamp() + make_interval(secs => coalesce(${how.delaySeconds ?? null}::double precision,
        (${rules.retryDelaysSeconds}::integer[])[least(d.attempts, ${rules.retryDelaysSeconds.length})]
          * (0.8 + 0.4 * random()))),
      failed_attempts = coalesce(d.failed_attempts, '[]') || jsonb_build_object('leasedAt', d.last_leased_at,
        'endedAt', clock_timestamp(), 'how', 'nacked', 'reason', ${how.reason ?? null}::text)
    from inboxes i
    where i.no = d.inbox_no and i.agent_id = ${agentId} and d.inbox_no = ${key.inboxNo}
      and d.sequence = ${key.sequence} and d.lease_token = ${leaseToken}::uuid
    returning d.attempts`;
    if (!row) return undefined;
    if (!how.final && row.attempts < rules.tries) return 'waiting';
    const [reason, detail] = how.final
      ? ['rejected', how.reason ?? 'The recipient rejected it as final']
      : ['tries_exhausted', `Delivered ${rules.tries} times; the last nack says: ${how.reason ?? 'no reason given'}`];
    await deadLetterDeliveries(tx, [key], reason, detail);
    return 'dead';
  });
}

/** Gives up leases whose deliveries did not reach the agent: each is available at once and loses no attempt. */
export async function releaseLeases(
  db: CommunicationDb,
  claims: readonly Omit<LeaseClaim, 'agentId'>[],
): Promise<void> {
  const keys = claims.map(({ id, leaseToken }) => ({ ...parseDeliveryId(id), leaseToken }));
  await queryRow(db)`
    update deliveries d set lease_token = null, lease_expires_at = null, available_at = clock_timestamp(),
      attempts = d.attempts - 1
    from jsonb_to_recordset(${JSON.stringify(keys)}::jsonb) as c ("inboxNo" integer, sequence bigint, "leaseToken" uuid)
    where d.inbox_no = c."inboxNo" and d.sequence = c.sequence and d.lease_token = c."leaseToken"`;
}

/** Extends a lease that is still held, counted from now. @returns its new end, or undefined. */
export async function extendLease(
  db: CommunicationDb,
  { agentId, id, leaseToken }: LeaseClaim,
  leaseSeconds: number,
): Promise<Date | undefined> {
  const key = parseDeliveryId(id);
  if (!key || !isUuid(leaseToken)) return undefined;
  const expiresAt = secondsFromNow(leaseSeconds);
  const extended = await db
    .updateTable('deliveries as d')
    .from('inboxes as i')
    .set({ leaseExpiresAt: expiresAt, availableAt: expiresAt })
    .whereRef('i.no', '=', 'd.inboxNo')
    .where('i.agentId', '=', agentId)
    .where('d.inboxNo', '=', key.inboxNo)
    .where('d.sequence', '=', key.sequence)
    .where('d.leaseToken', '=', leaseToken)
    .where('d.leaseExpiresAt', '>', now)
    .returning('d.leaseExpiresAt')
    .executeTakeFirst();
  return extended?.leaseExpiresAt ?? undefined;
}
