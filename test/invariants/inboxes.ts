import { sql } from 'kysely';
import { copies, originals } from './copies.js';
import { inDatabase, type Invariant } from './invariant.js';

const communication = inDatabase('communication');

/** Invariants of inboxes, of leases on their deliveries and of how deliveries end. */
export const inboxInvariants: readonly Invariant[] = [
  communication(
    'always',
    'an inbox numbers its deliveries without gaps',
    `select i.agent_id, i.next_sequence, count(c.sequence), min(c.sequence), max(c.sequence)
     from inboxes i left join (select distinct inbox_no, sequence from ${copies} c) c on c.inbox_no = i.no
     group by i.agent_id having count(c.sequence) <> i.next_sequence - 1
       or coalesce(max(c.sequence), 0) <> i.next_sequence - 1 or coalesce(min(c.sequence), 1) <> 1`,
  ),
  communication(
    'always',
    'a delivery is never both open and in the delivery history',
    `select inbox_no, d.sequence, s.outcome from deliveries d join delivery_history s using (inbox_no, sequence)`,
  ),
  communication(
    'always',
    'a lease token belongs to one delivery',
    `select lease_token, count(*) from ${copies} c where lease_token is not null group by 1 having count(*) > 1`,
  ),
  communication(
    'always',
    'a leased delivery has a lease token and an expiry',
    `select inbox_no, sequence from deliveries where (lease_token is null) <> (lease_expires_at is null)
       or (lease_token is not null and (attempts = 0 or first_leased_at is null or last_leased_at is null))`,
  ),
  communication(
    'always',
    'a delivery is attempted at most the configured number of times',
    ({ bounds }) => sql`
    select inbox_no, sequence, state, attempts, first_leased_at from ${sql.raw(copies)} c
    where attempts > ${bounds.tries} or (attempts = 0) <> (first_leased_at is null)
      or jsonb_array_length(coalesce(failed_attempts, '[]')) > attempts`,
  ),
  communication(
    'always',
    'an acked delivery was leased before',
    `select inbox_no, sequence from delivery_history where outcome = 'acked' and (attempts = 0 or lease_token is null)`,
  ),
  communication(
    'always',
    'an agent has at most the configured number of leased deliveries',
    ({ bounds }) => sql`
    select inbox_no, count(*) from deliveries where lease_expires_at > clock_timestamp()
    group by inbox_no having count(*) > ${bounds.maxUnacked}`,
  ),
  // The manager's own messages and replayed, re-addressed or retained ones are accepted by a full inbox.
  communication(
    'always',
    'an inbox holds at most the configured number of open deliveries',
    ({ bounds }) => sql`
    select o.inbox_no, count(*) from ${sql.raw(originals)} o join messages m on m.no = o.message_no
    where o.state = 'open' and m.kind <> 'manager' group by o.inbox_no having count(*) > ${bounds.mailbox}`,
  ),
  communication(
    'always',
    "no open delivery is below its inbox's low-water mark",
    `select d.inbox_no, d.sequence, c.low_water from deliveries d join inbox_cursors c using (inbox_no)
     where d.sequence < c.low_water`,
  ),
  communication(
    'always',
    "no delivery above its inbox's leased-up-to mark was ever leased",
    `select d.inbox_no, d.sequence, c.leased_up_to from ${copies} d left join inbox_cursors c using (inbox_no)
     where d.first_leased_at is not null and d.sequence > coalesce(c.leased_up_to, 0)
     union all
     select c.inbox_no, i.next_sequence, c.leased_up_to from inbox_cursors c join inboxes i on i.no = c.inbox_no
     where c.leased_up_to > i.next_sequence or c.low_water > i.next_sequence`,
  ),
  communication(
    'always',
    'deliveries of one inbox and partition key are first leased in sequence order',
    `with leased as (
       select c.*, m.partition_key from ${copies} c join messages m on m.no = c.message_no where c.first_leased_at is not null
     ), preceded as (
       select inbox_no, sequence, first_leased_at, max(first_leased_at) over (partition by inbox_no, partition_key
         order by sequence rows between unbounded preceding and 1 preceding) as before from leased
     )
     select inbox_no, sequence, first_leased_at, before from preceded where before > first_leased_at
     union all
     -- Skipped: it was available when a later delivery was leased.
     select d.inbox_no, d.sequence, null, min(l.first_leased_at) from deliveries d
     join leased l on l.inbox_no = d.inbox_no and l.sequence > d.sequence
       and l.partition_key is not distinct from d.partition_key
       and l.first_leased_at > d.available_at and l.first_leased_at < d.expires_at
     where d.first_leased_at is null group by d.inbox_no, d.sequence`,
  ),
  communication(
    'always',
    'a delivery ended as dead exactly when it has a dead letter',
    `select inbox_no, sequence, s.outcome, x.no, x.recipient from delivery_history s
       full join (select * from dead_letters where inbox_no is not null) x using (inbox_no, sequence)
       left join inboxes i on i.no = inbox_no
     where (s.outcome = 'dead') is distinct from (x.no is not null)
       or x.message_no <> s.message_no or x.recipient <> i.agent_id`,
  ),
  communication(
    'always',
    'a dead letter that was replayed or discarded records when and by whom',
    `select no, state, ended_at, ended_by from dead_letters
     where (state = 'dead') <> (ended_at is null) or (state = 'dead') <> (ended_by is null)`,
  ),
];
