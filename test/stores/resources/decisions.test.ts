import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  findDecision,
  listDecisions,
  recordOutcome,
  saveDecision,
  pruneDecisions,
  type NewDecision,
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

const decision = (over: Partial<NewDecision> = {}): NewDecision => ({
  id: fresh('dec_x'),
  clusterId: 'cl-1',
  operationId: null,
  round: 0,
  atMs: Date.UTC(2026, 0, 1),
  decision: { from: 5, desired: 7 },
  facts: { members: ['a'] },
  sentence: 'Grows from 5 to 7 members.',
  ...over,
});

describe('a decision', () => {
  it('a decision is stored once and read with its inputs', async () => {
    const one = decision();
    const saved = await saveDecision(db, one);
    const { atMs, ...rest } = one;
    expect(saved).toMatchObject({ ...rest, at: new Date(atMs), outcome: null, outcomeDetail: null });
    expect(await saveDecision(db, { ...one, sentence: 'Something else.' })).toEqual(saved);
    expect(await findDecision(db, one.id)).toEqual(saved);
    expect(await findDecision(db, 'dec_none')).toBeUndefined();
  });

  it('a decision keeps its first outcome', async () => {
    const { id } = await saveDecision(db, decision());
    const ended = await recordOutcome(db, id, 'passed', { scores: [0.9] });
    expect(ended).toMatchObject({ outcome: 'passed', outcomeDetail: { scores: [0.9] } });
    expect(await recordOutcome(db, id, 'passed')).toEqual(ended);
    await expect(recordOutcome(db, id, 'rolled_back')).rejects.toMatchObject({
      code: 'state_conflict',
      message: expect.stringContaining('passed') as string,
    });
    await expect(recordOutcome(db, 'dec_none', 'passed')).rejects.toMatchObject({ code: 'not_found' });
  });
});

it('decisions are listed newest first, page by page, and deleted in chunks', async () => {
  const clusterId = fresh('cl');
  for (const one of times(5, () => decision({ clusterId }))) await saveDecision(db, one);
  const recent = await saveDecision(db, decision({ clusterId, atMs: Date.now() }));
  const first = await listDecisions(db, clusterId, { limit: 2 });
  const next = await listDecisions(db, clusterId, { after: first[1]?.no ?? 0, limit: 10 });
  expect([first.length, next.length]).toEqual([2, 4]);
  const numbers = [...first, ...next].map(({ no }) => no);
  expect(numbers).toEqual([...numbers].sort((a, b) => b - a));
  await sql`delete from decisions where cluster_id <> ${clusterId}`.execute(db);
  expect(await pruneDecisions(db, { keepSeconds: 3600, limit: 3 })).toBe(3);
  expect(await pruneDecisions(db, { keepSeconds: 3600, limit: 3 })).toBe(2);
  expect(await listDecisions(db, clusterId, { limit: 10 })).toEqual([recent]);
});
