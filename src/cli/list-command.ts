import type { Command } from 'commander';
import type { HttpClient } from '../client/http-client.js';
import { connect } from './connect.js';
import { wholeNumber } from './option-parsers.js';
import { print } from './print.js';

const largestPage = 200;

const limitOption = ['--limit <count>', 'print at most this many', wholeNumber(1, 100_000), 50] as const;

export interface PageQuery {
  readonly limit: number;
  readonly cursor?: string;
}

interface Page {
  readonly nextCursor: string | null;
}

interface List<Query extends PageQuery, ReadPage extends Page, Item> {
  /** Default: `list`. */
  readonly usage?: string;
  readonly description: string;
  /** The items' name in the JSON document. */
  readonly key: string;
  /** The items' name in text; default: the key. */
  readonly noun?: string;
  /** Reads a page; the query has the command's options too. */
  readonly read: (api: HttpClient, query: Query, args: readonly string[]) => Promise<ReadPage>;
  readonly items: (page: ReadPage) => readonly Item[];
  readonly lines: (items: readonly Item[]) => readonly string[];
  /** An item in the JSON document; default: the item. */
  readonly document?: (item: Item) => object;
}

/** Defines a subcommand that lists items up to its --limit. The result adds it to a command and returns it, for more options. */
export const listCommand =
  <Query extends PageQuery, ReadPage extends Page, Item>(list: List<Query, ReadPage, Item>) =>
  (parent: Command): Command => {
    const { usage = 'list', description, key, noun = key, document } = list;
    const command = parent.command(usage).description(description);
    return command.option(...limitOption).action(async () => {
      const options = command.opts<Query>();
      const api = connect(command);
      const { items, hasMore } = await readPages(options.limit, async (page) => {
        const read = await list.read(api, { ...options, ...page }, command.args);
        return { items: list.items(read), nextCursor: read.nextCursor };
      });
      print(command, {
        document: { [key]: document ? items.map(document) : items, more: hasMore },
        lines: [
          ...(items.length === 0 ? [`No ${noun}.`] : list.lines(items)),
          ...(hasMore ? [`There are more ${noun}: raise --limit (now ${options.limit}).`] : []),
        ],
      });
    });
  };

/** Reads pages until the limit is reached. */
export async function readPages<Item>(
  limit: number,
  readPage: (query: PageQuery) => Promise<Page & { readonly items: readonly Item[] }>,
): Promise<{ readonly items: Item[]; readonly hasMore: boolean }> {
  const items: Item[] = [];
  let cursor: string | null | undefined;
  while (cursor !== null && items.length < limit) {
    const page = await readPage({ limit: Math.min(largestPage, limit - items.length), ...(cursor ? { cursor } : {}) });
    items.push(...page.items);
    cursor = page.nextCursor;
  }
  return { items, hasMore: typeof cursor === 'string' };
}
