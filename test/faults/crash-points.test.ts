import { afterAll, describe, it } from 'vitest';
import { crashWhileForming, crashWhileUndoing, formingPoints, undoingPoints } from './crash-points.js';
import { useDeployments } from './deployment-pool.js';
import { printRecovery } from './recovery-figures.js';

const repetitions = 3;

const withDeployment = useDeployments(3);
const recoveriesMs: { readonly forming: number[]; readonly undoing: number[] } = { forming: [], undoing: [] };

afterAll(() => {
  for (const [what, values] of Object.entries(recoveriesMs)) printRecovery(what, values);
});

describe.concurrent('a worker killed during a formation', () => {
  it.for(formingPoints)(
    'formations interrupted at %s are completed by the restarted worker',
    { timeout: 300_000 },
    async (point, { expect }) => {
      for (let run = 0; run < repetitions; run += 1) {
        const { states, recoveryMs, violations } = await withDeployment((deployment) =>
          crashWhileForming(deployment, point),
        );
        recoveriesMs.forming.push(recoveryMs);
        expect(violations).toEqual([]);
        expect(states).toEqual(['completed', 'completed', 'completed']);
      }
    },
  );
});

describe.concurrent('a worker killed during compensation', () => {
  it.for(undoingPoints)(
    'a formation whose compensation is interrupted at %s is undone exactly once',
    { timeout: 300_000 },
    async (point, { expect }) => {
      for (let run = 0; run < repetitions; run += 1) {
        const { states, recoveryMs, violations } = await withDeployment((deployment) =>
          crashWhileUndoing(deployment, point),
        );
        recoveriesMs.undoing.push(recoveryMs);
        expect(violations).toEqual([]);
        expect(states).toEqual(['compensated']);
      }
    },
  );
});
