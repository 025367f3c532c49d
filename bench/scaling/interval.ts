import { Client, Connection } from '@temporalio/client';
import { createClusterManagerClient } from '../../src/client/index.js';
import type { Stack } from '../../src/dev-stack/stack.js';
import { absolute, compared, quantile, type Figure } from '../figure.js';
import { residentMb } from '../memory.js';
import { insertClusters } from './clusters.js';
import type { Stores } from '../../src/stores/open.js';

const sizes = [100, 1000, 10_000] as const;

const workerMemoryMb = (stack: Stack): number =>
  residentMb(stack.processes().find(({ name }) => name.startsWith('worker'))?.pid ?? 0) ?? 0;

/** (b) The scaling interval over an increasing number of clusters of five that need no change. */
export async function interval(stack: Stack, quick: boolean, { clusters }: Stores): Promise<Figure[]> {
  const { TEMPORAL_ADDRESS: address = '', TEMPORAL_NAMESPACE: namespace = '' } = stack.env;
  const connection = await Connection.connect({ address });
  const manager = createClusterManagerClient(new Client({ connection, namespace }), 'cluster-manager-1');
  const msBySize = new Map<number, number>();
  const memoryBySize = new Map<number, number>();
  let present = 0;
  for (const size of sizes) {
    await insertClusters(clusters, { from: present + 1, to: size, members: 5 });
    present = size;
    const times: number[] = [];
    for (let run = 0; run < (quick ? 2 : 4); run += 1) {
      const begin = performance.now();
      const { assessed, started } = await manager.runScalingInterval({ dryRun: false });
      // The first run warms caches and the JIT compiler; it is not counted.
      if (run > 0) times.push(performance.now() - begin);
      if (assessed !== size || started.length > 0) throw new Error(`${assessed} assessed, ${started.length} started`);
    }
    msBySize.set(size, quantile(times, 0.5));
    memoryBySize.set(size, workerMemoryMb(stack));
  }
  await connection.close();
  const at = (size: number) => msBySize.get(size) ?? 0;
  return [
    ...sizes.map((size) =>
      absolute(
        `scaling.interval.${size}`,
        at(size),
        'ms',
        size === 10_000 ? { text: '<= 5000 ms', isMet: (value) => value <= 5000 } : undefined,
      ),
    ),
    compared(
      'scaling.interval.growth',
      at(10_000),
      'ms',
      { against: '1,000 clusters', reference: at(1000) },
      { text: '<= 12', isMet: (ratio) => ratio <= 12 },
    ),
    compared(
      'scaling.interval.memory',
      memoryBySize.get(10_000) ?? 0,
      'MB of the worker',
      { against: '1,000 clusters', reference: memoryBySize.get(1000) ?? 1 },
      { text: '<= 1.5', isMet: (ratio) => ratio <= 1.5 },
    ),
  ];
}
