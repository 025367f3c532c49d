import type { MessageTrace } from '../../contracts/messages.js';
import { queryRows } from '../expressions.js';
import type { DeliveryKey } from './delivery-id.js';
import type { CommunicationDb, Row } from './schema.js';

/** The messages of an id: one of each sender that used it. */
export const findMessages = (db: CommunicationDb, id: string) =>
  db
    .selectFrom('messages')
    .select(['no', 'id', 'source', 'type', 'address as to', 'time', 'expiresAt'])
    .select(['clusterId', 'epoch', 'matched', 'operationId'])
    .where('id', '=', id)
    .orderBy('no')
    .execute();

export type StoredMessage = Awaited<ReturnType<typeof findMessages>>[number];

/** A delivery of a message, open or ended. */
export interface TracedDelivery
  extends DeliveryKey, Pick<Row<'deliveries'>, 'via' | 'attempts' | 'acceptedAt' | 'lastLeasedAt' | 'failedAttempts'> {
  readonly recipient: string;
  readonly state: MessageTrace['deliveries'][number]['state'];
  readonly endedAt: Date | null;
}

export const deliveriesOf = (db: CommunicationDb, messageNo: number, limit: number): Promise<TracedDelivery[]> =>
  queryRows<TracedDelivery>(db)`
    select d.*, i.agent_id as recipient from (
      select inbox_no, sequence, via, attempts, accepted_at, last_leased_at, failed_attempts,
        case when lease_expires_at > now() then 'leased' else 'waiting' end as state, null::timestamptz as ended_at
      from deliveries where message_no = ${messageNo}
      union all
      select inbox_no, sequence, via, attempts, accepted_at, last_leased_at, failed_attempts, outcome, ended_at
      from delivery_history where message_no = ${messageNo}) d
    join inboxes i on i.no = d.inbox_no order by d.accepted_at, i.agent_id limit ${limit}`;

export const deadLettersOf = (db: CommunicationDb, messageNo: number): Promise<Row<'deadLetters'>[]> =>
  db.selectFrom('deadLetters').selectAll().where('messageNo', '=', messageNo).orderBy('no').limit(1000).execute();
