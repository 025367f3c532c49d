import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { crashWhileForming, crashWhileUndoing } from '../faults/crash-points.js';
import { openLane, type Lane } from '../faults/lane.js';
import { lanePool } from '../faults/lane-pool.js';

/** A few of the points that `npm run test:faults` goes through whole. */
let lanes: Lane[] = [];
let withLane: ReturnType<typeof lanePool>;

beforeAll(async () => {
  const services = { adminUrl: inject('adminDatabaseUrl'), temporal: inject('temporal') };
  lanes = await Promise.all(Array.from({ length: 4 }, () => openLane(services)));
  withLane = lanePool(lanes);
});
afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.close()));
});

describe.concurrent('a worker killed with SIGKILL', () => {
  it.for(['identifyAgents:after-commit', 'establishConnections:before-commit', 'initializeCluster:before'])(
    'formations interrupted at %s are completed by the restarted worker',
    { timeout: 90_000 },
    async (point, { expect }) => {
      const { states, violations } = await withLane((lane) => crashWhileForming(lane, point));
      expect(violations).toEqual([]);
      expect(states).toEqual(['completed', 'completed', 'completed']);
    },
  );

  it(
    'a formation whose compensation is interrupted is undone exactly once',
    { timeout: 90_000 },
    async ({ expect }) => {
      const { states, violations } = await withLane((lane) =>
        crashWhileUndoing(lane, 'undo:establishConnections:before-commit'),
      );
      expect(violations).toEqual([]);
      expect(states).toEqual(['compensated']);
    },
  );
});
