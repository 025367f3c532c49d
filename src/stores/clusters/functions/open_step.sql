-- Reads how far a step of an operation is: is_done with its result `done`, is_undone when it was compensated, and the
-- newest result of identifyAgents as `plan`. No row for an unknown operation.
-- locks: whether to lock the operation first. Without a lock, for a step that only checks whether it may still run, there
-- is nothing to commit, so the call does not wait for the disk.
-- Two statements, so that the second sees what was committed while the first waited for the lock.
-- Locks: the operation's row, for update.
-- Tests: test/concurrency/late-attempts.test.ts, test/workflows/formation.test.ts.
drop function if exists open_step(text, text, integer);
create or replace function open_step(operation text, wanted_step text, wanted_round integer, locks boolean default true)
  returns table (id text, kind text, state text, cluster_id text, workflow_id text, request jsonb,
    request_hash text, requested_by text, result jsonb, error jsonb, created_at timestamptz,
    queued_at timestamptz, ended_at timestamptz, is_done boolean, is_undone boolean, done jsonb, plan jsonb)
  language plpgsql as $$
begin
  if locks then perform 1 from operations o where o.id = operation for update; end if;
  return query
    select o.id, o.kind, o.state, o.cluster_id, o.workflow_id, o.request, o.request_hash, o.requested_by,
      o.result, o.error, o.created_at, o.queued_at, o.ended_at, s.step is not null, u.step is not null, s.result,
      (select p.result from operation_steps p where p.operation_id = o.id and p.step = 'identifyAgents'
        order by p.round desc limit 1)
    from operations o
      left join operation_steps s on s.operation_id = o.id and s.step = wanted_step and s.round = wanted_round
      left join operation_steps u on u.operation_id = o.id and u.step = 'undo:' || wanted_step
    where o.id = operation;
end $$;
