import { sql, type Kysely } from 'kysely';

/** Each step of a request reads the part of its batch that it works on, as text that nobody takes apart before. */
export const batchesInParts = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`
      alter table batches add column messages json not null default '[]', add column broadcasts json not null default '[]';
      update batches set messages = coalesce(parts -> 'messages', '[]')::json,
        broadcasts = coalesce(parts -> 'broadcasts', '[]')::json;
      alter table batches drop column parts;
    `.execute(db);
  },
};
