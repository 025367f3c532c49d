import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  saveCapacityAnswer,
  expireCapacityRequests,
  findCapacityRequest,
  listCapacityRequests,
  openCapacityRequest,
  pruneCapacityRequests,
  type NewCapacityRequest,
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

const asking = (over: Partial<NewCapacityRequest> = {}): NewCapacityRequest => ({
  id: fresh('rr_x'),
  clusterId: 'cl-1',
  operationId: fresh('op'),
  round: 0,
  need: { members: 2 },
  reason: 'The fleet has nobody who can translate',
  deadlineSeconds: 60,
  ...over,
});
const grant = { state: 'granted', by: 'orchestrator', answer: { agents: ['a', 'b'] } } as const;
const pastDeadline = (ids: readonly string[]) =>
  sql`update capacity_requests set deadline_at = clock_timestamp() - interval '1 ms' where id = any(${[...ids]})`.execute(
    db,
  );
const refused = (detail: string) => ({ code: 'state_conflict', message: expect.stringContaining(detail) as string });

describe('a capacity request', () => {
  it('a capacity request opened concurrently is opened once per round', async () => {
    const wanted = asking();
    const opened = await Promise.all(times(10, () => openCapacityRequest(db, { ...wanted, id: fresh('rr_y') })));
    expect(new Set(opened.map(({ id }) => id)).size).toBe(1);
    expect(opened[0]).toMatchObject({ state: 'open', need: wanted.need, reason: wanted.reason, answeredAt: null });
    const next = await openCapacityRequest(db, { ...wanted, round: 1 });
    expect(next.id).toBe(wanted.id);
    expect((await findCapacityRequest(db, next.id))?.round).toBe(1);
  });

  it('a capacity request id used again returns the same request, and is refused for another one', async () => {
    const wanted = asking({ operationId: 'op-mine', clusterId: 'cl-mine' });
    const opened = await openCapacityRequest(db, wanted);
    expect(await openCapacityRequest(db, { ...wanted, reason: 'Said otherwise' })).toEqual(opened);
    for (const other of [{ clusterId: 'cl-other', operationId: 'op-other' }, { round: 1 }, { clusterId: 'cl-other' }]) {
      await expect(openCapacityRequest(db, { ...wanted, ...other })).rejects.toMatchObject({
        name: 'ManagerError',
        code: 'idempotency_conflict',
        message: expect.stringContaining(
          `"${wanted.id}" is of cluster "cl-mine", operation "op-mine", round 0`,
        ) as string,
      });
    }
    expect(await findCapacityRequest(db, wanted.id)).toEqual(opened);
  });

  it('a capacity request is answered by one of several concurrent parties, and repeating the answer confirms it', async () => {
    const { id } = await openCapacityRequest(db, asking());
    const answers = await Promise.allSettled(
      times(10, (n) => saveCapacityAnswer(db, id, { ...grant, by: `party-${n}` })),
    );
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const answered = await findCapacityRequest(db, id);
    expect(answered).toMatchObject({ state: 'granted', answer: grant.answer });
    const by = answered?.answeredBy ?? '';
    expect(await saveCapacityAnswer(db, id, { ...grant, by })).toEqual(answered);
    for (const other of [{ state: 'denied' as const }, { answer: {} }, { by: 'somebody' }]) {
      await expect(saveCapacityAnswer(db, id, { ...grant, by, ...other })).rejects.toMatchObject(
        refused(`granted by ${by}`),
      );
    }
    expect(await findCapacityRequest(db, id)).toEqual(answered);
  });

  it('a capacity request cannot be answered after its deadline or when it does not exist', async () => {
    const { id } = await openCapacityRequest(db, asking());
    await pastDeadline([id]);
    await expect(saveCapacityAnswer(db, id, grant)).rejects.toMatchObject(refused('expired at'));
    expect(await expireCapacityRequests(db, 100)).toEqual([id]);
    await expect(saveCapacityAnswer(db, id, grant)).rejects.toMatchObject(refused('expired at'));
    await expect(saveCapacityAnswer(db, 'rr_none', grant)).rejects.toMatchObject({ code: 'not_found' });
    await expect(openCapacityRequest(db, asking({ deadlineSeconds: NaN }))).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });

  it('open capacity requests expire in chunks, and answered ones do not', async () => {
    const ids = (await Promise.all(times(5, () => openCapacityRequest(db, asking())))).map(({ id }) => id);
    await saveCapacityAnswer(db, ids[0] ?? '', { ...grant, state: 'denied' });
    await pastDeadline(ids);
    const expired = [
      await expireCapacityRequests(db, 3),
      await expireCapacityRequests(db, 3),
      await expireCapacityRequests(db, 3),
    ];
    expect(expired.map(({ length }) => length)).toEqual([3, 1, 0]);
    expect(expired.flat().sort()).toEqual(ids.slice(1).sort());
    expect((await findCapacityRequest(db, ids[0] ?? ''))?.state).toBe('denied');
  });
});

it('capacity requests are listed newest first by state and cluster, and deleted after their retention', async () => {
  const clusterId = fresh('cl');
  const ids: string[] = [];
  for (let n = 0; n < 4; n += 1) ids.push((await openCapacityRequest(db, asking({ clusterId }))).id);
  await saveCapacityAnswer(db, ids[1] ?? '', grant);
  const first = await listCapacityRequests(db, { clusterId, limit: 2 });
  const next = await listCapacityRequests(db, { clusterId, after: first[1]?.no ?? 0, limit: 5 });
  expect([...first, ...next].map(({ id }) => id)).toEqual([...ids].reverse());
  expect((await listCapacityRequests(db, { clusterId, state: 'open', limit: 5 })).map(({ id }) => id)).toEqual([
    ids[3],
    ids[2],
    ids[0],
  ]);
  await sql`update capacity_requests set answered_at = now() - interval '1 day' where id = ${ids[1]}`.execute(db);
  expect(await pruneCapacityRequests(db, { keepSeconds: 3600, limit: 10 })).toBe(1);
  expect(await listCapacityRequests(db, { clusterId, limit: 5 })).toHaveLength(3);
});
