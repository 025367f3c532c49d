import { sql, type ColumnType, type Kysely, type RawBuilder } from 'kysely';

/** A jsonb column: its content is written as text, and read parsed. */
export type Json<Content> = ColumnType<Content, string | RawBuilder<Content>, string | RawBuilder<Content>>;

export const json = <Content>(content: Content): RawBuilder<Content> => sql<Content>`${JSON.stringify(content)}::jsonb`;

/** The database's clock: times of different processes are compared by it only. */
export const now = sql<Date>`clock_timestamp()`;

export const secondsFromNow = (seconds: number): RawBuilder<Date> =>
  sql<Date>`clock_timestamp() + make_interval(secs => ${seconds})`;

export const secondsAgo = (seconds: number): RawBuilder<Date> =>
  sql<Date>`clock_timestamp() - make_interval(secs => ${seconds})`;

export interface Retention {
  readonly keepSeconds: number;
  /** Rows deleted at most: a backlog is deleted in several calls, so that none of them blocks others for long. */
  readonly limit: number;
}

/** Deletes rows of which `column` is past its retention. @returns how many; `limit` means that there may be more. */
export async function deletePast<Schema>(
  db: Kysely<Schema>,
  table: keyof Schema & string,
  column: string,
  { keepSeconds, limit }: Retention,
): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from ${sql.table(table)} where ctid = any(array(select ctid from ${sql.table(table)}
      where ${sql.ref(column)} < ${secondsAgo(keepSeconds)} limit ${limit}))`.execute(db);
  return Number(numAffectedRows ?? 0n);
}

/** The columns of a raw statement, from the list that the builder selects by: `o.id, o.cluster_id`. */
export const columnsOf = (alias: string, columns: readonly string[]): RawBuilder<unknown> =>
  sql.raw(
    columns.map((name) => `${alias}.${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`).join(', '),
  );
