import { sql, type Kysely } from 'kysely';

/** Whose reservation it is, so that an agent that has left the cluster meanwhile can still say what it spent. */
export const whoReserved = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`alter table reservations add column reserved_by text`.execute(db);
  },
};
