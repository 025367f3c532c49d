import type { Figure } from '../figure.js';
import { withStack } from '../stack.js';
import { enrol, named, openStores } from './agents.js';
import { recipients } from './queue.js';
import { senders } from './our-queue.js';
import { latency } from './latency.js';
import { streams } from './streams.js';
import { throughput } from './throughput.js';

/** Communication against its limits; docs/benches.md says how to read it. */
export const communication = (quick: boolean): Promise<Figure[]> =>
  withStack({ services: 'all', workers: 1 }, async (stack) => {
    const stores = await openStores(stack);
    await enrol(stores, [...named('sender', senders), ...named('recipient', recipients)]);
    const figures: Figure[] = [];
    for (const part of [latency, throughput, streams]) figures.push(...(await part(stack, quick, stores)));
    await stores.close();
    return figures;
  });
