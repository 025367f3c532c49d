import { z } from 'zod';
import type { ManagerError } from '../contracts/errors.js';
import { invalidRequest } from './middleware/validation.js';

/** How long a page is, unless the caller says otherwise. */
export const pageQuery = {
  cursor: z.string().max(1000).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
};

/** Callers hand a cursor back as it came; what is in it may change with any release. */
export const cursorOf = (position: readonly string[]): string =>
  Buffer.from(JSON.stringify(position)).toString('base64url');

/** @throws ManagerError `invalid_request` when the cursor is not one that a page of this list gave. */
export function positionOf(cursor: string | undefined, length: number): readonly string[] | undefined {
  if (cursor === undefined) return undefined;
  const parsed = z.array(z.string().max(300)).length(length).safeParse(decoded(cursor));
  if (parsed.success && parsed.data.every((part) => !/[\0\p{Surrogate}]/u.test(part))) return parsed.data;
  throw strangeCursor();
}

export const strangeCursor = (): ManagerError =>
  invalidRequest([{ path: 'query.cursor', message: 'is not a nextCursor of this list; begin again without one' }]);

/** The number at a place of a cursor. @throws ManagerError `invalid_request`. */
export function numberIn(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,15}$/.test(text)) throw strangeCursor();
  return Number(text);
}

function decoded(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')) as unknown;
  } catch {
    return undefined;
  }
}

/** The cursor after a page, null when it was the last: the list's end needs no further request. */
export const nextCursor = <Row>(
  rows: readonly Row[],
  limit: number,
  positionOfRow: (row: Row) => readonly string[],
): { readonly page: readonly Row[]; readonly nextCursor: string | null } => {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return { page, nextCursor: rows.length > limit && last !== undefined ? cursorOf(positionOfRow(last)) : null };
};
