import type { Command } from 'commander';
import type { BudgetView } from '../../contracts/resources.js';
import { apiAction } from '../api-action.js';
import { listCommand, type PageQuery } from '../list-command.js';
import { decimalNumber } from '../option-parsers.js';
import { table, type Columns } from '../table.js';

export function define(command: Command): void {
  addListCommand(command);
  command
    .command('put <id>')
    .description('create a budget, or change its limit')
    .requiredOption('--cluster <id>', 'the cluster that may spend it')
    .requiredOption('--resource <name>', 'the resource, such as usd or tokens')
    .requiredOption('--limit <amount>', 'the amount that may be spent in total', decimalNumber(0, 1e12, '1e12'))
    .action(put);
}

const columns: Columns<BudgetView> = {
  BUDGET: ({ id }) => id,
  RESOURCE: ({ resource }) => resource,
  LIMIT: ({ limit }) => limit,
  RESERVED: ({ reserved }) => reserved,
  SPENT: ({ committed }) => committed,
  OVERDRAWN: ({ overdrawn }) => overdrawn || null,
  LEFT: ({ left }) => left,
};

const addListCommand = listCommand({
  usage: 'list <cluster>',
  description: 'list the budgets of a cluster, with the amounts reserved, spent and left',
  key: 'budgets',
  read: (api, query: PageQuery, [clusterId = '']) => api.budgets({ ...query, clusterId }),
  items: ({ budgets }) => budgets,
  lines: (budgets) => table(budgets, columns),
});

const put = apiAction(
  async (
    api,
    id: string,
    { cluster, resource, limit }: { readonly cluster: string; readonly resource: string; readonly limit: number },
  ) => {
    const budget = await api.putBudget(id, { clusterId: cluster, resource, limit });
    return { document: { budget }, lines: table([budget], columns) };
  },
);
