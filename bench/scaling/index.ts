import type { Stack } from '../../src/dev-stack/stack.js';
import type { Stores } from '../../src/stores/open.js';
import type { Figure } from '../figure.js';
import { withStack } from '../stack.js';
import { openStackStores } from '../stores.js';
import { fairness } from './fairness.js';
import { interval } from './interval.js';
import { steps } from './steps.js';
import { reports } from './reports.js';
import { usage } from './usage.js';

/** The bench of scaling; docs/benches.md explains its figures. */
export async function scaling(quick: boolean): Promise<Figure[]> {
  const figures = fairness(quick);
  const inStack = (...parts: ((stack: Stack, quick: boolean, stores: Stores) => Promise<Figure[]>)[]) =>
    withStack({ services: 'all', workers: 1 }, async (stack) => {
      const stores = openStackStores(stack);
      for (const part of parts) figures.push(...(await part(stack, quick, stores)));
      await stores.close();
    });
  await inStack(steps);
  await inStack(interval, usage, reports);
  return figures;
}
