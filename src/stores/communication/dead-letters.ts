import { sql } from 'kysely';
import type { DeadLetterView, DeadLetterReason } from '../../contracts/messages.js';
import type { CommunicationDb } from './schema.js';

export interface DeadLetterFilter {
  readonly state?: DeadLetterView['state'];
  readonly reason?: DeadLetterReason;
  readonly recipient?: string;
  readonly clusterId?: string;
  /** Only letters older than this one: the number of the last one of the page before. */
  readonly before?: number;
  readonly limit: number;
}

export interface DeadLetterRow extends Omit<DeadLetterView, 'id' | 'at' | 'endedAt'> {
  readonly no: number;
  readonly messageNo: number;
  readonly inboxNo: number | null;
  readonly at: Date;
  readonly endedAt: Date | null;
}

const columns = sql<DeadLetterRow>`
  x.no, x.message_no as "messageNo", x.inbox_no as "inboxNo", m.id as "messageId", m.source, m.type, m.address as "to",
  x.recipient, m.cluster_id as "clusterId", x.reason, x.detail, x.attempts, x.state, x.created_at as at, x.ended_at as "endedAt",
  x.ended_by as "endedBy"`;

export const deadLetterIdOf = (no: number): string => `dead_${no}`;

/** @returns undefined for a text that is no dead letter's id. */
export function deadLetterNoOf(id: string): number | undefined {
  const no = Number(/^dead_([0-9]{1,15})$/.exec(id)?.[1]);
  return Number.isSafeInteger(no) ? no : undefined;
}

/** Newest first. */
export async function listDeadLetters(db: CommunicationDb, filter: DeadLetterFilter): Promise<DeadLetterRow[]> {
  const { rows } = await sql<DeadLetterRow>`
    select ${columns} from dead_letters x join messages m on m.no = x.message_no
    where (${filter.state ?? null}::text is null or x.state = ${filter.state ?? null})
      and (${filter.reason ?? null}::text is null or x.reason = ${filter.reason ?? null})
      and (${filter.recipient ?? null}::text is null or x.recipient = ${filter.recipient ?? null})
      and (${filter.clusterId ?? null}::text is null or m.cluster_id = ${filter.clusterId ?? null})
      and (${filter.before ?? null}::bigint is null or x.no < ${filter.before ?? null})
    order by x.no desc limit ${filter.limit}`.execute(db);
  return rows;
}

export async function findDeadLetter(db: CommunicationDb, no: number): Promise<DeadLetterRow | undefined> {
  const { rows } = await sql<DeadLetterRow>`
    select ${columns} from dead_letters x join messages m on m.no = x.message_no where x.no = ${no}`.execute(db);
  return rows[0];
}

/** Lets a dead letter go. @returns false when it was not dead any more. */
export async function discardDeadLetter(db: CommunicationDb, no: number, by: string): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update dead_letters set state = 'discarded', ended_at = clock_timestamp(), ended_by = ${by}
    where no = ${no} and state = 'dead'`.execute(db);
  return numAffectedRows === 1n;
}

/**
 * Delivers a dead letter once more, to the end of each recipient's queue and with all its tries, and ends the letter in
 * the same transaction, so that it is replayed once however often it is asked for.
 * @param recipients who they are now.
 * @returns how many got it, or undefined when the letter is not dead any more.
 */
export async function replayDeadLetter(
  db: CommunicationDb,
  letter: Pick<DeadLetterRow, 'no' | 'messageNo'>,
  recipients: readonly { readonly agentId: string; readonly via: string }[],
  { by, ttlSeconds }: { readonly by: string; readonly ttlSeconds: number },
): Promise<number | undefined> {
  const { rows } = await sql<{ ended: boolean; given: number }>`
    with boxes as materialized (
      select i.no, i.next_sequence, w.via from unnest(${recipients.map(({ agentId }) => agentId)}::text[],
        ${recipients.map(({ via }) => via)}::text[]) as w (agent_id, via)
      join inboxes i on i.agent_id = w.agent_id and i.agent_status <> 'left' order by i.no for update of i
    ), ended as (
      update dead_letters x set state = 'replayed', ended_at = clock_timestamp(), ended_by = ${by}
      where x.no = ${letter.no} and x.state = 'dead' and exists (select 1 from boxes) returning x.no
    ), given as (
      insert into deliveries (inbox_no, sequence, message_no, via, partition_key, expires_at)
      select b.no, b.next_sequence, m.no, b.via, m.partition_key, now() + make_interval(secs => ${ttlSeconds})
      from boxes b, ended, messages m where m.no = ${letter.messageNo} returning inbox_no
    ), advanced as (
      update inboxes i set next_sequence = i.next_sequence + 1 from given g where i.no = g.inbox_no
    )
    select exists (select 1 from ended) as ended, (select count(*) from given) as given`.execute(db);
  return rows[0]?.ended ? rows[0].given : undefined;
}
