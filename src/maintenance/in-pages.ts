/** Agents in one page. */
export const pageSize = 5_000;

/**
 * Goes through agents page by page; a run that reaches its limit of pages is continued by the next one.
 * @param visit returns the last id of the page, undefined after the last page.
 * @param begins whether a run may begin with the first page.
 */
export function inPages(
  maxPages: number,
  visit: (after: string) => Promise<string | undefined>,
  begins = (): boolean => true,
): () => Promise<void> {
  let after = '';
  return async () => {
    if (after === '' && !begins()) return;
    for (let pages = 0; pages < maxPages; pages += 1) {
      after = (await visit(after)) ?? '';
      if (after === '') return;
    }
  };
}
