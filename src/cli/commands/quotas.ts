import type { Command } from 'commander';
import { ManagerError } from '../../contracts/errors.js';
import type { QuotasView } from '../../contracts/resources.js';
import { apiAction } from '../api-action.js';
import { connect } from '../connect.js';
import { decimalNumber, parseAmounts, withoutUndefined } from '../option-parsers.js';
import { print, type Output } from '../print.js';
import { facts, table } from '../table.js';

export function define(command: Command): void {
  command
    .command('show <cluster>')
    .description('show the quotas of a cluster and the amounts that it holds')
    .action(apiAction(async (api, cluster: string) => quotasOutput(await api.quotas(cluster))));
  command
    .command('set <cluster> [quotas...]')
    .description('replace the quotas, such as tokensPerMinute=20000; unnamed resources have no quota')
    .option('--weight <number>', 'clusters that compete share by weight', decimalNumber(0.001, 1000))
    .option('--none', 'remove all quotas')
    .action(set);
}

async function set(
  cluster: string,
  quotas: readonly string[],
  { weight, none }: { readonly weight?: number; readonly none?: true },
  command: Command,
): Promise<void> {
  if (none && quotas.length > 0) throw new ManagerError('invalid_request', 'Give quotas or --none, not both');
  if (!none && quotas.length === 0 && weight === undefined) {
    throw new ManagerError('invalid_request', 'Nothing to set; give quotas such as slots=8, --none or --weight');
  }
  const body = {
    ...(none || quotas.length > 0 ? { quotas: parseAmounts('quota', quotas) } : {}),
    ...withoutUndefined({ weight }),
  };
  print(command, quotasOutput(await connect(command).putQuotas(cluster, body)));
}

const quotasOutput = (quotas: QuotasView): Output => ({
  document: { quotas },
  lines: [
    ...facts({ cluster: quotas.clusterId, weight: quotas.weight, account: quotas.state }),
    ...(quotas.resources.length === 0
      ? ['The cluster holds nothing and has no quotas.']
      : [
          '',
          ...table(quotas.resources, {
            RESOURCE: ({ resource }) => resource,
            HELD: ({ held }) => held,
            QUOTA: ({ quota }) => quota ?? 'none',
          }),
        ]),
  ],
});
