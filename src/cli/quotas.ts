import { InvalidArgumentError, type Command } from 'commander';
import { ManagerError } from '../contracts/errors.js';
import type { QuotasView } from '../contracts/resources.js';
import { numbers } from './arguments.js';
import { connect } from './connection.js';
import { facts, show, table } from './output.js';

export function define(command: Command): void {
  command.command('show <cluster>').description('what a cluster may hold of the pools, and holds').action(showOne);
  command
    .command('set <cluster> [quotas...]')
    .description('set the quotas, such as tokensPerMinute=20000; what is not named any more has none')
    .option('--weight <number>', 'twice the weight is twice the share where clusters compete', weightOf)
    .option('--none', 'no quotas any more')
    .action(set);
}

async function showOne(cluster: string, _options: object, command: Command): Promise<void> {
  tell(command, await connect(command).quotas(cluster));
}

async function set(
  cluster: string,
  quotas: readonly string[],
  { weight, none }: { readonly weight?: number; readonly none?: true },
  command: Command,
): Promise<void> {
  if (none && quotas.length > 0) throw new ManagerError('invalid_request', 'Give quotas or --none, not both');
  if (!none && quotas.length === 0 && weight === undefined) {
    throw new ManagerError('invalid_request', 'Nothing is to be set; give quotas such as slots=8, --none or --weight');
  }
  const answer = await connect(command).putQuotas(cluster, {
    ...(none || quotas.length > 0 ? { quotas: numbers('quota', quotas) } : {}),
    ...(weight === undefined ? {} : { weight }),
  });
  tell(command, answer);
}

function tell(command: Command, { clusterId, weight, state, resources }: QuotasView): void {
  const rows = resources.map(({ resource, quota, held }) => [
    resource,
    String(held),
    quota === null ? 'none' : String(quota),
  ]);
  show(command, { quotas: { clusterId, weight, state, resources } }, [
    ...facts([
      ['cluster', clusterId],
      ['weight', weight],
      ['account', state],
    ]),
    ...(rows.length === 0
      ? ['It holds nothing and has no quotas.']
      : ['', ...table(['RESOURCE', 'HELD', 'QUOTA'], rows)]),
  ]);
}

function weightOf(text: string): number {
  const weight = Number(text);
  if (text.trim() !== '' && weight >= 0.001 && weight <= 1000) return weight;
  throw new InvalidArgumentError('Allowed: a number from 0.001 to 1000.');
}
