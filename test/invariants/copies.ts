/**
 * Every delivery of every message, open or ended. A delivery that was created when the message was accepted is as old as
 * the message, to the microsecond; one that was re-addressed, replayed or retained is younger.
 */
export const copies = `(
  select d.inbox_no, d.sequence, d.message_no, d.via, 'open' as state, d.attempts, d.lease_token, d.accepted_at,
    d.first_leased_at, null::timestamptz as ended_at, d.failed_attempts
  from deliveries d
  union all
  select s.inbox_no, s.sequence, s.message_no, s.via, s.outcome, s.attempts, s.lease_token, s.accepted_at,
    s.first_leased_at, s.ended_at, s.failed_attempts
  from delivery_history s)`;

/** The deliveries that were created when their message was accepted. */
export const originals = `(select c.* from ${copies} c join messages m on m.no = c.message_no where c.accepted_at = m.time)`;
