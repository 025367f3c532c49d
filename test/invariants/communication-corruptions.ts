import type { JournalEntry } from '../support/journal.js';

export interface Corruption {
  /** The SQL that corrupts the database. */
  readonly by?: string;
  /** Entries that a client did not write, added to its journal. */
  readonly journal?: (journal: readonly JournalEntry[]) => readonly JournalEntry[];
}

const at = '2026-01-01T00:00:00.000Z';
const inbox = (agentId: string): string => `(select no from inboxes where agent_id = '${agentId}')`;
const messageNo = (id: string): string => `(select no from messages where id = '${id}')`;
/** A condition that selects an agent's delivery of a message. */
const copyOf = (id: string, agentId: string): string =>
  `message_no = ${messageNo(id)} and inbox_no = ${inbox(agentId)}`;

const received = (journal: readonly JournalEntry[], agentId: string, messageId: string) => {
  for (const entry of journal) {
    if (entry.what === 'received' && entry.agentId === agentId && entry.messageId === messageId) return entry;
  }
  throw new Error(`${agentId} never received ${messageId}`);
};

/** For each invariant of communication, ways to violate it and no other in the data of `createEveryKindOfDelivery`. */
export const corruptions: Readonly<Record<string, readonly Corruption[]>> = {
  'an inbox numbers its deliveries without gaps': [
    { by: `update inboxes set next_sequence = next_sequence + 1 where agent_id = 'a'` },
    {
      // A gap, while the number of deliveries is right.
      by: `update deliveries set sequence = 5 where ${copyOf('news', 'a')};
           update inboxes set next_sequence = 6 where agent_id = 'a'`,
    },
  ],
  'a delivery is never both open and in the delivery history': [
    {
      by: `insert into delivery_history (inbox_no, sequence, message_no, via, outcome, attempts, accepted_at)
             select inbox_no, sequence, message_no, via, 're_addressed', attempts, accepted_at
             from deliveries where ${copyOf('moved', 'b')}`,
    },
  ],
  'a lease token belongs to one delivery': [
    {
      by: `update deliveries set lease_token = (select lease_token from deliveries where ${copyOf('in-order-1', 'a')})
           where ${copyOf('all', 'd')}`,
    },
  ],
  'a leased delivery has a lease token and an expiry': [
    {
      by: `alter table deliveries drop constraint deliveries_leased_have_a_lease;
           update deliveries set lease_expires_at = null where ${copyOf('all', 'd')}`,
    },
  ],
  'a delivery is attempted at most the configured number of times': [
    { by: `update deliveries set attempts = 6 where ${copyOf('waiting', 'c')}` },
  ],
  'an acked delivery was leased before': [
    { by: `update delivery_history set lease_token = null where ${copyOf('all', 'b')}` },
  ],
  'an agent has at most the configured number of leased deliveries': [
    {
      by: `update deliveries set attempts = 1, lease_token = gen_random_uuid(), lease_expires_at = now() + interval '1 hour',
             first_leased_at = clock_timestamp(), last_leased_at = clock_timestamp() where ${copyOf('in-order-2', 'a')};
           update inbox_cursors set leased_up_to = 2 where inbox_no = ${inbox('a')}`,
    },
  ],
  'an inbox holds at most the configured number of open deliveries': [
    {
      by: `select accept_messages('[{"id": "more", "source": "s", "kind": "agent", "type": "t", "single": true,
             "ttlSeconds": 60, "matched": 1}]', '{1}', '{0}', '{a}', '{agent}', '{}', 1000)`,
    },
  ],
  "no open delivery is below its inbox's low-water mark": [
    { by: `update inbox_cursors set low_water = 4 where inbox_no = ${inbox('a')}` },
  ],
  "no delivery above its inbox's leased-up-to mark was ever leased": [
    { by: `update inbox_cursors set leased_up_to = 0 where inbox_no = ${inbox('a')}` },
    { by: `delete from inbox_cursors where inbox_no = ${inbox('a')}` },
  ],
  'deliveries of one inbox and partition key are first leased in sequence order': [
    {
      // The third delivery is leased before the second.
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
  'a delivery ended as dead exactly when it has a dead letter': [
    { by: `delete from dead_letters where message_no = ${messageNo('dead')}` },
    { by: `update dead_letters set recipient = 'b' where message_no = ${messageNo('dead')}` },
    {
      by: `insert into dead_letters (message_no, inbox_no, sequence, recipient, reason, detail)
             select message_no, inbox_no, sequence, 'c', 'expired', '' from deliveries where ${copyOf('waiting', 'c')}`,
    },
  ],
  'a dead letter that was replayed or discarded records when and by whom': [
    { by: `update dead_letters set ended_by = null where message_no = ${messageNo('replayed')}` },
  ],
  'a message id is stored once per sender': [
    {
      by: `alter table messages drop constraint messages_once;
           insert into messages (id, source, kind, type, data, matched, expires_at)
             values ('news', 'b', 'topic', 't', '1', 0, now())`,
    },
  ],
  'a message has one delivery per recipient, and none after the recipient acked it': [
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
  'every matched recipient of a message has a delivery or a dead letter': [
    { by: `update messages set matched = 2 where id = 'waiting'` },
  ],
  'a message with a single recipient has exactly one delivery or dead letter': [
    { by: `delete from dead_letters where message_no = ${messageNo('stranger')}` },
  ],
  'a broadcast without recipients is a dead letter': [
    { by: `delete from dead_letters where message_no = ${messageNo('nobody')}` },
  ],
  'a broadcast reaches exactly the members of its epoch except its sender': [
    {
      by: `update routing_tables set members = members || '{"agentId": "e", "roles": []}' where cluster_id = 'cl' and epoch = 1`,
    },
    { by: `update routing_tables set members = members - 1 where cluster_id = 'cl' and epoch = 1` },
  ],
  'a re-addressed or replayed message has exactly one new delivery': [
    {
      by: `delete from deliveries where ${copyOf('moved', 'b')}; update inboxes set next_sequence = 2 where agent_id = 'b'`,
    },
    {
      by: `insert into deliveries (inbox_no, sequence, message_no, via, expires_at)
             select inbox_no, 6, message_no, via, expires_at from deliveries where ${copyOf('replayed', 'c')};
           update inboxes set next_sequence = 7 where agent_id = 'c'`,
    },
  ],
  'the manager sends one message of each type per cluster epoch': [
    {
      by: `insert into messages (id, source, kind, type, cluster_id, epoch, data, matched, expires_at)
             select 'again-' || n, 'm', 'manager', 'cluster.joined', 'cl', 1, '1', 0, now() from generate_series(1, 2) n`,
    },
  ],
  "a settled receipt's counts add up, and acks that it counted remain": [
    { by: `update receipts set counts = jsonb_set(counts, '{pending}', '5')` },
    { by: `update receipts set state = 'unmet'` },
    { by: `update receipts set counts = counts || '{"acked": 3, "delivered": 3, "pending": 0}'` },
  ],
  'a receipt has a settling time exactly when it is settled': [{ by: `update receipts set settled_at = null` }],
  'a retained message belongs to a topic with retention': [
    { by: `update topics set retention = '{"keep": "none"}' where name = 'kept'` },
    { by: `update messages set topic = 'loose' where id = 'news'` },
  ],
  'the routed members are those of the current routing table': [
    { by: `delete from routed_members where agent_id = 'a'` },
    { by: `update routed_members set roles = '["chief"]' where agent_id = 'a'` },
    { by: `insert into routing_tables (cluster_id, epoch, members) values ('cl', 3, '[]')` },
  ],
  'the capability index lists exactly the capabilities of the agents that have not left': [
    { by: `delete from capability_inboxes` },
    { by: `update inboxes set agent_status = 'left' where agent_id = 'a'` },
  ],
  'an accepted message is stored with the recipients it was accepted for': [
    {
      by: `delete from dead_letters where message_no = ${messageNo('stranger')}; delete from messages where id = 'stranger'`,
    },
    { journal: () => [{ what: 'sent', at, source: 'sender', id: 'lost', outcome: 'accepted' }] },
    { journal: () => [{ what: 'sent', at, source: 'a', id: 'all', outcome: 'accepted', matched: 2 }] },
  ],
  'a refused message is not stored': [
    { journal: () => [{ what: 'sent', at, source: 'b', id: 'news', outcome: 'refused' }] },
  ],
  "an inbox keeps a sender's messages of one partition key in the order they were sent": [
    {
      by: `update deliveries d set message_no = m.no, accepted_at = m.time from messages m where d.inbox_no = ${inbox('a')}
             and (d.sequence = 2 and m.id = 'in-order-3' or d.sequence = 3 and m.id = 'in-order-2')`,
    },
  ],
  'a delivery is not delivered again after its ack was confirmed': [
    {
      by: `update delivery_history set attempts = 2 where ${copyOf('all', 'b')}`,
      journal: (journal) => [{ ...received(journal, 'b', 'all'), attempt: 2, leaseToken: 'another' }],
    },
  ],
  'a confirmed ack is in the delivery history': [
    { by: `update delivery_history set lease_token = gen_random_uuid() where ${copyOf('all', 'b')}` },
    {
      journal: (journal) => {
        const { agentId, deliveryId, leaseToken } = received(journal, 'd', 'all');
        return [{ what: 'acked', at, agentId, deliveryId, leaseToken, confirmed: true }];
      },
    },
  ],
  "an agent never receives or acks another agent's delivery": [
    { journal: (journal) => [{ ...received(journal, 'a', 'in-order-1'), agentId: 'b' }] },
    {
      journal: (journal) => {
        const { deliveryId, leaseToken } = received(journal, 'b', 'all');
        return [{ what: 'acked', at, agentId: 'a', deliveryId, leaseToken, confirmed: true }];
      },
    },
  ],
  'a received delivery matches the stored message and attempt': [
    { journal: (journal) => [{ ...received(journal, 'a', 'in-order-1'), messageId: 'in-order-2' }] },
    { journal: (journal) => [{ ...received(journal, 'a', 'in-order-1'), attempt: 2 }] },
    {
      journal: (journal) => [
        {
          ...received(journal, 'a', 'in-order-1'),
          deliveryId: received(journal, 'a', 'in-order-1').deliveryId.replace(/_1$/, '_zz'),
        },
      ],
    },
  ],
};
