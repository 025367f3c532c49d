import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { crashWhileCommunicating } from '../faults/communication-points.js';
import { openLane, type Lane } from '../faults/lane.js';
import { lanePool } from '../faults/lane-pool.js';

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

describe.concurrent('a worker killed with SIGKILL while it manages communication', () => {
  it.for(['acceptMail:committed', 'handleBroadcasts:accepted', 'reAddress:moved'])(
    'a communication request interrupted at %s completes every part exactly once',
    { timeout: 120_000 },
    async (point, { expect }) => {
      const { recoveryMs, ...outcome } = await withLane((lane) => crashWhileCommunicating(lane, point));
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
