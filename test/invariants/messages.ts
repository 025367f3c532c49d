import { copies, originals } from './copies.js';
import { inDatabase, type Invariant } from './invariant.js';

const communication = inDatabase('communication');

/** Dead letters for recipients without a delivery: unknown ones and those with a full inbox. */
const undeliveredLetters = `(select * from dead_letters where inbox_no is null)`;

/** Invariants of messages and of their deliveries. */
export const messageInvariants: readonly Invariant[] = [
  communication(
    'always',
    'a message id is stored once per sender',
    `select id, source, count(*) from messages group by 1, 2 having count(*) > 1`,
  ),
  communication(
    'always',
    'a message has one delivery per recipient, and none after the recipient acked it',
    `select message_no, inbox_no, count(*) from ${originals} o group by 1, 2 having count(*) > 1
     union all
     select message_no, inbox_no, count(*) from ${copies} c where via = 'retained' group by 1, 2 having count(*) > 1
     union all
     -- A recipient that acked it gets no further delivery of it, replayed or re-addressed.
     select c.message_no, c.inbox_no, c.sequence from delivery_history s join ${copies} c using (message_no, inbox_no)
     where s.outcome = 'acked' and c.sequence <> s.sequence and c.accepted_at > s.ended_at`,
  ),
  communication(
    'always',
    'every matched recipient of a message has a delivery or a dead letter',
    `select m.no, m.id, m.matched, coalesce(o.count, 0) as copies, coalesce(x.count, 0) as full
     from messages m left join (select message_no, count(*) from ${originals} o group by 1) o on o.message_no = m.no
     left join (select message_no, count(*) from ${undeliveredLetters} x where reason = 'mailbox_full' group by 1) x
       on x.message_no = m.no
     where m.matched <> coalesce(o.count, 0) + coalesce(x.count, 0)`,
  ),
  communication(
    'always',
    'a message with a single recipient has exactly one delivery or dead letter',
    `select m.no, m.id, m.kind from messages m
     where m.kind in ('agent', 'role', 'capability') and 1 <> (select count(*) from ${originals} o where o.message_no = m.no)
       + (select count(*) from ${undeliveredLetters} x where x.message_no = m.no)`,
  ),
  communication(
    'always',
    'a broadcast without recipients is a dead letter',
    `select m.no, m.id from messages m where m.kind in ('cluster', 'clusters') and m.matched = 0
       and not exists (select 1 from ${undeliveredLetters} x where x.message_no = m.no)`,
  ),
  communication(
    'always',
    'a broadcast reaches exactly the members of its epoch except its sender',
    `with sent as (
       select m.no, m.source, m.cluster_id, m.epoch from messages m
       where m.kind = 'cluster' and m.cluster_id is not null and m.epoch is not null
       union all
       select m.no, m.source, r.key, r.value::integer from messages m, jsonb_each_text(m.cluster_epochs) r where m.kind = 'clusters'
     ), wanted as (
       select distinct s.no, member ->> 'agentId' as agent_id from sent s
       join routing_tables t on t.cluster_id = s.cluster_id and t.epoch = s.epoch, jsonb_array_elements(t.members) member
       where member ->> 'agentId' <> s.source
     ), reached as (
       select o.message_no as no, i.agent_id from ${originals} o join inboxes i on i.no = o.inbox_no
       where o.message_no in (select no from sent)
       union
       select x.message_no, x.recipient from ${undeliveredLetters} x
       where x.message_no in (select no from sent) and x.recipient is not null
     )
     (select *, 'not reached' as what from wanted except select *, 'not reached' from reached)
     union all (select *, 'not a member' from reached except select *, 'not a member' from wanted)`,
  ),
  communication(
    'always',
    'a re-addressed or replayed message has exactly one new delivery',
    `with repeated as (
       select c.message_no, count(*) from ${copies} c join messages m on m.no = c.message_no
       where c.accepted_at <> m.time and c.via <> 'retained' group by 1
     ), moved as (
       select message_no, count(*) from delivery_history where outcome = 're_addressed' group by 1
     ), replayed as (
       select x.message_no, count(*), bool_or(x.recipient is null) as may_be_many, bool_or(s.via = 'retained') as was_retained
       from dead_letters x left join delivery_history s using (inbox_no, sequence) where x.state = 'replayed' group by 1
     )
     select message_no, l.count as repeated, m.count as moved, r.count as replayed
     from repeated l full join moved m using (message_no) full join replayed r using (message_no)
     where r.was_retained is not true and case when r.may_be_many
       then coalesce(l.count, 0) < coalesce(m.count, 0) + r.count
       else coalesce(l.count, 0) <> coalesce(m.count, 0) + coalesce(r.count, 0) end`,
  ),
  communication(
    'always',
    'the manager sends one message of each type per cluster epoch',
    `select cluster_id, epoch, type, count(*) from messages
     where kind = 'manager' and type in ('cluster.joined', 'cluster.changed') group by 1, 2, 3 having count(*) > 1`,
  ),
  communication(
    'always',
    "a settled receipt's counts add up, and acks that it counted remain",
    `with settled as (
       select r.message_no, r.require, r.state, (r.counts ->> 'matched')::integer as matched,
         (r.counts ->> 'delivered')::integer as delivered, (r.counts ->> 'acked')::integer as acked,
         (r.counts ->> 'dead')::integer as dead, (r.counts ->> 'left')::integer as gone,
         (r.counts ->> 'pending')::integer as pending
       from receipts r where r.state <> 'open'
     ), judged as (
       select t.*, case t.require when 'none' then 0 when 'any' then 1
         when 'quorum' then (t.matched - t.gone) / 2 + 1 else greatest(1, t.matched - t.gone) end as needed,
         (select count(*) from delivery_history s where s.message_no = t.message_no and s.outcome = 'acked') as acked_now
       from settled t
     )
     select * from judged where matched is null or matched <> acked + dead + gone + pending or delivered > matched
       or delivered < acked or acked_now < acked or (state = 'met') <> (acked >= needed)`,
  ),
  communication(
    'always',
    'a receipt has a settling time exactly when it is settled',
    `select message_no, state from receipts where (state = 'open') <> (settled_at is null)
       or not exists (select 1 from messages m where m.no = message_no)`,
  ),
];
