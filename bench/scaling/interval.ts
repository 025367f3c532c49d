import { readFileSync } from 'node:fs';
import { Client, Connection } from '@temporalio/client';
import { createClusterManagerClient } from '../../src/client/index.js';
import type { Stack } from '../../src/dev-stack/stack.js';
import { absolute, compared, quantile, type Figure } from '../figure.js';
import { insertClusters } from './clusters.js';
import type { Stores } from './stores.js';

const sizes = [100, 1000, 10_000] as const;

/** Resident memory of the worker, MB; 0 where /proc is not there. */
function workerMemory(stack: Stack): number {
  const pid = stack.processes().find(({ name }) => name.startsWith('worker'))?.pid ?? 0;
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** (b) the scaling interval over ever more clusters of five with nothing to do. */
export async function interval(stack: Stack, quick: boolean, { clusters }: Stores): Promise<Figure[]> {
  const { TEMPORAL_ADDRESS: address = '', TEMPORAL_NAMESPACE: namespace = '' } = stack.env;
  const connection = await Connection.connect({ address });
  const manager = createClusterManagerClient(new Client({ connection, namespace }), 'cluster-manager-1');
  const took = new Map<number, number>();
  const memory = new Map<number, number>();
  let present = 0;
  for (const size of sizes) {
    await insertClusters(clusters, { from: present + 1, to: size, members: 5 });
    present = size;
    const times: number[] = [];
    for (let run = 0; run < (quick ? 2 : 4); run += 1) {
      const begin = performance.now();
      const { assessed, started } = await manager.runScalingInterval({ dryRun: false });
      // The first run fills caches and compiles: it does not count.
      if (run > 0) times.push(performance.now() - begin);
      if (assessed !== size || started.length > 0) throw new Error(`${assessed} assessed, ${started.length} started`);
    }
    took.set(size, quantile(times, 0.5));
    memory.set(size, workerMemory(stack));
  }
  await connection.close();
  const at = (size: number) => took.get(size) ?? 0;
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
      memory.get(10_000) ?? 0,
      'MB of the worker',
      { against: '1,000 clusters', reference: memory.get(1000) ?? 1 },
      { text: '<= 1.5', isMet: (ratio) => ratio <= 1.5 },
    ),
  ];
}
