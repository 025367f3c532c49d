-- Chooses the deliveries of an inbox to lease next, oldest first: at most `max_count`, so many that at most `max_leased`
-- are leased, and of one partition key only the oldest that is open. A delivery that is leased or waits for its next
-- attempt blocks its own key and nothing else. A step of lease_deliveries, which holds the lock of the cursor.
--
-- inbox_cursor: where the reader of the inbox is.
-- as_of: the time to compare with.
-- Returns the sequences to lease, those that have had `max_attempts`, and the lowest that is open, null for none.
--
-- Locks: none.
-- Tests: test/stores/communication/lease-deliveries.test.ts, model.test.ts
create or replace function choose_deliveries(inbox_cursor inbox_cursors, as_of timestamptz, max_count integer,
  max_leased integer, max_attempts integer, out chosen bigint[], out exhausted bigint[], out lowest_open bigint)
language plpgsql as $$
declare
  first_new bigint := greatest(inbox_cursor.leased_up_to + 1, inbox_cursor.low_water);
  blocked_keys text[];
  leased integer;
  room integer;
begin
  -- What was leased or passed over before.
  with seen as (
    select d.sequence, d.partition_key, d.available_at <= as_of as is_due, d.expires_at <= as_of as is_expired,
      coalesce(d.lease_expires_at > as_of, false) as is_leased,
      d.attempts >= max_attempts and coalesce(d.lease_expires_at <= as_of, true) as is_exhausted
    from deliveries d
    where d.inbox_no = inbox_cursor.inbox_no and d.sequence >= inbox_cursor.low_water and d.sequence < first_new
  ), ordered as (
    select s.*, min(s.sequence) filter (where s.is_leased or not (s.is_exhausted or s.is_expired))
      over (partition by s.partition_key) as first_of_key
    from seen s
  )
  select count(*) filter (where o.is_leased), min(o.sequence),
    coalesce(array_agg(o.sequence) filter (where o.is_exhausted), '{}'),
    coalesce(array_agg(o.sequence order by o.sequence) filter (where o.is_due
      and not (o.is_leased or o.is_exhausted or o.is_expired)
      and (o.partition_key is null or o.sequence = o.first_of_key)), '{}'),
    coalesce(array_agg(o.partition_key) filter (where o.partition_key is not null and o.sequence = o.first_of_key), '{}')
  into leased, lowest_open, exhausted, chosen, blocked_keys from ordered o;

  room := greatest(0, least(max_count, max_leased - leased));
  chosen := chosen[1:room];
  if cardinality(chosen) < room then
    select chosen || coalesce(array_agg(n.sequence order by n.sequence)
      filter (where n.partition_key is null or n.place_in_key = 1), '{}')
    into chosen from (
      select f.sequence, f.partition_key, row_number() over (partition by f.partition_key order by f.sequence) as place_in_key
      from (
        select d.sequence, d.partition_key from deliveries d
        -- Expiry as a difference, so that its index is not used: it would be read to its end. The present time, because
        -- this sees deliveries of senders that began after `as_of`: to pass over one of them would break the order.
        where d.inbox_no = inbox_cursor.inbox_no and d.sequence >= first_new and d.expires_at - as_of > interval '0'
          and d.available_at <= clock_timestamp() and (d.partition_key is null or d.partition_key <> all(blocked_keys))
        order by d.sequence limit room - cardinality(chosen)) f) n;
  end if;
  if lowest_open is null then
    select min(d.sequence) into lowest_open from deliveries d
    where d.inbox_no = inbox_cursor.inbox_no and d.sequence >= first_new;
  end if;
end $$;
