import type { Command } from 'commander';
import { apiAction } from '../api-action.js';
import { counted } from '../format.js';
import { table } from '../table.js';
import { poolTable } from './pools.js';

export function define(command: Command): void {
  command.action(show);
}

const show = apiAction(async (api) => {
  const document = await api.resources();
  const { pools, fleet, ledger } = document;
  const lines = [
    'Pools:',
    ...(pools.length === 0 ? ['  none'] : poolTable(pools)),
    '',
    'All agents that are alive:',
    ...table(Object.entries(fleet.capacity), {
      RESOURCE: ([name]) => (name === 'agents' ? 'agents (memberships)' : name),
      HELD: ([name]) => fleet.held[name] ?? 0,
      OFFERED: ([, offered]) => offered,
    }),
    '',
    ledger.differences === 0
      ? 'The ledger agrees with the amounts in use.'
      : `The ledger differs from the amounts in use in ${counted(ledger.differences, 'place')}: report this to an administrator.`,
  ];
  return { document, lines };
});
