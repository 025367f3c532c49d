import type { Command } from 'commander';
import type { PoolView } from '../contracts/resources.js';
import { collect, numbers, pairs } from './arguments.js';
import { connect } from './connection.js';
import { amounts, facts, show, table } from './output.js';
import { limitOption, moreLine, readPages } from './pages.js';

const headings = ['POOL', 'RESOURCE', 'USED', 'CAPACITY', 'SHARE'];

export function define(command: Command): void {
  command
    .command('list')
    .description('pools by name, with what is used of them')
    .option(...limitOption)
    .action(list);
  command.command('show <name>').description('one pool').action(showOne);
  command
    .command('put <name> <capacities...>')
    .description('make a pool what is given, such as tokensPerMinute=90000; what is not named any more goes')
    .option('--label <label>', 'such as provider=acme; may be repeated', collect)
    .action(put);
  command.command('remove <name>').description('delete a pool of which nothing is granted').action(remove);
}

async function list({ limit }: { readonly limit: number }, command: Command): Promise<void> {
  const api = connect(command);
  const { items, more } = await readPages(limit, async (query) => {
    const { pools, nextCursor } = await api.pools(query);
    return { items: pools, nextCursor };
  });
  const lines = items.length === 0 ? ['No pools.'] : table(headings, poolRows(items));
  show(command, { pools: items.map(documentOf), more }, [...lines, ...moreLine('pools', limit, more)]);
}

async function showOne(name: string, _options: object, command: Command): Promise<void> {
  tell(command, await connect(command).pool(name));
}

async function put(
  name: string,
  capacities: readonly string[],
  { label = [] }: { readonly label?: string[] },
  command: Command,
): Promise<void> {
  const body = { capacity: numbers('capacity', capacities), labels: pairs('--label', label) };
  tell(command, await connect(command).putPool(name, body));
}

async function remove(name: string, _options: object, command: Command): Promise<void> {
  await connect(command).removePool(name);
  show(command, { pool: { name, deleted: true } }, [`Pool ${name} is deleted.`]);
}

function tell(command: Command, pool: PoolView): void {
  show(command, { pool: documentOf(pool) }, [
    ...facts([
      ['pool', pool.name],
      ['labels', amounts(pool.labels)],
      ['created', pool.createdAt],
    ]),
    '',
    ...table(headings, poolRows([pool])),
  ]);
}

/** A line for each resource of each pool. */
export const poolRows = (pools: readonly PoolView[]): string[][] =>
  pools.flatMap(({ name, resources }) =>
    Object.entries(resources).map(([resource, { capacity, used }]) => [
      name,
      resource,
      String(used),
      String(capacity),
      capacity === 0 ? '' : `${Math.round((used / capacity) * 1000) / 10} %`,
    ]),
  );

const documentOf = ({ name, labels, resources, createdAt }: PoolView) => ({ name, labels, resources, createdAt });
