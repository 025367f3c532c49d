import { sql } from 'kysely';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  blockRecommendation,
  recordChange,
  recordOutcome,
  recordRecommendations,
  saveDecision,
  scalingMemories,
  pruneScalingMemory,
  type ResourcesDb,
} from '../../../src/stores/resources/index.js';
import { createTestDatabases, type TestDatabases } from '../../support/database.js';
import { fresh, times } from './builders.js';

let stores: TestDatabases;
let db: ResourcesDb;

beforeAll(async () => {
  stores = await createTestDatabases();
  db = stores.resources;
});
afterAll(() => stores?.drop());

const nowMs = Date.UTC(2026, 0, 1, 12);
const rules = { nowMs, windowSeconds: 1200, changesSeconds: 5400, gapSeconds: 900 };
const ago = (seconds: number): number => nowMs - seconds * 1000;
const recommend = (clusterId: string, secondsAgo: readonly number[]) =>
  recordRecommendations(
    db,
    secondsAgo.map((seconds) => ({ clusterId, atMs: ago(seconds), desired: 5 })),
  );
const memoryOf = async (clusterId: string) => (await scalingMemories(db, [clusterId], rules)).get(clusterId);

it('a cluster without recorded data has an empty scaling memory', async () => {
  expect(await memoryOf('cl-none')).toEqual({
    recommendations: [],
    watchedSinceMs: null,
    changes: [],
    blocks: [],
    wanted: null,
  });
});

type Made = readonly [secondsAgo: number, because: string, outcome: string, waitedFor: number];
it.each<[string, readonly Made[], number | null]>([
  ['is remembered after a requested scaling that added only a part of it', [[600, 'asked', 'partial', 2]], 6],
  ['is remembered after a requested scaling that found no agent', [[600, 'asked', 'unchanged', 3]], 6],
  ['is forgotten when the scaling is older than the window', [[1200, 'asked', 'partial', 2]], null],
  [
    'is forgotten after a later scaling that added all of it',
    [
      [600, 'asked', 'partial', 2],
      [300, 'formula', 'scaled', 0],
    ],
    null,
  ],
  [
    'is remembered while the window holds a later scaling that added only a part of it',
    [
      [1300, 'asked', 'partial', 2],
      [300, 'formula', 'partial', 1],
    ],
    6,
  ],
  [
    'is remembered after a later scaling that found no agent either',
    [
      [600, 'asked', 'partial', 2],
      [300, 'formula', 'unchanged', 2],
    ],
    6,
  ],
  [
    'is forgotten after a later request that does not need it',
    [
      [600, 'asked', 'partial', 2],
      [300, 'asked', 'unchanged', 0],
    ],
    null,
  ],
])('unmet capacity of a cluster %s', async (_name, made, wanted) => {
  const clusterId = fresh('cl');
  for (const [secondsAgo, because, outcome, waitedFor] of made) {
    const decision = { direction: 'out', because, desired: 6 };
    const { id } = await saveDecision(db, {
      id: fresh('dec'),
      clusterId,
      operationId: fresh('op'),
      round: 0,
      atMs: ago(secondsAgo),
      decision,
      facts: {},
      sentence: 'Grows.',
    });
    await recordOutcome(db, id, outcome, { waitedFor });
  }
  expect((await memoryOf(clusterId))?.wanted).toBe(wanted);
});

it.each<[string, readonly number[], number | null]>([
  ['at the first recommendation when there is no gap', [2400, 1800, 1200, 600, 0], 2400],
  ['after the last gap', [9000, 3000, 1800, 900, 10], 1800],
  ['at the newest recommendation when a gap is before it', [3000, 60], 60],
  ['at an unknown time when the newest recommendation is too old', [1800, 901], null],
])('the observation of a cluster begins %s', async (_name, recommended, since) => {
  const clusterId = fresh('cl');
  await recommend(clusterId, recommended);
  expect((await memoryOf(clusterId))?.watchedSinceMs).toBe(since === null ? null : ago(since));
});

it('recommendations are read for the window, and one of the same moment is stored once', async () => {
  const clusterId = fresh('cl');
  await recommend(clusterId, [1200, 1199, 15, 0, -30]);
  await recommend(clusterId, [15]);
  expect((await memoryOf(clusterId))?.recommendations).toEqual(
    [1199, 15, 0, -30].map((seconds) => ({ atMs: ago(seconds), desired: 5 })),
  );
});

it('a scaling change is recorded once, and read with its count against the flap budget', async () => {
  const clusterId = fresh('cl');
  const change = {
    clusterId,
    direction: 'out',
    members: 3,
    charged: 2,
    cause: 'scaling',
    operationId: 'op_1',
  } as const;
  const id = fresh('change');
  for (let again = 0; again < 2; again += 1) await recordChange(db, { ...change, id, atMs: ago(5399) });
  await recordChange(db, { ...change, id: fresh('change'), atMs: ago(5400) });
  expect((await memoryOf(clusterId))?.changes).toEqual([
    { atMs: ago(5399), direction: 'out', members: 2, cause: 'scaling' },
  ]);
  await expect(recordChange(db, { ...change, id: fresh('change'), atMs: nowMs, charged: 4 })).rejects.toThrow(
    /violates/,
  );
});

it('a block on growth is extended but never shortened, and ends at its time', async () => {
  const clusterId = fresh('cl');
  const block = { clusterId, direction: 'in', desired: 4, reason: 'the score fell' } as const;
  for (const seconds of [1000, 1800, 900]) await blockRecommendation(db, { ...block, untilMs: ago(-seconds) });
  await blockRecommendation(db, { ...block, desired: 3, untilMs: nowMs });
  expect((await memoryOf(clusterId))?.blocks).toEqual([
    { direction: 'in', desired: 4, untilMs: ago(-1800), reason: 'the score fell' },
  ]);
});

it('the scaling memories of many clusters are read in one call, separately', async () => {
  const ids = times(20, () => fresh('cl'));
  for (const [index, id] of ids.entries()) await recommend(id, [index]);
  const found = await scalingMemories(db, ids, rules);
  for (const [index, id] of ids.entries()) expect(found.get(id)?.watchedSinceMs).toBe(ago(index));
});

it('old rows of the scaling memory are deleted in chunks, and new ones stay', async () => {
  const clusterId = fresh('cl');
  await sql`truncate recommendations, scaling_changes, scaling_blocks`.execute(db);
  const old = Date.now() - 10_000_000;
  await recordRecommendations(
    db,
    times(7, (index) => ({ clusterId, atMs: old + index, desired: 5 })),
  );
  await recordRecommendations(db, [{ clusterId, atMs: Date.now(), desired: 5 }]);
  await blockRecommendation(db, { clusterId, direction: 'in', desired: 4, reason: 'x', untilMs: old });
  expect(await pruneScalingMemory(db, { keepSeconds: 7200, limit: 5 })).toBe(6);
  expect(await pruneScalingMemory(db, { keepSeconds: 7200, limit: 5 })).toBe(2);
  expect(await pruneScalingMemory(db, { keepSeconds: 7200, limit: 5 })).toBe(0);
});
