import { inDatabase, type Invariant } from './invariant.js';

const communication = inDatabase('communication');

export const inCommunication: readonly Invariant[] = [
  communication(
    'always',
    'an inbox numbers its deliveries without gaps',
    `select i.agent_id, i.next_sequence, count(d.id), min(d.sequence), max(d.sequence)
     from inboxes i left join deliveries d on d.recipient_id = i.agent_id group by i.agent_id
     having count(d.id) <> i.next_sequence - 1 or coalesce(max(d.sequence), 0) <> i.next_sequence - 1
       or count(distinct d.sequence) <> count(d.id)`,
  ),
  communication(
    'always',
    'a leased delivery has its one lease',
    `select id from deliveries where state = 'leased' and (lease_token is null or lease_expires_at is null)
     union all select min(id) from deliveries where lease_token is not null group by lease_token having count(*) > 1`,
  ),
  communication(
    'always',
    'a message is delivered once to each recipient',
    `select message_id, recipient_id, count(*) from deliveries group by 1, 2 having count(*) > 1`,
  ),
  communication(
    'always',
    'what is told of an epoch is told once',
    `select cluster_id, epoch, type, count(*) from messages
     where type in ('cluster.joined', 'cluster.changed') group by 1, 2, 3 having count(*) > 1`,
  ),
];
