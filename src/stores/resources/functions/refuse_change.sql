-- Only retention deletes, by its functions, which leave every sum as it is.
create or replace function refuse_change() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' and current_setting('cluster_manager.retention', true) = 'on' then return null; end if;
  raise exception 'Entries of % are never changed or deleted; add one that says the opposite', tg_table_name
    using errcode = 'restrict_violation', constraint = 'append_only';
end $$;

create or replace trigger append_only before update or delete or truncate on ledger execute function refuse_change();
create or replace trigger append_only before update or delete or truncate on budget_ledger
  execute function refuse_change();
