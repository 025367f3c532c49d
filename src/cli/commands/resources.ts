import type { Command } from '@commander-js/extra-typings';
import { defined } from '../../contracts/defined.js';
import { ManagerError } from '../../contracts/errors.js';
import type { BudgetView, PoolView, QuotasView } from '../../contracts/resources.js';
import { counted, pairsText } from '../format.js';
import { listCommand } from '../list-command.js';
import { collect, decimalNumber, parseAmounts, parsePairs } from '../option-parsers.js';
import { printing, type Output } from '../print.js';
import { facts, table } from '../table.js';

const resources = (command: Command): unknown =>
  command.action(
    printing(async (api) => {
      const document = await api().getResources();
      const { pools: allPools, fleet, ledger } = document;
      const lines = [
        'Pools:',
        ...(allPools.length === 0 ? ['  none'] : poolTable(allPools)),
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
    }),
  );

function pools(command: Command): void {
  listCommand(command, {
    description: 'list pools by name, with the amounts in use',
    endpoint: 'listPools',
    key: 'pools',
    lines: poolTable,
  });
  command
    .command('show <name>')
    .description('show a pool')
    .action(printing(async (api, name) => poolOutput(await api().getPool({ params: { name } }))));
  command
    .command('put <name> <capacities...>')
    .description('create or replace a pool, such as tokensPerMinute=90000; unnamed resources are removed from it')
    .option('--label <label>', 'such as provider=acme; may be repeated', collect)
    .action(
      printing(async (api, name, capacities, { label = [] }) => {
        const body = { capacity: parseAmounts('capacity', capacities), labels: parsePairs('--label', label) };
        return poolOutput(await api().putPool({ params: { name }, body }));
      }),
    );
  command
    .command('remove <name>')
    .description('delete a pool from which nothing is allocated')
    .action(
      printing(async (api, name) => {
        await api().deletePool({ params: { name } });
        return { document: { pool: { name, deleted: true } }, lines: [`Pool ${name} is deleted.`] };
      }),
    );
}

const poolOutput = (document: { readonly pool: PoolView }): Output => {
  const { name, labels, createdAt } = document.pool;
  const lines = [
    ...facts({ pool: name, labels: pairsText(labels), created: createdAt }),
    '',
    ...poolTable([document.pool]),
  ];
  return { document, lines };
};

function poolTable(listed: readonly PoolView[]): string[] {
  const rows = listed.flatMap(({ name, resources: amounts }) =>
    Object.entries(amounts).map(([resource, { capacity, used }]) => ({ name, resource, capacity, used })),
  );
  return table(rows, {
    POOL: ({ name }) => name,
    RESOURCE: ({ resource }) => resource,
    USED: ({ used }) => used,
    CAPACITY: ({ capacity }) => capacity,
    SHARE: ({ capacity, used }) => (capacity === 0 ? '' : `${Math.round((used / capacity) * 1000) / 10} %`),
  });
}

function quotas(command: Command): void {
  command
    .command('show <cluster>')
    .description('show the quotas of a cluster and the amounts that it holds')
    .action(printing(async (api, clusterId) => quotasOutput(await api().getQuotas({ params: { clusterId } }))));
  command
    .command('set <cluster> [quotas...]')
    .description('replace the quotas, such as tokensPerMinute=20000; unnamed resources have no quota')
    .option('--weight <number>', 'clusters that compete share by weight', decimalNumber(0.001, 1000))
    .option('--none', 'remove all quotas')
    .action(
      printing(async (api, clusterId, given, { weight, none }) => {
        if (none && given.length > 0) throw new ManagerError('invalid_request', 'Give quotas or --none, not both');
        if (!none && given.length === 0 && weight === undefined) {
          throw new ManagerError('invalid_request', 'Nothing to set; give quotas such as slots=8, --none or --weight');
        }
        const replaced = none || given.length > 0 ? parseAmounts('quota', given) : undefined;
        const body = defined({ quotas: replaced, weight });
        return quotasOutput(await api().putQuotas({ params: { clusterId }, body }));
      }),
    );
}

function quotasOutput(document: { readonly quotas: QuotasView }): Output {
  const { clusterId, weight, state, resources: amounts } = document.quotas;
  const rows = table(amounts, {
    RESOURCE: ({ resource }) => resource,
    HELD: ({ held }) => held,
    QUOTA: ({ quota }) => quota ?? 'none',
  });
  const lines = [
    ...facts({ cluster: clusterId, weight, account: state }),
    ...(rows.length === 0 ? ['The cluster holds nothing and has no quotas.'] : ['', ...rows]),
  ];
  return { document, lines };
}

function budgets(command: Command): void {
  listCommand(command, {
    usage: 'list <cluster>',
    description: 'list the budgets of a cluster, with the amounts reserved, spent and left',
    endpoint: 'listBudgets',
    key: 'budgets',
    lines: budgetTable,
  });
  command
    .command('put <id>')
    .description('create a budget, or change its limit')
    .requiredOption('--cluster <id>', 'the cluster that may spend it')
    .requiredOption('--resource <name>', 'the resource, such as usd or tokens')
    .requiredOption('--limit <amount>', 'the amount that may be spent in total', decimalNumber(0, 1e12, '1e12'))
    .action(
      printing(async (api, id, { cluster: clusterId, ...budget }) => {
        const document = await api().putBudget({ params: { id }, body: { ...budget, clusterId } });
        return { document, lines: budgetTable([document.budget]) };
      }),
    );
}

const budgetTable = (listed: readonly BudgetView[]): string[] =>
  table(listed, {
    BUDGET: ({ id }) => id,
    RESOURCE: ({ resource }) => resource,
    LIMIT: ({ limit }) => limit,
    RESERVED: ({ reserved }) => reserved,
    SPENT: ({ committed }) => committed,
    OVERDRAWN: ({ overdrawn }) => overdrawn || null,
    LEFT: ({ left }) => left,
  });

export const commands = { resources, pools, quotas, budgets };
