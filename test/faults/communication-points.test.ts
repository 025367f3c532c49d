import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { communicationPoints, crashWhileCommunicating } from './communication-points.js';
import { openLane, type Lane } from './lane.js';
import { lanePool } from './lane-pool.js';
import { printRecovery } from './recovery-figures.js';

const repetitions = 3;
const lanesAtOnce = 4;

let lanes: Lane[] = [];
let withLane: ReturnType<typeof lanePool>;
const recoveriesMs: number[] = [];

beforeAll(async () => {
  const services = { adminUrl: inject('adminDatabaseUrl'), temporal: inject('temporal') };
  lanes = await Promise.all(Array.from({ length: lanesAtOnce }, () => openLane(services)));
  withLane = lanePool(lanes);
});
afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.close()));
  printRecovery('communication', recoveriesMs);
});

describe.concurrent('a worker killed while it manages communication', () => {
  it.for(communicationPoints)(
    'a communication request interrupted at %s completes every part exactly once',
    { timeout: 300_000 },
    async (point, { expect }) => {
      for (let run = 0; run < repetitions; run += 1) {
        const { recoveryMs, ...outcome } = await withLane((lane) => crashWhileCommunicating(lane, point));
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
