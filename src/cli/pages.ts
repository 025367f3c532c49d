import { wholeNumber } from './arguments.js';

export const limitOption = ['--limit <count>', 'how many at most', wholeNumber(1, 100_000), 50] as const;

interface ListPage<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
}

/** Reads pages until the limit is reached. @returns `more`: whether there is more than was read. */
export async function readPages<Item>(
  limit: number,
  page: (query: { readonly limit: number; readonly cursor?: string }) => Promise<ListPage<Item>>,
): Promise<{ readonly items: Item[]; readonly more: boolean }> {
  const items: Item[] = [];
  let cursor: string | null | undefined;
  while (cursor !== null && items.length < limit) {
    const read = await page({ limit: Math.min(200, limit - items.length), ...(cursor ? { cursor } : {}) });
    items.push(...read.items);
    cursor = read.nextCursor;
  }
  return { items, more: typeof cursor === 'string' };
}

/** The line under a list that was cut. */
export const moreLine = (what: string, limit: number, more: boolean): string[] =>
  more ? [`There are more ${what}: raise --limit (now ${limit}).`] : [];
