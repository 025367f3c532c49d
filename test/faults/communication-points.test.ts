import { afterAll, describe, it } from 'vitest';
import { communicationPoints, crashWhileCommunicating } from './communication-points.js';
import { useDeployments } from './deployment-pool.js';
import { printRecovery } from './recovery-figures.js';

const repetitions = 3;

const withDeployment = useDeployments(4);
const recoveriesMs: number[] = [];

afterAll(() => {
  printRecovery('communication', recoveriesMs);
});

describe.concurrent('a worker killed while it manages communication', () => {
  it.for(communicationPoints)(
    'a communication request interrupted at %s completes every part exactly once',
    { timeout: 300_000 },
    async (point, { expect }) => {
      for (let run = 0; run < repetitions; run += 1) {
        const { recoveryMs, ...outcome } = await withDeployment((deployment) =>
          crashWhileCommunicating(deployment, point),
        );
        recoveriesMs.push(recoveryMs);
        expect(outcome).toEqual({
          state: 'completed',
          accepted: 20,
          // 20 messages, 2 broadcasts, 1 publication.
          stored: 23,
          receipts: ['met', 'met'],
          left: 0,
          isSameAgain: true,
          violations: [],
        });
      }
    },
  );
});
