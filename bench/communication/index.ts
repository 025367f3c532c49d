import type { Figure } from '../figure.js';
import { withStack } from '../stack.js';
import { openStackStores } from '../stores.js';
import { insertAgents, numberedIds } from './agents.js';
import { createDatabase } from './databases.js';
import { flatness } from './flatness.js';
import { latency } from './latency.js';
import { senders } from './product-queue.js';
import { recipients } from './queue.js';
import { streams } from './streams.js';
import { throughput } from './throughput.js';
import { workflows } from './workflows.js';

/** The bench of communication; docs/benches.md explains its figures. */
export const communication = (quick: boolean): Promise<Figure[]> =>
  withStack({ services: 'all', workers: 1 }, async (stack) => {
    const stores = openStackStores(stack);
    const measured = numberedIds('recipient', recipients);
    // The workflows send to inboxes of their own, because no consumer reads those messages.
    await insertAgents(stores, [
      ...numberedIds('sender', senders),
      ...measured,
      ...numberedIds('workflow-recipient', recipients),
    ]);
    const plain = await createDatabase(stack, 'bench_plain');
    const boss = await createDatabase(stack, 'bench_boss');
    const figures = [
      ...(await latency(stack, quick)),
      ...(await throughput(stack, { plain, boss }, quick)),
      ...(await streams(stack, quick, stores)),
      ...(await flatness(stack, plain, quick, stores)),
      ...(await workflows(stack, quick, stores)),
    ];
    await stores.close();
    return figures;
  });
