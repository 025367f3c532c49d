import { describe, it } from 'vitest';
import { crashWhileCommunicating } from '../faults/communication-points.js';
import { useDeployments } from '../faults/deployment-pool.js';

// A few of the crash points; `npm run test:faults` runs all of them.
const withDeployment = useDeployments(3);

describe.concurrent('a worker killed with SIGKILL while it manages communication', () => {
  it.for(['acceptMail:committed', 'handleBroadcasts:accepted', 'reAddress:moved'])(
    'a communication request interrupted at %s completes every part exactly once',
    { timeout: 120_000 },
    async (point, { expect }) => {
      const { recoveryMs, ...outcome } = await withDeployment((deployment) =>
        crashWhileCommunicating(deployment, point),
      );
      expect(recoveryMs).toBeGreaterThan(0);
      expect(outcome).toEqual({
        state: 'completed',
        accepted: 20,
        stored: 23,
        receipts: ['met', 'met'],
        left: 0,
        isSameAgain: true,
        violations: [],
      });
    },
  );
});
