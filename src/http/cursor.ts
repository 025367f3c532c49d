import { z } from 'zod';
import { invalidRequest, type ManagerError } from '../contracts/errors.js';

type Query = { readonly cursor?: string | undefined; readonly limit: number };
/** Reads up to `limit` rows after a position; from the start when it is undefined. */
type Read<Row, Position> = (position: Position | undefined, limit: number) => Promise<readonly Row[]>;
type Page<Row> = { readonly rows: readonly Row[]; readonly nextCursor: string | null };

/** Reads one page of a list that is ordered by a text such as a name. @throws ManagerError `invalid_request` for another list's cursor. */
export const pageByText = <Row>(query: Query, read: Read<Row, string>, keyOf: (row: Row) => string) =>
  readPage(query, read, { length: 1, write: (row) => [keyOf(row)], parse: ([text]) => text });

/** Reads one page of a list that is ordered by a whole number. @throws ManagerError `invalid_request` for another list's cursor. */
export const pageByNumber = <Row>(query: Query, read: Read<Row, number>, keyOf: (row: Row) => number) =>
  readPage(query, read, {
    length: 1,
    write: (row) => [String(keyOf(row))],
    parse: ([text = '']) => (/^[0-9]{1,15}$/.test(text) ? Number(text) : undefined),
  });

interface TimeKeyed {
  readonly createdAt: Date;
  readonly id: string;
}

/** Reads one page of a list that is ordered by time, then by id. @throws ManagerError `invalid_request` for another list's cursor. */
export const pageByTime = <Row extends TimeKeyed>(
  query: Query,
  read: Read<Row, { readonly createdAt: string; readonly id: string }>,
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
async function readPage<Row, Position>(
  { cursor, limit }: Query,
  read: Read<Row, Position>,
  key: Key<Row, Position>,
): Promise<Page<Row>> {
  const found = await read(cursor === undefined ? undefined : positionOf(cursor, key), limit + 1);
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

/** The same object without the fields that are undefined. */
export const defined = <T extends object>(fields: T): Defined<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;

type Defined<T> = {
  readonly [Key in keyof T as undefined extends T[Key] ? never : Key]: T[Key];
} & { readonly [Key in keyof T as undefined extends T[Key] ? Key : never]?: Exclude<T[Key], undefined> };
