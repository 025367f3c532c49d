-- Stores messages and their deliveries. Every message, of agents and of the manager, is created here.
--
-- new_messages: JSON array of {id, source, kind, to, type, clusterId, epoch, clusterEpochs, topic, partitionKey,
--   correlationId, replyTo, operationId, hash, ttlSeconds, matched, single, deadLetter: {reason, detail}, retain}. `matched`
--   is the number of recipients. `single` rejects the message when its recipient's inbox is full; otherwise each copy that
--   finds no room becomes a dead letter. `deadLetter` says why there are no recipients.
-- bodies: the data of each message. Apart from the rest and as text, so that PostgreSQL does not parse it.
-- recipient_messages, recipient_agents, recipient_vias: one element for each recipient of each message, in the order of
--   messages: index into new_messages from 0, agent id, how it was found. Columns, because they are many.
-- epochs: JSON object, the epoch of the routing table that was used, by cluster.
-- inbox_limit: open deliveries that an inbox holds at most; null for no limit.
--
-- Returns nothing when every message was delivered to all its recipients. Otherwise one row for each message, by its index
-- from 0: accepted, duplicate (the same id, source and hash was accepted before), conflict (with another hash) or full
-- (rejected). A single row with the index -1 and `stale` when another routing table is in force: nothing was stored.
--
-- Rows are found by key only: the statistics of a table that is new or was just emptied would suggest to read all of it.
-- Locks, always in this order: routing tables (shared), messages by id, inboxes by number, topics (key share). The inboxes
-- come late because senders to one inbox wait for each other until the commit: the bodies are written before.
-- Tests: test/stores/communication/accept-messages.test.ts, model.test.ts
create or replace function accept_messages(new_messages jsonb, bodies text[], recipient_messages integer[],
  recipient_agents text[], recipient_vias text[], epochs jsonb, inbox_limit integer)
returns table (message_index integer, outcome text, matched integer) language plpgsql set enable_seqscan = off as $$
#variable_conflict use_column
declare
  accepted_at timestamptz;
  message_nos bigint[];
  copies message_copy[];
  delivered integer;
begin
  if epochs <> '{}' and not lock_routing_tables(epochs) then
    return query select -1, 'stale', 0;
    return;
  end if;
  accepted_at := clock_timestamp();
  message_nos := insert_messages(new_messages, bodies, accepted_at);
  copies := place_copies(new_messages, message_nos, recipient_messages, recipient_agents, recipient_vias, inbox_limit);

  insert into deliveries (inbox_no, sequence, message_no, via, partition_key, expires_at, accepted_at)
  select c.inbox_no, c.sequence, c.message_no, c.via, c.partition_key,
    accepted_at + make_interval(secs => c.ttl_seconds), accepted_at
  from unnest(copies) c where c.has_room;
  get diagnostics delivered = row_count;
  update inboxes i set next_sequence = c.next_sequence
  from (select c.inbox_no, max(c.sequence) + 1 as next_sequence from unnest(copies) c where c.has_room group by c.inbox_no) c
  where i.no = c.inbox_no;

  if delivered < cardinality(copies) then perform dead_letter_undelivered(copies, inbox_limit); end if;
  if new_messages @? '$[*] ? (exists (@.deadLetter) || @.retain == true)' then
    perform keep_unrouted_messages(new_messages, message_nos);
  end if;
  if delivered < cardinality(copies) or array_position(message_nos, null) is not null then
    return query
    select m.ordinality::integer - 1,
      case when stored.no is null then 'full'
        when stored.no = message_nos[m.ordinality] then 'accepted'
        when stored.body_hash <> decode(m.hash, 'hex') then 'conflict' else 'duplicate' end,
      coalesce(stored.matched, 0)
    from rows from (jsonb_to_recordset(new_messages) as (id text, source text, hash text)) with ordinality m
    left join messages stored on stored.id = m.id and stored.source = m.source;
  end if;
end $$;
