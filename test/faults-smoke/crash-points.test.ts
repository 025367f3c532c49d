import { describe, it } from 'vitest';
import { crashWhileForming, crashWhileUndoing } from '../faults/crash-points.js';
import { useDeployments } from '../faults/deployment-pool.js';

// A few of the crash points; `npm run test:faults` runs all of them.
const withDeployment = useDeployments(4);

describe.concurrent('a worker killed with SIGKILL', () => {
  it.for(['identifyAgents:after-commit', 'establishConnections:before-commit', 'initializeCluster:before'])(
    'formations interrupted at %s are completed by the restarted worker',
    { timeout: 90_000 },
    async (point, { expect }) => {
      const { states, violations } = await withDeployment((deployment) => crashWhileForming(deployment, point));
      expect(violations).toEqual([]);
      expect(states).toEqual(['completed', 'completed', 'completed']);
    },
  );

  it(
    'a formation whose compensation is interrupted is undone exactly once',
    { timeout: 90_000 },
    async ({ expect }) => {
      const { states, violations } = await withDeployment((deployment) =>
        crashWhileUndoing(deployment, 'undo:establishConnections:before-commit'),
      );
      expect(violations).toEqual([]);
      expect(states).toEqual(['compensated']);
    },
  );
});
