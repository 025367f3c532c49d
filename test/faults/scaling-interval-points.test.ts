import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { connectTemporal } from '../../src/client/connect.js';
import { useDeployments } from './deployment-pool.js';
import { printRecovery } from './recovery-figures.js';
import {
  crashInInterval,
  intervalEnd,
  intervalPoints,
  intervalSettings,
  type IntervalPhase,
} from './scaling-interval-points.js';

const repetitions = 3;

let temporal: Awaited<ReturnType<typeof connectTemporal>>;
const withDeployment = useDeployments(3, { settings: intervalSettings });
const recoveriesMs: number[] = [];

beforeAll(async () => {
  temporal = await connectTemporal(inject('temporal'));
});
afterAll(async () => {
  await temporal?.close();
  printRecovery('scaling-interval', recoveriesMs);
});

const points = (Object.keys(intervalPoints) as IntervalPhase[]).flatMap((phase) =>
  intervalPoints[phase].map((point) => ({ phase, point })),
);

describe.concurrent('a worker killed during a scaling interval', () => {
  it.for(points)(
    'a scaling interval interrupted in $phase at $point ends like an uninterrupted one',
    { timeout: 300_000 },
    async ({ phase, point }, { expect }) => {
      for (let run = 0; run < repetitions; run += 1) {
        const crashed = withDeployment((deployment) => crashInInterval(deployment, temporal.client, { phase, point }));
        const { recoveryMs, ...end } = await crashed;
        recoveriesMs.push(recoveryMs);
        expect(end).toEqual(intervalEnd(phase));
      }
    },
  );
});
