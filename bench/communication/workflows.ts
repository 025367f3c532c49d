import { Client, Connection } from '@temporalio/client';
import { sql } from 'kysely';
import { createClusterManagerClient } from '../../src/client/index.js';
import type { Stack } from '../../src/dev-stack/stack.js';
import { storeBatch } from '../../src/stores/communication/index.js';
import { absolute, compared, quantile, type Figure } from '../figure.js';
import { measureCalls, startBareWorker } from '../formation/throughput.js';
import type { Stores } from '../../src/stores/open.js';
import { recipientId } from './product-queue.js';
import { body, runConcurrently, recipients } from './queue.js';

const messages = 1000;

/**
 * (d) manageCommunication with a thousand messages in a request, stored in advance as a batch and passed by its id, against
 * a bare workflow of four no-op activities, alternating. Also the length of the histories.
 */
export async function workflows(stack: Stack, quick: boolean, { communication }: Stores): Promise<Figure[]> {
  const { TEMPORAL_ADDRESS: address = '', TEMPORAL_NAMESPACE: namespace = '' } = stack.env;
  const stopBare = await startBareWorker(address, namespace, 'bare');
  const connection = await Connection.connect({ address });
  const client = new Client({ connection, namespace });
  const manager = createClusterManagerClient(client, 'cluster-manager-1');
  let sequence = 0;
  const bare = () =>
    client.workflow.execute('bareFour', { workflowId: `bare-communication-${(sequence += 1)}`, taskQueue: 'bare' });
  const storeBatchOf = async (count: number): Promise<string> => {
    const id = `batch_bench-${(sequence += 1)}`;
    const parts = {
      messages: Array.from({ length: count }, (_, index) => ({
        to: { agent: `workflow-${recipientId(index % recipients)}` },
        type: 'bench.item',
        data: body,
      })),
      broadcasts: [],
    };
    await storeBatch(communication, { id, owner: 'client', parts });
    return id;
  };
  const manage = async (batchId: string): Promise<string> => {
    const { operationId, workflowId } = await manager.startCommunication({ requestId: `op_${batchId}`, batchId });
    const result = (await client.workflow.getHandle(workflowId).result()) as { messages: { refused: number } };
    if (result.messages.refused > 0) throw new Error(`${operationId}: ${JSON.stringify(result).slice(0, 500)}`);
    return workflowId;
  };
  const historyOf = async (workflowId: string): Promise<number> =>
    (await client.workflow.getHandle(workflowId).describe()).historyLength;

  const few = await historyOf(await manage(await storeBatchOf(1)));
  const many = await historyOf(await manage(await storeBatchOf(messages)));
  const rounds = quick ? 3 : 5;
  const runs = quick ? 40 : 80;
  const pairs: { bare: number; product: number }[] = [];
  await measureCalls(20, 10, bare);
  for (let round = 0; round < rounds; round += 1) {
    // No consumer reads these inboxes, and an inbox holds 10,000 at most.
    await sql`
      delete from deliveries d using inboxes i where i.no = d.inbox_no and i.agent_id like 'workflow-recipient-%'`.execute(
      communication,
    );
    const batches: string[] = [];
    await runConcurrently(runs, 2, async () => void batches.push(await storeBatchOf(messages)));
    const bareRate = await measureCalls(runs, 20, bare);
    const product = await measureCalls(runs, 20, () => manage(batches.pop() ?? ''));
    pairs.push({ bare: bareRate.perSecond, product: product.perSecond });
  }
  await stopBare();
  await connection.close();
  const median = (of: (pair: (typeof pairs)[number]) => number) => quantile(pairs.map(of), 0.5);
  return [
    compared(
      'communication.workflow',
      median((pair) => pair.product),
      'requests/s of 1,000 messages',
      {
        against: 'bare four no-op activities',
        reference: median((pair) => pair.bare),
        ratio: median((pair) => pair.product / pair.bare),
      },
      { text: '>= 0.8', isMet: (ratio) => ratio >= 0.8 },
    ),
    absolute('communication.workflow.messages', messages * median((pair) => pair.product), 'messages/s'),
    absolute('communication.history', many, `events with 1,000 messages, ${few} with one`, {
      text: 'the same',
      isMet: (value) => value === few,
    }),
  ];
}
