import { InvalidArgumentError, type Command } from 'commander';
import type { BudgetView } from '../contracts/resources.js';
import { connect } from './connection.js';
import { show, table } from './output.js';
import { limitOption, moreLine, readPages } from './pages.js';

export function define(command: Command): void {
  command
    .command('list <cluster>')
    .description('the budgets of a cluster, with what is reserved, spent and left')
    .option(...limitOption)
    .action(list);
  command
    .command('put <id>')
    .description('write a budget, or change its limit')
    .requiredOption('--cluster <id>', 'whose it is')
    .requiredOption('--resource <name>', 'of what, such as usd or tokens')
    .requiredOption('--limit <amount>', 'how much in all', amountOf)
    .action(put);
}

async function list(clusterId: string, { limit }: { readonly limit: number }, command: Command): Promise<void> {
  const api = connect(command);
  const { items, more } = await readPages(limit, async (query) => {
    const { budgets, nextCursor } = await api.budgets({ clusterId, ...query });
    return { items: budgets, nextCursor };
  });
  const lines = items.length === 0 ? ['No budgets.'] : budgetTable(items);
  show(command, { budgets: items.map(documentOf), more }, [...lines, ...moreLine('budgets', limit, more)]);
}

async function put(
  id: string,
  { cluster, resource, limit }: { readonly cluster: string; readonly resource: string; readonly limit: number },
  command: Command,
): Promise<void> {
  const budget = await connect(command).putBudget(id, { clusterId: cluster, resource, limit });
  show(command, { budget: documentOf(budget) }, budgetTable([budget]));
}

const budgetTable = (budgets: readonly BudgetView[]): string[] =>
  table(
    ['BUDGET', 'RESOURCE', 'LIMIT', 'RESERVED', 'SPENT', 'OVERDRAWN', 'LEFT'],
    budgets.map(({ id, resource, limit, reserved, committed, overdrawn, left }) => [
      id,
      resource,
      ...[limit, reserved, committed].map(String),
      overdrawn === 0 ? '' : String(overdrawn),
      String(left),
    ]),
  );

function amountOf(text: string): number {
  const amount = Number(text);
  if (text.trim() !== '' && amount >= 0 && amount <= 1e12) return amount;
  throw new InvalidArgumentError('Allowed: a number from 0 to 1e12.');
}

const documentOf = (budget: BudgetView) => ({
  id: budget.id,
  clusterId: budget.clusterId,
  resource: budget.resource,
  limit: budget.limit,
  reserved: budget.reserved,
  committed: budget.committed,
  overdrawn: budget.overdrawn,
  left: budget.left,
});
