import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  lastScores,
  saveScores,
  pruneScores,
  type ResourcesDb,
  type ScoreRow,
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

const nowMs = Date.now();
const scored = (clusterId: string, secondsAgo: number, over: Partial<ScoreRow> = {}): ScoreRow => ({
  clusterId,
  atMs: nowMs - secondsAgo * 1000,
  score: 0.895,
  parts: { a: 0.8, m: 0.819, l: 1, d: 1, b: 1 },
  caps: [],
  assumed: ['l'],
  unknown: null,
  ...over,
});

it('the latest stability scores are read oldest first and complete, each moment once', async () => {
  const [one, other] = [fresh('cl'), fresh('cl')];
  const none = { a: null, m: null, l: null, d: null, b: null };
  const rows = [
    scored(one, 30),
    scored(one, 15, { score: null, parts: none, assumed: [], unknown: 'no member has reported' }),
    scored(one, 0, { score: 0.5, caps: ['below_minimum', 'no_quorum'] }),
  ];
  await saveScores(db, [...rows, scored(other, 0)]);
  await saveScores(db, [{ ...scored(one, 0), score: 0.1 }]);
  expect(await lastScores(db, one, 5)).toEqual(rows);
  expect(await lastScores(db, one, 2)).toEqual(rows.slice(1));
  expect(await lastScores(db, other, 5)).toHaveLength(1);
  expect(await lastScores(db, 'cl-none', 5)).toEqual([]);
});

it('an invalid stability score is refused, and so is an unknown one without a reason', async () => {
  for (const over of [{ score: 1.01 }, { score: -0.1 }, { score: null }, { unknown: 'but there is one' }]) {
    await expect(saveScores(db, [scored(fresh('cl'), 0, over)])).rejects.toThrow(/violates check/);
  }
});

it('old stability scores are deleted in chunks', async () => {
  const clusterId = fresh('cl');
  await saveScores(
    db,
    times(7, (n) => scored(clusterId, 4000 + n)),
  );
  await saveScores(db, [scored(clusterId, 0)]);
  expect(await pruneScores(db, { keepSeconds: 3600, limit: 5 })).toBe(5);
  expect(await pruneScores(db, { keepSeconds: 3600, limit: 5 })).toBe(2);
  expect(await lastScores(db, clusterId, 10)).toHaveLength(1);
});
