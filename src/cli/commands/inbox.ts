import type { Command } from 'commander';
import type { HttpClient } from '../../client/http-client.js';
import { ManagerError } from '../../contracts/errors.js';
import type { DeliveryView } from '../../contracts/inbox.js';
import { connect } from '../connect.js';
import { ago, counted, truncate } from '../format.js';
import { wholeNumber } from '../option-parsers.js';
import { note, print } from '../print.js';
import { table, type Columns } from '../table.js';

interface Options {
  readonly max: number;
  readonly wait: number;
  readonly ack?: true;
}

export function define(command: Command): void {
  command
    .argument('<agent>', 'the agent whose inbox is read')
    .option('--max <count>', 'read at most this many deliveries', wholeNumber(1, 1000), 10)
    .option('--wait <seconds>', 'wait this long for the first delivery', wholeNumber(0, 60), 0)
    .option('--ack', "acknowledge the deliveries; needs the agent's own token")
    .addHelpText(
      'after',
      `
Reading leases the deliveries: the agent itself receives them only after the lease ends, and one of their attempts is
used. An admin's token may read an inbox but not acknowledge; for --ack give the agent's own token with
CLUSTER_MANAGER_TOKEN or --token-file. To look at a message without a lease: cluster-manager messages show <id>`,
    )
    .action(inbox);
}

const columns: Columns<DeliveryView> = {
  DELIVERY: ({ id }) => id,
  ATTEMPT: ({ attempt }) => attempt,
  SENT: ({ message }) => ago(message.time),
  SENDER: ({ message }) => message.source,
  TYPE: ({ message }) => message.type,
  TOPIC: ({ message }) => message.topic,
  MESSAGE: ({ message }) => message.id,
  DATA: ({ message }) => truncate(JSON.stringify(message.data), 120),
};

async function inbox(agent: string, { max, wait, ack }: Options, command: Command): Promise<void> {
  const api = connect(command);
  if (ack) await requireRecipientToken(api, agent);
  const deliveries = await api.readInbox(agent, { max, waitSeconds: wait });
  const [first] = deliveries;
  print(command, {
    document: { deliveries },
    lines: first ? table(deliveries, columns) : [`No deliveries for ${agent}: the others, if any, are leased.`],
  });
  if (!first) return;
  // Only after they were printed: an acknowledged delivery is not delivered again.
  if (ack) return acknowledge(api, deliveries, command);
  const leased = counted(deliveries.length, 'delivery', 'deliveries');
  note(command, `Not acknowledged: ${leased} of ${agent}, leased until ${first.leaseExpiresAt}`);
}

/**
 * Acknowledges a delivery that does not exist, so that a token that may not acknowledge is refused before it leases any.
 * @throws ManagerError `forbidden`.
 */
async function requireRecipientToken(api: HttpClient, agent: string): Promise<void> {
  try {
    await api.ackDeliveries([{ id: 'none', leaseToken: 'none' }]);
  } catch (cause) {
    if (!(cause instanceof ManagerError) || cause.code !== 'forbidden') throw cause;
    throw new ManagerError(
      'forbidden',
      `--ack needs agent "${agent}"'s own token; no delivery was leased. Give the token with CLUSTER_MANAGER_TOKEN or ` +
        '--token-file, or leave out --ack',
      { cause },
    );
  }
}

async function acknowledge(api: HttpClient, deliveries: readonly DeliveryView[], command: Command): Promise<void> {
  const results = await api.ackDeliveries(deliveries.map(({ id, leaseToken }) => ({ id, leaseToken })));
  const refused = results.filter(({ acked }) => !acked);
  if (refused.length > 0) {
    throw new ManagerError(
      'stale_lease',
      `${refused.length} of ${deliveries.length} were not acknowledged and will be delivered again: ${refused.map(({ id }) => id).join(', ')}`,
    );
  }
  note(command, `Acknowledged: ${deliveries.length}`);
}
