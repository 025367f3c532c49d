-- Makes the ledgers append-only: only the two prune functions may delete, and they leave every sum as it is.
-- Tests: test/stores/resources/ledger.test.ts.
create or replace function refuse_ledger_change() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' and current_setting('cluster_manager.retention', true) = 'on' then return null; end if;
  raise exception 'Entries of % are never changed or deleted; add one that says the opposite', tg_table_name
    using errcode = 'restrict_violation', constraint = 'append_only';
end $$;

create or replace trigger append_only before update or delete or truncate on allocation_ledger
  execute function refuse_ledger_change();
create or replace trigger append_only before update or delete or truncate on budget_ledger
  execute function refuse_ledger_change();
