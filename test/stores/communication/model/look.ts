import { sql } from 'kysely';
import type { CommunicationDb } from '../../../../src/stores/communication/index.js';
import type { Copy, Letter } from './model.js';

export interface Seen {
  readonly copies: readonly Pick<Copy, 'agentId' | 'sequence' | 'messageId' | 'via' | 'state' | 'attempts'>[];
  readonly letters: readonly Letter[];
}

/** What the store holds for agents and of messages of these names. */
export async function look(db: CommunicationDb, root: string): Promise<Seen> {
  const [copies, letters] = await Promise.all([
    sql<Seen['copies'][number]>`
      select i.agent_id as "agentId", c.sequence, m.id as "messageId", c.via, c.state, c.attempts from (
        select inbox_no, sequence, message_no, via, 'open' as state, attempts from deliveries
        union all select inbox_no, sequence, message_no, via, outcome, attempts from delivery_history) c
      join inboxes i on i.no = c.inbox_no join messages m on m.no = c.message_no
      where i.agent_id like ${`${root}-%`} order by i.agent_id collate "C", c.sequence`.execute(db),
    sql<Letter>`
      select m.id as "messageId", x.recipient, x.reason, x.state from dead_letters x join messages m on m.no = x.message_no
      where m.id like ${`${root}-%`} order by x.no`.execute(db),
  ]);
  return { copies: copies.rows, letters: letters.rows };
}
