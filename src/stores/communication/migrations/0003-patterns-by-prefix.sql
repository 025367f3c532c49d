-- In byte order, so that the patterns below a prefix are one range, whatever the collation of the database.
create index subscriptions_by_pattern_prefix on subscriptions (pattern collate "C");
drop index subscriptions_by_pattern;
