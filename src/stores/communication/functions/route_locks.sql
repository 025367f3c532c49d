-- Who routes by a cluster's table shares a lock with all who do, and who changes the table waits for them. A lock of
-- its own, not the row's: those who share a row let no one in between who waits to change it. There are 256 of them,
-- so that a message to thousands of clusters holds no more.
create or replace function route_locks() returns integer immutable language sql as 'select 7311421';
