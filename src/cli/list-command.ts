import type { Command } from '@commander-js/extra-typings';
import { defined } from '../contracts/defined.js';
import type { ResponseOf } from '../contracts/endpoint.js';
import type { EndpointName, Endpoints } from '../contracts/endpoints.js';
import { connect } from './connect.js';
import { wholeNumber } from './option-parsers.js';
import { print } from './print.js';

const largestPage = 200;

interface Page {
  readonly nextCursor: string | null;
}

type ListEndpoint = {
  [Name in EndpointName]: ResponseOf<Endpoints[Name]> extends Page ? Name : never;
}[EndpointName];

type ItemsKey<Name extends ListEndpoint> = Exclude<keyof ResponseOf<Endpoints[Name]>, 'nextCursor'> & string;

type ItemOf<Name extends ListEndpoint, Key extends ItemsKey<Name>> = ResponseOf<
  Endpoints[Name]
>[Key] extends readonly (infer Item)[]
  ? Item
  : never;

interface List<Name extends ListEndpoint, Key extends ItemsKey<Name>> {
  /** Default: `list`. */
  readonly usage?: string;
  readonly description: string;
  readonly endpoint: Name;
  /** The items' name in the response. */
  readonly key: Key;
  /** The items' name in the JSON document; default: the key. */
  readonly documentKey?: string;
  /** The items' name in text; default: their name in the JSON document. */
  readonly noun?: string;
  readonly lines: (items: readonly ItemOf<Name, Key>[]) => readonly string[];
  /** An item in the JSON document; default: the item. */
  readonly document?: (item: ItemOf<Name, Key>) => object;
}

/**
 * Defines a subcommand that lists items up to its --limit. Its other options are fields of the query; an option or an
 * argument `cluster` is the query's `clusterId`.
 * @returns the subcommand, for more options.
 */
export function listCommand<Name extends ListEndpoint, Key extends ItemsKey<Name>>(
  parent: Command,
  { usage = 'list', description, endpoint, key, documentKey = key, noun = documentKey, ...list }: List<Name, Key>,
) {
  const command = parent
    .command(usage)
    .description(description)
    .option('--limit <count>', 'print at most this many', wholeNumber(1, 100_000), 50);
  return command.action(async () => {
    const { limit, ...filter } = command.opts();
    const query = filterQuery({ cluster: command.args[0], ...filter });
    const readPage = connect(command)[endpoint] as (input: object) => Promise<Page & Record<Key, ItemOf<Name, Key>[]>>;
    const { items, hasMore } = await readPages(limit, async (page) => {
      const { nextCursor, [key]: read } = await readPage({ query: { ...query, ...page } });
      return { items: read, nextCursor };
    });
    print(command, {
      document: { [documentKey]: list.document ? items.map(list.document) : items, more: hasMore },
      lines: [
        ...(items.length === 0 ? [`No ${noun}.`] : list.lines(items)),
        ...(hasMore ? [`There are more ${noun}: raise --limit (now ${limit}).`] : []),
      ],
    });
  });
}

/** The query of a list from the options of its command. */
export const filterQuery = <Filter extends { readonly cluster?: string | undefined }>({ cluster, ...filter }: Filter) =>
  defined({ ...filter, clusterId: cluster });

/** Reads pages until the limit is reached. */
export async function readPages<Item>(
  limit: number,
  readPage: (page: {
    readonly limit: number;
    readonly cursor?: string;
  }) => Promise<Page & { readonly items: readonly Item[] }>,
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
