-- Inserts messages that are not stored yet. A step of accept_messages, which describes the parameters.
--
-- Returns the number of each message; null where one of the same id and source was stored before.
--
-- Locks: messages in order of id, so that two calls with the same ids do not deadlock.
-- Tests: test/stores/communication/accept-messages.test.ts
create or replace function insert_messages(new_messages jsonb, bodies text[], accepted_at timestamptz)
returns bigint[] language plpgsql as $$
declare
  message_nos bigint[] := array(select nextval('messages_no_seq') from generate_series(1, cardinality(bodies)));
  inserted integer;
begin
  insert into messages (no, id, source, kind, address, type, cluster_id, epoch, cluster_epochs, topic, partition_key,
    correlation_id, reply_to, data, body_hash, matched, operation_id, time, expires_at)
  overriding system value
  select message_nos[n.place], m ->> 'id', m ->> 'source', m ->> 'kind', m -> 'to', m ->> 'type', m ->> 'clusterId',
    (m ->> 'epoch')::integer, m -> 'clusterEpochs', m ->> 'topic', m ->> 'partitionKey', m ->> 'correlationId',
    m ->> 'replyTo', bodies[n.place], decode(m ->> 'hash', 'hex'), (m ->> 'matched')::integer, m ->> 'operationId',
    accepted_at, accepted_at + make_interval(secs => (m ->> 'ttlSeconds')::double precision)
  from jsonb_array_elements(new_messages) with ordinality as n (m, place)
  order by m ->> 'id'
  on conflict on constraint messages_once do nothing;
  get diagnostics inserted = row_count;
  if inserted < cardinality(message_nos) then
    message_nos := array(select m.no from unnest(message_nos) with ordinality as given (no, place)
      left join messages m on m.no = given.no order by given.place);
  end if;
  return message_nos;
end $$;
