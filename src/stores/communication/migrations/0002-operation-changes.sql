-- The topic changes that operations applied, so that a late attempt of a step repeats none of them.
create table operation_changes (
  operation_id text not null,
  place integer not null,
  outcome jsonb,
  changed_at timestamptz not null default now(),
  primary key (operation_id, place)
);
create index operation_changes_by_time on operation_changes using brin (changed_at);
