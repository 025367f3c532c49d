import { describe, it } from 'vitest';
import { useDeployments } from '../faults/deployment-pool.js';
import { crashWhileScaling, scalingEnds } from '../faults/scaling-points.js';

// A few of the crash points; `npm run test:faults` runs all of them.
const withDeployment = useDeployments(3);

describe.concurrent('a worker killed with SIGKILL while it scales a cluster', () => {
  it.for([
    { scenario: 'grow', point: 'soak' },
    { scenario: 'shrink', point: 'drain' },
    { scenario: 'undo', point: 'compensate:announced' },
  ] as const)(
    'a scaling ($scenario) interrupted at $point ends like an uninterrupted one',
    { timeout: 120_000 },
    async ({ scenario, point }, { expect }) => {
      const { recoveryMs, ...outcome } = await withDeployment((deployment) =>
        crashWhileScaling(deployment, scenario, point),
      );
      expect(recoveryMs).toBeGreaterThan(0);
      expect(outcome).toEqual(scalingEnds[scenario]);
    },
  );
});
