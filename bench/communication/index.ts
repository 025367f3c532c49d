import type { Figure } from '../figure.js';
import { withStack } from '../stack.js';
import { enrol, named, openStores } from './agents.js';
import { recipients } from './queue.js';
import { senders } from './our-queue.js';
import { throughput } from './throughput.js';

/** Communication against its limits; docs/benches.md says how to read it. */
export const communication = (quick: boolean): Promise<Figure[]> =>
  withStack({ services: 'all', workers: 1 }, async (stack) => {
    const stores = await openStores(stack);
    await enrol(stores, [...named('sender', senders), ...named('recipient', recipients)]);
    const figures: Figure[] = [];
    for (const part of [throughput]) figures.push(...(await part(stack, quick)));
    await stores.close();
    return figures;
  });
