import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { crashWhileForming, crashWhileUndoing, formingPoints, undoingPoints } from './crash-points.js';
import { openLane, type Lane } from './lane.js';
import { lanePool } from './lane-pool.js';
import { printRecovery } from './recovery-figures.js';

const repetitions = 3;
const lanesAtOnce = 3;

let lanes: Lane[] = [];
let withLane: ReturnType<typeof lanePool>;
const recoveriesMs: { readonly forming: number[]; readonly undoing: number[] } = { forming: [], undoing: [] };

beforeAll(async () => {
  const services = { adminUrl: inject('adminDatabaseUrl'), temporal: inject('temporal') };
  lanes = await Promise.all(Array.from({ length: lanesAtOnce }, () => openLane(services)));
  withLane = lanePool(lanes);
});
afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.close()));
  for (const [what, values] of Object.entries(recoveriesMs)) printRecovery(what, values);
});

describe.concurrent('a worker killed during a formation', () => {
  it.for(formingPoints)(
    'formations interrupted at %s are completed by the restarted worker',
    { timeout: 300_000 },
    async (point, { expect }) => {
      for (let run = 0; run < repetitions; run += 1) {
        const { states, recoveryMs, violations } = await withLane((lane) => crashWhileForming(lane, point));
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
        const { states, recoveryMs, violations } = await withLane((lane) => crashWhileUndoing(lane, point));
        recoveriesMs.undoing.push(recoveryMs);
        expect(violations).toEqual([]);
        expect(states).toEqual(['compensated']);
      }
    },
  );
});
