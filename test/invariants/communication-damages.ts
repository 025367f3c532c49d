import type { JournalEntry } from '../support/journal.js';

export interface Damage {
  /** What is done to the database by hand. */
  readonly by?: string;
  /** What a client is made to say. */
  readonly journal?: (told: readonly JournalEntry[]) => readonly JournalEntry[];
}

const at = '2026-01-01T00:00:00.000Z';
const inbox = (agentId: string): string => `(select no from inboxes where agent_id = '${agentId}')`;
const messageNo = (id: string): string => `(select no from messages where id = '${id}')`;
/** In whose inbox and where the one copy lies. */
const copyOf = (id: string, agentId: string): string =>
  `message_no = ${messageNo(id)} and inbox_no = ${inbox(agentId)}`;

const received = (told: readonly JournalEntry[], agentId: string, messageId: string) => {
  for (const entry of told) {
    if (entry.what === 'received' && entry.agentId === agentId && entry.messageId === messageId) return entry;
  }
  throw new Error(`${agentId} never received ${messageId}`);
};

/** For each invariant of communication, ways to break it and nothing else in `everyKindOfMail`. */
export const damages: Readonly<Record<string, readonly Damage[]>> = {
  'an inbox numbers its deliveries without gaps': [
    { by: `update inboxes set next_sequence = next_sequence + 1 where agent_id = 'a'` },
    {
      // A hole, and as many as there should be.
      by: `update deliveries set sequence = 5 where ${copyOf('news', 'a')};
           update inboxes set next_sequence = 6 where agent_id = 'a'`,
    },
  ],
  'a delivery is open or ended, never both': [
    {
      by: `insert into delivery_history (inbox_no, sequence, message_no, via, outcome, attempts, accepted_at)
             select inbox_no, sequence, message_no, via, 're_addressed', attempts, accepted_at
             from deliveries where ${copyOf('moved', 'b')}`,
    },
  ],
  'a lease belongs to one delivery': [
    {
      by: `update deliveries set lease_token = (select lease_token from deliveries where ${copyOf('in-order-1', 'a')})
           where ${copyOf('all', 'd')}`,
    },
  ],
  'a held delivery has a lease with an end': [
    {
      by: `alter table deliveries drop constraint deliveries_leased_have_a_lease;
           update deliveries set lease_expires_at = null where ${copyOf('all', 'd')}`,
    },
  ],
  'a delivery is handed over no more often than it may be': [
    { by: `update deliveries set attempts = 6 where ${copyOf('waiting', 'c')}` },
  ],
  'nothing is acked that was not handed over': [
    { by: `update delivery_history set lease_token = null where ${copyOf('all', 'b')}` },
  ],
  'an agent holds no more deliveries than it may': [
    {
      by: `update deliveries set attempts = 1, lease_token = gen_random_uuid(), lease_expires_at = now() + interval '1 hour',
             first_leased_at = clock_timestamp(), last_leased_at = clock_timestamp() where ${copyOf('in-order-2', 'a')};
           update inbox_cursors set leased_up_to = 2 where inbox_no = ${inbox('a')}`,
    },
  ],
  'a mailbox holds no more than its bound': [
    {
      by: `select accept_messages('[{"id": "more", "source": "s", "kind": "agent", "type": "t", "single": true,
             "ttlSeconds": 60, "matched": 1}]', '{1}', '{0}', '{a}', '{agent}', '{}', 1000)`,
    },
  ],
  'nothing is open below the mark under which a reader does not look': [
    { by: `update inbox_cursors set low_water = 4 where inbox_no = ${inbox('a')}` },
  ],
  'nothing was handed over above the mark up to which a reader has come': [
    { by: `update inbox_cursors set leased_up_to = 0 where inbox_no = ${inbox('a')}` },
    { by: `delete from inbox_cursors where inbox_no = ${inbox('a')}` },
  ],
  'mail is first handed over in the order of its inbox, of each partition key': [
    {
      // The third before the second.
      by: `insert into delivery_history (inbox_no, sequence, message_no, via, outcome, attempts, lease_token, accepted_at, first_leased_at)
             select inbox_no, sequence, message_no, via, 'acked', 1, gen_random_uuid(), accepted_at, clock_timestamp()
             from deliveries where ${copyOf('in-order-3', 'a')};
           delete from deliveries where ${copyOf('in-order-3', 'a')};
           update inbox_cursors set leased_up_to = 3 where inbox_no = ${inbox('a')}`,
    },
    {
      by: `update delivery_history set first_leased_at = first_leased_at - interval '1 hour' where ${copyOf('dead', 'c')}`,
    },
  ],
  'deliveries that died are dead letters, and no others': [
    { by: `delete from dead_letters where message_no = ${messageNo('dead')}` },
    { by: `update dead_letters set recipient = 'b' where message_no = ${messageNo('dead')}` },
    {
      by: `insert into dead_letters (message_no, inbox_no, sequence, recipient, reason, detail)
             select message_no, inbox_no, sequence, 'c', 'expired', '' from deliveries where ${copyOf('waiting', 'c')}`,
    },
  ],
  'a dead letter that ended was ended by somebody': [
    { by: `update dead_letters set ended_by = null where message_no = ${messageNo('replayed')}` },
  ],
  'a message of a sender is stored once': [
    {
      by: `alter table messages drop constraint messages_once;
           insert into messages (id, source, kind, type, data, matched, expires_at)
             values ('news', 'b', 'topic', 't', '1', 0, now())`,
    },
  ],
  'a message is delivered once to each recipient': [
    {
      by: `insert into deliveries (inbox_no, sequence, message_no, via, accepted_at, expires_at)
             select ${inbox('b')}, 3, no, 'member', time, expires_at from messages where id = 'all';
           update inboxes set next_sequence = 4 where agent_id = 'b';
           update messages set matched = matched + 1 where id = 'all'`,
    },
    {
      by: `insert into deliveries (inbox_no, sequence, message_no, via, expires_at)
             select ${inbox('b')}, 3, no, 'retained', expires_at from messages where id = 'all';
           update inboxes set next_sequence = 4 where agent_id = 'b'`,
    },
    {
      by: `insert into deliveries (inbox_no, sequence, message_no, via, expires_at)
             select inbox_no, 5, message_no, via, expires_at from deliveries where ${copyOf('news', 'a')};
           update inboxes set next_sequence = 6 where agent_id = 'a'`,
    },
  ],
  'every recipient that a message matched has a delivery, or a dead letter says why not': [
    { by: `update messages set matched = 2 where id = 'waiting'` },
  ],
  'a message for one goes to one': [{ by: `delete from dead_letters where message_no = ${messageNo('stranger')}` }],
  'a broadcast that matched nobody is a dead letter': [
    { by: `delete from dead_letters where message_no = ${messageNo('nobody')}` },
  ],
  'a broadcast goes to exactly the members of its epoch but its sender': [
    {
      by: `update routing_tables set members = members || '{"agentId": "e", "roles": []}' where cluster_id = 'cl' and epoch = 1`,
    },
    { by: `update routing_tables set members = members - 1 where cluster_id = 'cl' and epoch = 1` },
  ],
  'what was re-addressed or replayed goes on, once': [
    {
      by: `delete from deliveries where ${copyOf('moved', 'b')}; update inboxes set next_sequence = 2 where agent_id = 'b'`,
    },
    {
      by: `insert into deliveries (inbox_no, sequence, message_no, via, expires_at)
             select inbox_no, 6, message_no, via, expires_at from deliveries where ${copyOf('replayed', 'c')};
           update inboxes set next_sequence = 7 where agent_id = 'c'`,
    },
  ],
  'what is told of an epoch is told once': [
    {
      by: `insert into messages (id, source, kind, type, cluster_id, epoch, data, matched, expires_at)
             select 'again-' || n, 'm', 'manager', 'cluster.joined', 'cl', 1, '1', 0, now() from generate_series(1, 2) n`,
    },
  ],
  'a settled receipt adds up, and what was acked by then stays acked': [
    { by: `update receipts set counts = jsonb_set(counts, '{pending}', '5')` },
    { by: `update receipts set state = 'unmet'` },
    { by: `update receipts set counts = counts || '{"acked": 3, "delivered": 3, "pending": 0}'` },
  ],
  'a receipt is settled at one moment': [{ by: `update receipts set settled_at = null` }],
  'what is retained belongs to a topic that keeps it': [
    { by: `update topics set retention = '{"keep": "none"}' where name = 'kept'` },
    { by: `update messages set topic = 'loose' where id = 'news'` },
  ],
  'the members in force are those of the table in force': [
    { by: `delete from routed_members where agent_id = 'a'` },
    { by: `update routed_members set roles = '["chief"]' where agent_id = 'a'` },
    { by: `insert into routing_tables (cluster_id, epoch, members) values ('cl', 3, '[]')` },
  ],
  'an agent is found by the capabilities it has': [
    { by: `delete from capability_inboxes` },
    { by: `update inboxes set agent_status = 'left' where agent_id = 'a'` },
  ],
  'a message that was accepted is never lost': [
    {
      by: `delete from dead_letters where message_no = ${messageNo('stranger')}; delete from messages where id = 'stranger'`,
    },
    { journal: () => [{ what: 'sent', at, source: 'sender', id: 'lost', outcome: 'accepted' }] },
    { journal: () => [{ what: 'sent', at, source: 'a', id: 'all', outcome: 'accepted', matched: 2 }] },
  ],
  'a message that was refused is not stored': [
    { journal: () => [{ what: 'sent', at, source: 'b', id: 'news', outcome: 'refused' }] },
  ],
  'messages of a sender stand in an inbox in the order they were sent, of each partition key': [
    {
      by: `update deliveries d set message_no = m.no, accepted_at = m.time from messages m where d.inbox_no = ${inbox('a')}
             and (d.sequence = 2 and m.id = 'in-order-3' or d.sequence = 3 and m.id = 'in-order-2')`,
    },
  ],
  'nothing is handed over again after its ack was confirmed': [
    {
      by: `update delivery_history set attempts = 2 where ${copyOf('all', 'b')}`,
      journal: (told) => [{ ...received(told, 'b', 'all'), attempt: 2, leaseToken: 'another' }],
    },
  ],
  'an ack that was confirmed is on record': [
    { by: `update delivery_history set lease_token = gen_random_uuid() where ${copyOf('all', 'b')}` },
    {
      journal: (told) => {
        const { agentId, deliveryId, leaseToken } = received(told, 'd', 'all');
        return [{ what: 'acked', at, agentId, deliveryId, leaseToken, confirmed: true }];
      },
    },
  ],
  'nobody is handed the mail of another agent': [
    { journal: (told) => [{ ...received(told, 'a', 'in-order-1'), agentId: 'b' }] },
    {
      journal: (told) => {
        const { deliveryId, leaseToken } = received(told, 'b', 'all');
        return [{ what: 'acked', at, agentId: 'a', deliveryId, leaseToken, confirmed: true }];
      },
    },
  ],
  'what was handed over is what is on record': [
    { journal: (told) => [{ ...received(told, 'a', 'in-order-1'), messageId: 'in-order-2' }] },
    { journal: (told) => [{ ...received(told, 'a', 'in-order-1'), attempt: 2 }] },
    {
      journal: (told) => [
        {
          ...received(told, 'a', 'in-order-1'),
          deliveryId: received(told, 'a', 'in-order-1').deliveryId.replace(/_1$/, '_zz'),
        },
      ],
    },
  ],
};
