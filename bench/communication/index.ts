import type { Figure } from '../figure.js';
import { withStack } from '../stack.js';
import { enrol, named, openStores } from './agents.js';
import { makeDatabase } from './databases.js';
import { flatness } from './flatness.js';
import { latency } from './latency.js';
import { senders } from './our-queue.js';
import { recipients } from './queue.js';
import { streams } from './streams.js';
import { throughput } from './throughput.js';
import { workflows } from './workflows.js';

/** Communication against its limits; docs/benches.md says how to read it. */
export const communication = (quick: boolean): Promise<Figure[]> =>
  withStack({ services: 'all', workers: 1 }, async (stack) => {
    const stores = await openStores(stack);
    const measured = named('recipient', recipients);
    // What workflows send is never read: those inboxes are others.
    await enrol(stores, [...named('sender', senders), ...measured, ...named('mail-recipient', recipients)]);
    const plain = await makeDatabase(stack, 'bench_plain');
    const boss = await makeDatabase(stack, 'bench_boss');
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
