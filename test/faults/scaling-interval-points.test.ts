import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { connectTemporal } from '../../src/client/connect.js';
import { openLane, type Lane } from './lane.js';
import { lanePool } from './lane-pool.js';
import { printRecovery } from './recovery-figures.js';
import {
  crashInInterval,
  intervalEnd,
  intervalPoints,
  intervalSettings,
  type IntervalPhase,
} from './scaling-interval-points.js';

const repetitions = 3;
const lanesAtOnce = 3;

let temporal: Awaited<ReturnType<typeof connectTemporal>>;
let lanes: Lane[] = [];
let withLane: ReturnType<typeof lanePool>;
const recoveriesMs: number[] = [];

beforeAll(async () => {
  const services = { adminUrl: inject('adminDatabaseUrl'), temporal: inject('temporal') };
  temporal = await connectTemporal(services.temporal);
  const opened = Array.from({ length: lanesAtOnce }, () => openLane(services, { settings: intervalSettings }));
  lanes = await Promise.all(opened);
  withLane = lanePool(lanes);
});
afterAll(async () => {
  await Promise.all(lanes.map((lane) => lane.close()));
  await temporal?.close();
  printRecovery('scaling-interval', recoveriesMs);
});

const points = (Object.keys(intervalPoints) as IntervalPhase[]).flatMap((phase) =>
  intervalPoints[phase].map((point) => ({ phase, point })),
);

describe.concurrent('a worker killed during a scaling interval', () => {
  it.for(points)(
    'a scaling interval interrupted in $phase at $point ends like an uninterrupted one',
    { timeout: 300_000 },
    async ({ phase, point }, { expect }) => {
      for (let run = 0; run < repetitions; run += 1) {
        const crashed = withLane((lane) => crashInInterval(lane, temporal.client, { phase, point }));
        const { recoveryMs, ...end } = await crashed;
        recoveriesMs.push(recoveryMs);
        expect(end).toEqual(intervalEnd(phase));
      }
    },
  );
});
