import type { Command } from 'commander';
import type { ResourcesView } from '../contracts/resources.js';
import { connect } from './connection.js';
import { counted, show, table } from './output.js';
import { poolRows } from './pools.js';

export function define(command: Command): void {
  command.action(showAll);
}

async function showAll(_options: object, command: Command): Promise<void> {
  const { pools, fleet, ledger } = await connect(command).resources();
  show(command, { pools, fleet, ledger }, [
    'Pools:',
    ...(pools.length === 0 ? ['  none'] : table(['POOL', 'RESOURCE', 'USED', 'CAPACITY', 'SHARE'], poolRows(pools))),
    '',
    'Agents that are alive, together:',
    ...fleetLines(fleet),
    '',
    ledger.differences === 0
      ? 'The ledger agrees with what is used.'
      : `The ledger differs from what is used in ${counted(ledger.differences, 'place')}: tell an administrator.`,
  ]);
}

const fleetLines = ({ capacity, held }: ResourcesView['fleet']): string[] =>
  table(
    ['RESOURCE', 'HELD', 'OFFERED'],
    Object.entries(capacity).map(([name, offered]) => [
      name === 'agents' ? 'agents (memberships)' : name,
      String(held[name] ?? 0),
      String(offered),
    ]),
  );
