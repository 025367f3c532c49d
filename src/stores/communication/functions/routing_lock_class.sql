-- The first key of the advisory locks that guard routing tables: shared to route by a table, exclusive to replace it.
create or replace function routing_lock_class() returns integer immutable language sql as 'select 7311421';
