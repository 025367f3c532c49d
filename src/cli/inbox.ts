import type { Command } from 'commander';
import type { HttpClient } from '../client/http-client.js';
import { ManagerError } from '../contracts/errors.js';
import type { DeliveryView } from '../contracts/inbox.js';
import { wholeNumber } from './arguments.js';
import { connect } from './connection.js';
import { ago, counted, cut, remark, show, table } from './output.js';

interface Options {
  readonly max: number;
  readonly wait: number;
  readonly ack?: true;
}

export function define(command: Command): void {
  command
    .argument('<agent>', 'whose mail')
    .option('--max <count>', 'how many deliveries at most', wholeNumber(1, 1000), 10)
    .option('--wait <seconds>', 'how long to wait for the first one', wholeNumber(0, 60), 0)
    .option('--ack', "take the mail for good; only with the agent's own token")
    .addHelpText(
      'after',
      `
Mail that is read is leased: the agent itself gets it only when the lease has ended, and one of its tries is used up.
With an admin's token mail can be read and not acked; for --ack give the agent's own by CLUSTER_MANAGER_TOKEN or
--token-file. To look without touching anything: cluster-manager messages show <id>`,
    )
    .action(inbox);
}

async function inbox(agent: string, { max, wait, ack }: Options, command: Command): Promise<void> {
  const api = connect(command);
  if (ack) await requireRecipient(api, agent);
  const deliveries = await api.readInbox(agent, { max, waitSeconds: wait });
  show(command, { deliveries: deliveries.map(documentOf) }, linesOf(agent, deliveries));
  const [first] = deliveries;
  if (!first) return;
  // After it was shown: what is acked never comes again.
  if (ack) return ackAll(api, deliveries, command);
  remark(
    command,
    `Not acked: ${counted(deliveries.length, 'delivery').replace(/ys$/, 'ies')} of ${agent} leased until ${first.leaseExpiresAt}`,
  );
}

/**
 * An ack of nothing: a token that may not ack is refused before it has leased any mail.
 * @throws ManagerError `forbidden`.
 */
async function requireRecipient(api: HttpClient, agent: string): Promise<void> {
  try {
    await api.ackDeliveries([{ id: 'none', leaseToken: 'none' }]);
  } catch (error) {
    if (!(error instanceof ManagerError) || error.code !== 'forbidden') throw error;
    throw new ManagerError(
      'forbidden',
      `--ack needs the own token of agent "${agent}", and this one is another's; nothing was taken. Give it by ` +
        'CLUSTER_MANAGER_TOKEN or --token-file, or leave out --ack',
      { cause: error },
    );
  }
}

async function ackAll(api: HttpClient, deliveries: readonly DeliveryView[], command: Command): Promise<void> {
  const results = await api.ackDeliveries(deliveries.map(({ id, leaseToken }) => ({ id, leaseToken })));
  const refused = results.filter(({ acked }) => !acked);
  if (refused.length > 0) {
    throw new ManagerError(
      'stale_lease',
      `${refused.length} of ${deliveries.length} were not acked and come again: ${refused.map(({ id }) => id).join(', ')}`,
    );
  }
  remark(command, `Acked: ${deliveries.length}`);
}

function linesOf(agent: string, deliveries: readonly DeliveryView[]): string[] {
  if (deliveries.length === 0) return [`No mail for ${agent} that nobody else holds.`];
  return table(
    ['DELIVERY', 'TRY', 'SENT', 'FROM', 'TYPE', 'TOPIC', 'MESSAGE', 'DATA'],
    deliveries.map(({ id, attempt, message }) => [
      id,
      String(attempt),
      ago(message.time),
      message.source,
      message.type,
      message.topic ?? '',
      message.id,
      cut(JSON.stringify(message.data), 120),
    ]),
  );
}

/** The command's own shape. */
const documentOf = ({ id, leaseToken, leaseExpiresAt, attempt, sequence, message }: DeliveryView) => ({
  id,
  leaseToken,
  leaseExpiresAt,
  attempt,
  sequence,
  message,
});
