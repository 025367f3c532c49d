import { afterAll, describe, it } from 'vitest';
import { useDeployments } from './deployment-pool.js';
import { printRecovery } from './recovery-figures.js';
import { crashWhileScaling, scalingEnds, scalingPoints, type Scenario } from './scaling-points.js';

const repetitions = 3;

const withDeployment = useDeployments(4);
const recoveriesMs: number[] = [];

afterAll(() => {
  printRecovery('scaling', recoveriesMs);
});

const points = (Object.keys(scalingPoints) as Scenario[]).flatMap((scenario) =>
  scalingPoints[scenario].map((point) => ({ scenario, point })),
);

describe.concurrent('a worker killed while it scales a cluster', () => {
  it.for(points)(
    'a scaling ($scenario) interrupted at $point ends like an uninterrupted one',
    { timeout: 300_000 },
    async ({ scenario, point }, { expect }) => {
      for (let run = 0; run < repetitions; run += 1) {
        const { recoveryMs, ...outcome } = await withDeployment((deployment) =>
          crashWhileScaling(deployment, scenario, point),
        );
        recoveriesMs.push(recoveryMs);
        expect(outcome).toEqual(scalingEnds[scenario]);
      }
    },
  );
});
