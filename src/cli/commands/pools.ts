import type { Command } from 'commander';
import type { PoolView } from '../../contracts/resources.js';
import { apiAction } from '../api-action.js';
import { connect } from '../connect.js';
import { pairsText } from '../format.js';
import { listCommand, type PageQuery } from '../list-command.js';
import { collect, parseAmounts, parsePairs } from '../option-parsers.js';
import { print, type Output } from '../print.js';
import { facts, table, type Columns } from '../table.js';

export function define(command: Command): void {
  addListCommand(command);
  command
    .command('show <name>')
    .description('show a pool')
    .action(apiAction(async (api, name: string) => poolOutput(await api.pool(name))));
  command
    .command('put <name> <capacities...>')
    .description('create or replace a pool, such as tokensPerMinute=90000; unnamed resources are removed from it')
    .option('--label <label>', 'such as provider=acme; may be repeated', collect)
    .action(put);
  command.command('remove <name>').description('delete a pool from which nothing is allocated').action(remove);
}

interface PoolRow {
  readonly pool: string;
  readonly resource: string;
  readonly capacity: number;
  readonly used: number;
}

const columns: Columns<PoolRow> = {
  POOL: ({ pool }) => pool,
  RESOURCE: ({ resource }) => resource,
  USED: ({ used }) => used,
  CAPACITY: ({ capacity }) => capacity,
  SHARE: ({ capacity, used }) => (capacity === 0 ? '' : `${Math.round((used / capacity) * 1000) / 10} %`),
};

export const poolTable = (pools: readonly PoolView[]): string[] =>
  table(
    pools.flatMap(({ name, resources }) =>
      Object.entries(resources).map(([resource, amounts]): PoolRow => ({ pool: name, resource, ...amounts })),
    ),
    columns,
  );

const addListCommand = listCommand({
  description: 'list pools by name, with the amounts in use',
  key: 'pools',
  read: (api, query: PageQuery) => api.pools(query),
  items: ({ pools }) => pools,
  lines: poolTable,
});

async function put(
  name: string,
  capacities: readonly string[],
  { label = [] }: { readonly label?: string[] },
  command: Command,
): Promise<void> {
  const pool = { capacity: parseAmounts('capacity', capacities), labels: parsePairs('--label', label) };
  print(command, poolOutput(await connect(command).putPool(name, pool)));
}

const remove = apiAction(async (api, name: string) => {
  await api.removePool(name);
  return { document: { pool: { name, deleted: true } }, lines: [`Pool ${name} is deleted.`] };
});

const poolOutput = (pool: PoolView): Output => ({
  document: { pool },
  lines: [
    ...facts({ pool: pool.name, labels: pairsText(pool.labels), created: pool.createdAt }),
    '',
    ...poolTable([pool]),
  ],
});
