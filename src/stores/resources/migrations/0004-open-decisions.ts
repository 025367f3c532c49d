import { sql, type Kysely } from 'kysely';

/** Who wants to grow is asked at each growth: of all decisions that are kept, few are open. */
export const openDecisions = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`create index decisions_open on decisions (cluster_id, at desc) where outcome is null`.execute(db);
  },
};
