import { sql, type Kysely } from 'kysely';

/** Asks a database for a sign of life. @throws when it gives none. */
export async function ping<Schema>(db: Kysely<Schema>): Promise<void> {
  await sql`select 1`.execute(db);
}
