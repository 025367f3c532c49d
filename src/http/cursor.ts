import { z } from 'zod';
import { defined, type Defined } from '../contracts/defined.js';
import { invalidRequest, type ManagerError } from '../contracts/errors.js';

interface PageQuery {
  readonly cursor?: string | undefined;
  readonly limit: number;
}

/** What a page is read with: the filters of the query, and the position of the last row of the page before. */
type PageFilter<Query, Position> = Defined<Omit<Query, keyof PageQuery>> & {
  readonly after?: Position;
  readonly limit: number;
};
type Read<Query, Row, Position> = (filter: PageFilter<Query, Position>) => Promise<readonly Row[]>;

/** Reads one page of a list that is ordered by a text such as a name. @throws ManagerError `invalid_request` for another list's cursor. */
export const pageByText = <Query extends PageQuery, Key extends string, Row extends Readonly<Record<Key, string>>>(
  query: Query,
  key: Key,
  read: Read<Query, Row, string>,
) => readPage(query, read, { length: 1, write: (row) => [row[key]], parse: ([text]) => text });

/** Reads one page of a list that is ordered by a whole number. @throws ManagerError `invalid_request` for another list's cursor. */
export const pageByNumber = <Query extends PageQuery, Key extends string, Row extends Readonly<Record<Key, number>>>(
  query: Query,
  key: Key,
  read: Read<Query, Row, number>,
) =>
  readPage(query, read, {
    length: 1,
    write: (row) => [String(row[key])],
    parse: ([text = '']) => (/^[0-9]{1,15}$/.test(text) ? Number(text) : undefined),
  });

interface TimeKeyed {
  readonly createdAt: Date;
  readonly id: string;
}

/** Reads one page of a list that is ordered by time, then by id. @throws ManagerError `invalid_request` for another list's cursor. */
export const pageByTime = <Query extends PageQuery, Row extends TimeKeyed>(
  query: Query,
  read: Read<Query, Row, { readonly createdAt: string; readonly id: string }>,
) =>
  readPage(query, read, {
    length: 2,
    write: ({ createdAt, id }) => [createdAt.toISOString(), id],
    parse: ([createdAt = '', id = '']) => (isInstant(createdAt) ? { createdAt, id } : undefined),
  });

const isInstant = (text: string): boolean =>
  /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text) && !Number.isNaN(Date.parse(text));

/** How the position of a row in the list's order is written into a cursor. */
interface Key<Row, Position> {
  readonly length: number;
  readonly write: (row: Row) => readonly string[];
  /** @returns undefined when the texts are not a position of this list. */
  readonly parse: (texts: readonly string[]) => Position | undefined;
}

/** Reads one row more than the page has, so that the end of the list needs no further request. */
async function readPage<Query extends PageQuery, Row, Position>(
  { cursor, limit, ...filter }: Query,
  read: Read<Query, Row, Position>,
  key: Key<Row, Position>,
): Promise<{ readonly rows: readonly Row[]; readonly nextCursor: string | null }> {
  const after = cursor === undefined ? undefined : positionOf(cursor, key);
  const found = await read({ ...defined<object>({ ...filter, after }), limit: limit + 1 } as PageFilter<
    Query,
    Position
  >);
  const rows = found.slice(0, limit);
  const last = rows.at(-1);
  return { rows, nextCursor: found.length > limit && last !== undefined ? encode(key.write(last)) : null };
}

/** Clients return a cursor as they got it; its content may change with any release. */
const encode = (texts: readonly string[]): string => Buffer.from(JSON.stringify(texts)).toString('base64url');

function positionOf<Position>(
  cursor: string,
  { length, parse }: Pick<Key<never, Position>, 'length' | 'parse'>,
): Position {
  const texts = z.array(z.string().max(300)).length(length).safeParse(decode(cursor));
  const isStorable = texts.success && texts.data.every((text) => !/[\0\p{Surrogate}]/u.test(text));
  const position = isStorable ? parse(texts.data) : undefined;
  if (position === undefined) throw unknownCursor();
  return position;
}

const unknownCursor = (): ManagerError =>
  invalidRequest('The request', [
    { path: 'query.cursor', message: 'is not a nextCursor of this list; start again without a cursor' },
  ]);

function decode(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}
