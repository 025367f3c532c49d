-- Locks the inboxes of the recipients and gives each copy of a message its sequence there. A step of accept_messages,
-- which describes the parameters.
--
-- message_nos: of the new messages; null for one that is not delivered.
-- Returns a row for each message and recipient. In an inbox, copies that have room come before all that do not, so that
-- the sequences that are used leave no gap.
--
-- Open deliveries are counted only when the sequences that the last count allowed are used up: acknowledgements in the
-- meantime only make more room. Nested loops are off because the planner does not know how many recipients there are.
--
-- Locks: inboxes by number.
-- Tests: test/stores/communication/accept-messages.test.ts
create or replace function place_copies(new_messages jsonb, message_nos bigint[], recipient_messages integer[],
  recipient_agents text[], recipient_vias text[], inbox_limit integer)
returns message_copy[] language plpgsql set enable_nestloop = off as $$
declare
  copies message_copy[];
  crowded integer[];
begin
  for attempt in 1..2 loop
    with wanted as materialized (
      select r.message as place, message_nos[r.message + 1] as message_no, m.single, m."partitionKey" as partition_key,
        m."ttlSeconds" as ttl_seconds, r.agent_id, r.via
      from unnest(recipient_messages, recipient_agents, recipient_vias) as r (message, agent_id, via)
      join rows from (jsonb_to_recordset(new_messages) as (single boolean, "partitionKey" text,
          "ttlSeconds" double precision)) with ordinality m on m.ordinality = r.message + 1
      where message_nos[r.message + 1] is not null
    ), locked as materialized (
      select i.no, i.agent_id, i.agent_status, i.next_sequence,
        case when inbox_limit is null then 9223372036854775807 else i.sequence_limit end as sequence_limit
      from inboxes i where i.agent_id = any(array(select distinct w.agent_id from wanted w)) order by i.no for update
    ), placed as (
      select w.*, l.no as inbox_no, l.sequence_limit,
        l.next_sequence + row_number() over (partition by l.no order by w.place) - 1 as sequence
      from wanted w left join locked l on l.agent_id = w.agent_id and l.agent_status <> 'left'
    )
    select coalesce(array_agg(row(p.message_no, p.single, p.agent_id, p.via, p.partition_key, p.ttl_seconds, p.inbox_no,
        p.sequence, coalesce(p.sequence < p.sequence_limit, false))::message_copy), '{}'),
      array_agg(distinct p.inbox_no) filter (where p.sequence >= p.sequence_limit)
    into copies, crowded from placed p;
    exit when crowded is null or attempt = 2;

    update inboxes i set sequence_limit = i.next_sequence
      + greatest(0, inbox_limit - (select count(*) from deliveries d where d.inbox_no = i.no))
    where i.no = any(crowded);
  end loop;
  return copies;
end $$;
