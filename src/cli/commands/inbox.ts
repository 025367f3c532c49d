import type { Command, CommandUnknownOpts } from '@commander-js/extra-typings';
import type { HttpClient } from '../../client/http-client.js';
import { ManagerError } from '../../contracts/errors.js';
import type { DeliveryView } from '../../contracts/inbox.js';
import { connect } from '../connect.js';
import { ago, counted, truncate } from '../format.js';
import { wholeNumber } from '../option-parsers.js';
import { note, print } from '../print.js';
import { table } from '../table.js';

const inbox = (command: Command): unknown =>
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
    .action(async (agent, { ack, max, wait }, self) => {
      const api = connect(self);
      if (ack) await requireRecipientToken(api, agent);
      const { deliveries } = await api.readInbox({ params: { id: agent }, query: { max, waitSeconds: wait } });
      const [first] = deliveries;
      print(self, {
        document: { deliveries },
        lines: first ? deliveryTable(deliveries) : [`No deliveries for ${agent}: the others, if any, are leased.`],
      });
      if (!first) return;
      // Only after they were printed: an acknowledged delivery is not delivered again.
      if (ack) return acknowledge(api, deliveries, self);
      const leased = counted(deliveries.length, 'delivery', 'deliveries');
      note(self, `Not acknowledged: ${leased} of ${agent}, leased until ${first.leaseExpiresAt}`);
    });

export const commands = { inbox };

const deliveryTable = (deliveries: readonly DeliveryView[]): string[] =>
  table(deliveries, {
    DELIVERY: ({ id }) => id,
    ATTEMPT: ({ attempt }) => attempt,
    SENT: ({ message }) => ago(message.time),
    SENDER: ({ message }) => message.source,
    TYPE: ({ message }) => message.type,
    TOPIC: ({ message }) => message.topic,
    MESSAGE: ({ message }) => message.id,
    DATA: ({ message }) => truncate(JSON.stringify(message.data), 120),
  });

/**
 * Acknowledges a delivery that does not exist, so that a token that may not acknowledge is refused before it leases any.
 * @throws ManagerError `forbidden`.
 */
async function requireRecipientToken(api: HttpClient, agent: string): Promise<void> {
  try {
    await api.ackDeliveries({ body: { acks: [{ id: 'none', leaseToken: 'none' }] } });
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

async function acknowledge(
  api: HttpClient,
  deliveries: readonly DeliveryView[],
  command: CommandUnknownOpts,
): Promise<void> {
  const acks = deliveries.map(({ id, leaseToken }) => ({ id, leaseToken }));
  const { results } = await api.ackDeliveries({ body: { acks } });
  const refused = results.filter(({ acked }) => !acked);
  if (refused.length > 0) {
    throw new ManagerError(
      'stale_lease',
      `${refused.length} of ${deliveries.length} were not acknowledged and will be delivered again: ${refused.map(({ id }) => id).join(', ')}`,
    );
  }
  note(command, `Acknowledged: ${deliveries.length}`);
}
