import { sql, type ColumnType, type QueryExecutorProvider, type RawBuilder } from 'kysely';

/** A jsonb column: its content is written as text, and read parsed. */
export type Json<Content> = ColumnType<Content, string | RawBuilder<Content>, string | RawBuilder<Content>>;

export const json = <Content>(content: Content): RawBuilder<Content> => sql<Content>`${JSON.stringify(content)}::jsonb`;

/** The database's clock: times of different processes are compared by it only. */
export const now = sql<Date>`clock_timestamp()`;

export const secondsFromNow = (seconds: number): RawBuilder<Date> =>
  sql<Date>`clock_timestamp() + make_interval(secs => ${seconds})`;

/** By the start of the transaction: unlike the clock it is one value for a statement, so that indexes can be used. */
export const secondsAgo = (seconds: number): RawBuilder<Date> => sql<Date>`now() - make_interval(secs => ${seconds})`;

/** For conditions like `column = any(...)`: one statement for lists of any length, the empty one, too. */
export const anyOf = (texts: readonly string[]): RawBuilder<string> => sql<string>`any(${texts}::text[])`;

type Query<Answer> = (text: TemplateStringsArray, ...values: readonly unknown[]) => Promise<Answer>;

/** The rows of a raw statement: queryRows<Row>(db)`select ...`. */
export const queryRows =
  <Row>(db: QueryExecutorProvider): Query<Row[]> =>
  async (text, ...values) =>
    (await sql<Row>(text, ...values).execute(db)).rows;

/** The first row of a raw statement, or undefined. */
export const queryRow =
  <Row>(db: QueryExecutorProvider): Query<Row | undefined> =>
  async (text, ...values) =>
    (await sql<Row>(text, ...values).execute(db)).rows[0];

/** The first column of a raw statement, row by row. */
export const queryValues =
  <Value>(db: QueryExecutorProvider): Query<Value[]> =>
  async (text, ...values) =>
    (await queryRows<Readonly<Record<string, Value>>>(db)(text, ...values)).map(
      (row) => Object.values(row)[0] as Value,
    );

/** The first column of the first row of a raw statement, or undefined. */
export const queryValue =
  <Value>(db: QueryExecutorProvider): Query<Value | undefined> =>
  async (text, ...values) =>
    (await queryValues<Value>(db)(text, ...values))[0];

/** How many rows a raw statement inserts, updates or deletes. */
export const countChanged =
  (db: QueryExecutorProvider): Query<number> =>
  async (text, ...values) =>
    Number((await sql(text, ...values).execute(db)).numAffectedRows ?? 0n);

/** The conditions `column = value` for those values that are given, after `where`: `and state = 'open'`. */
export const andEqual = (values: Readonly<Record<string, unknown>>): RawBuilder<unknown> =>
  sql.join(
    Object.entries(values).map(([column, value]) =>
      value === undefined ? sql`` : sql`and ${sql.ref(column)} = ${value}`,
    ),
    sql` `,
  );

/** A page of rows, newest first. @param page.after the `no` of the last row of the page before. */
export const newestRows = <Row>(
  db: QueryExecutorProvider,
  table: string,
  equal: Readonly<Record<string, unknown>>,
  { after, limit }: { readonly after?: number | undefined; readonly limit: number },
): Promise<Row[]> => queryRows<Row>(db)`
  select * from ${sql.table(table)} where true ${andEqual(equal)} ${after === undefined ? sql`` : sql`and no < ${after}`}
  order by no desc limit ${limit}`;

/** How many rows are in each state; a state without any is left out. */
export async function countByState(
  db: QueryExecutorProvider,
  table: string,
): Promise<Readonly<Record<string, number>>> {
  const counts = queryRows<{ state: string; count: number }>(db);
  const rows = await counts`select state, count(*) as count from ${sql.table(table)} group by state`;
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
}

export interface Retention {
  readonly keepSeconds: number;
  /** Rows deleted at most: a backlog is deleted in several calls, so that none of them blocks others for long. */
  readonly limit: number;
}

/** Deletes rows of which `column` is past its retention. @returns how many; `limit` means that there may be more. */
export const deletePast = (
  db: QueryExecutorProvider,
  table: string,
  column: string,
  { keepSeconds, limit }: Retention,
): Promise<number> => countChanged(db)`
  delete from ${sql.table(table)} where ctid = any(array(select ctid from ${sql.table(table)}
    where ${sql.ref(column)} < ${secondsAgo(keepSeconds)} limit ${limit}))`;
