import { allocate } from '../../src/domain/scaling/drf.js';
import { absolute, compared, quantile, type Figure } from '../figure.js';

/** (c) weighted dominant resource fairness among many clusters that all want more than there is, four resources. */
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
  const thousand = timeOf(1000);
  const ten = timeOf(10_000);
  return [
    absolute('scaling.fairness.10000', ten, 'ms, 10,000 clusters x 4 resources', {
      text: '<= 1000 ms',
      isMet: (value) => value <= 1000,
    }),
    compared(
      'scaling.fairness.growth',
      ten,
      'ms',
      { against: '1,000 clusters', reference: thousand },
      // n log n from 1,000 to 10,000 is 13.3; caches make it more.
      { text: '<= 20', isMet: (ratio) => ratio <= 20 },
    ),
  ];
}
