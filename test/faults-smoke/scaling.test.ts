import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { openLane, type Lane } from '../faults/lane.js';
import { lanePool } from '../faults/lane-pool.js';
import { crashWhileScaling, scalingEnds } from '../faults/scaling-points.js';

/** A few of the points that `npm run test:faults` goes through whole. */
let lanes: Lane[] = [];
let withLane: ReturnType<typeof lanePool>;

beforeAll(async () => {
  const services = { adminUrl: inject('adminDatabaseUrl'), temporal: inject('temporal') };
  lanes = await Promise.all(Array.from({ length: 3 }, () => openLane(services)));
  withLane = lanePool(lanes);
});
afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.close()));
});

describe.concurrent('a worker killed with SIGKILL while it scales a cluster', () => {
  it.for([
    { scenario: 'grow', point: 'soak' },
    { scenario: 'shrink', point: 'drain' },
    { scenario: 'undo', point: 'compensate:announced' },
  ] as const)(
    'a scaling ($scenario) interrupted at $point ends like an uninterrupted one',
    { timeout: 120_000 },
    async ({ scenario, point }, { expect }) => {
      const { recoveryMs, ...outcome } = await withLane((lane) => crashWhileScaling(lane, scenario, point));
      expect(recoveryMs).toBeGreaterThan(0);
      expect(outcome).toEqual(scalingEnds[scenario]);
    },
  );
});
