import { allocate } from '../../src/domain/scaling/drf.js';
import { absolute, compared, quantile, type Figure } from '../figure.js';

/** (c) Weighted dominant resource fairness among many clusters that together want more than the capacity, four resources. */
export function fairness(quick: boolean): Figure[] {
  const rounds = quick ? 3 : 7;
  const timeOf = (clusters: number): number => {
    const claims = Array.from({ length: clusters }, (_, index) => ({
      id: `c-${index}`,
      weight: 1 + (index % 3),
      perUnit: { agents: 1, cpu: 1 + (index % 4), memory: 2 + (index % 7), tokens: 100 * (1 + (index % 5)) },
      wanted: 10,
      held: 3,
    }));
    const capacity = { agents: clusters * 8, cpu: clusters * 16, memory: clusters * 32, tokens: clusters * 2000 };
    const times = Array.from({ length: rounds }, () => {
      const begin = performance.now();
      allocate({ capacity, claims });
      return performance.now() - begin;
    });
    return quantile(times, 0.5);
  };
  timeOf(1000);
  const msFor1000 = timeOf(1000);
  const msFor10000 = timeOf(10_000);
  return [
    absolute('scaling.fairness.10000', msFor10000, 'ms, 10,000 clusters x 4 resources', {
      text: '<= 1000 ms',
      isMet: (value) => value <= 1000,
    }),
    compared(
      'scaling.fairness.growth',
      msFor10000,
      'ms',
      { against: '1,000 clusters', reference: msFor1000 },
      // n log n grows by 13.3 from 1,000 to 10,000; cache misses add to it.
      { text: '<= 20', isMet: (ratio) => ratio <= 20 },
    ),
  ];
}
