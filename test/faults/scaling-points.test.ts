import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { openLane, type Lane } from './lane.js';
import { lanePool } from './lane-pool.js';
import { printRecovery } from './recovery-figures.js';
import { crashWhileScaling, scalingEnds, scalingPoints, type Scenario } from './scaling-points.js';

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
  printRecovery('scaling', recoveriesMs);
});

const points = (Object.keys(scalingPoints) as Scenario[]).flatMap((scenario) =>
  scalingPoints[scenario].map((point) => ({ scenario, point })),
);

describe.concurrent('a worker killed while it scales a cluster', () => {
  it.for(points)(
    'a scaling ($scenario) interrupted at $point ends like an uninterrupted one',
    { timeout: 300_000 },
    async ({ scenario, point }, { expect }) => {
      for (let run = 0; run < repetitions; run += 1) {
        const { recoveryMs, ...outcome } = await withLane((lane) => crashWhileScaling(lane, scenario, point));
        recoveriesMs.push(recoveryMs);
        expect(outcome).toEqual(scalingEnds[scenario]);
      }
    },
  );
});
