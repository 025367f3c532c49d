import { sql, type Kysely } from 'kysely';

export const accounts = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`
      -- 'closed' stays for ever: a late attempt of a step cannot open again what its compensation closed.
      create table accounts (
        cluster_id text primary key,
        state text not null check (state in ('open', 'closed')),
        weight double precision not null check (weight > 0),
        per_member jsonb not null default '{}',
        opened_at timestamptz not null default now(),
        closed_at timestamptz
      );
    `.execute(db);
  },
};
