import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expireLeases } from '../../src/maintenance/lease-expirer.js';
import type { BudgetView, HoldAnswer } from '../../src/contracts/resources.js';
import { waitFor } from '../support/wait-for.js';
import { codeOf } from './messaging-fixture.js';
import { startResourceApi, type ResourceApi } from './resource-clusters.js';
import type { Answer, TestApi } from './support.js';

let fleet: ResourceApi;
let test: TestApi;
let clusterId: string;
let member: string;
let stranger: string;
beforeAll(async () => {
  fleet = await startResourceApi();
  ({ test } = fleet);
  ({ clusterId, member } = await fleet.clusterOf('spender'));
  stranger = await test.register('stranger');
});
afterAll(() => fleet.stop());

const refusal = (answer: Answer): [number, string] => [answer.status, codeOf(answer)];
const put = (id: string, limit: unknown, more: object = {}) =>
  test.call('PUT', `/v1/budgets/${id}`, {
    token: test.tokens.orchestrator,
    body: { clusterId, resource: 'usd', limit, ...more },
  });
const reserve = (id: string, amount: unknown, more: Record<string, unknown> & { token?: string } = {}) => {
  const { token = member, ...rest } = more;
  return test.call('POST', `/v1/budgets/${id}/reserve`, { token, body: { amount, leaseSeconds: 600, ...rest } });
};
const commit = (id: string, actual: unknown, token = member) =>
  test.call('POST', `/v1/reservations/${id}/commit`, { token, body: { actual } });
const release = (id: string, token = member) => test.call('POST', `/v1/reservations/${id}/release`, { token });
const reserved = ({ body }: Answer) => body as HoldAnswer;

describe('a budget', () => {
  it('committing a reservation charges the budget with the actual amount and frees the rest', async () => {
    expect((await put('b-use', 100)).body).toMatchObject({ budget: { limit: 100, left: 100 } });
    const { reservation, budget } = reserved(await reserve('b-use', 60));
    expect([reservation.state, budget.reserved, budget.left]).toEqual(['open', 60, 40]);
    expect(reserved(await commit(reservation.id, 12.5))).toMatchObject({
      reservation: { state: 'committed', actual: 12.5, overdrawn: 0 },
      budget: { reserved: 0, committed: 12.5, left: 87.5 },
    });
    const other = reserved(await reserve('b-use', 50)).reservation.id;
    expect(reserved(await release(other))).toMatchObject({
      reservation: { state: 'released' },
      budget: { left: 87.5 },
    });
    const listed = await test.call('GET', `/v1/budgets?clusterId=${clusterId}`, { token: member });
    const budgets = (listed.body as { budgets: BudgetView[] }).budgets;
    expect(budgets.find(({ id }) => id === 'b-use')).toMatchObject({ committed: 12.5, reserved: 0 });
  });

  it('concurrent reservations never exceed the limit of a budget', async () => {
    await put('b-race', 100);
    const answers = await Promise.all(Array.from({ length: 20 }, () => reserve('b-race', 9)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(11);
    const refused = answers.filter(({ status }) => status !== 200);
    for (const answer of refused) {
      expect(refusal(answer)).toEqual([409, 'budget_exceeded']);
      expect((answer.body as { detail: string }).detail).toContain('1 of 100');
    }
  });

  it('a reservation whose lease expired frees its amount, and can still be committed with what was used', async () => {
    await put('b-lease', 10);
    const { id } = reserved(await reserve('b-lease', 8, { leaseSeconds: 1 })).reservation;
    await waitFor('the end of the lease', async () => {
      await expireLeases(test.maintenance);
      const { body } = await test.call('GET', `/v1/budgets?clusterId=${clusterId}`, { token: member });
      return (body as { budgets: BudgetView[] }).budgets.find((one) => one.id === 'b-lease')?.left === 10;
    });
    expect(reserved(await commit(id, 3))).toMatchObject({
      reservation: { state: 'committed', actual: 3 },
      budget: { reserved: 0, committed: 3, left: 7 },
    });
  });

  it('a budget that is overdrawn shows the excess and refuses further reservations', async () => {
    await put('b-over', 10);
    const { id } = reserved(await reserve('b-over', 10)).reservation;
    expect(reserved(await commit(id, 15))).toMatchObject({
      reservation: { actual: 15, overdrawn: 5 },
      budget: { committed: 10, overdrawn: 5, left: 0 },
    });
    expect(refusal(await reserve('b-over', 0.001))).toEqual([409, 'budget_exceeded']);
    expect(refusal(await put('b-over', 9))).toEqual([409, 'state_conflict']);
  });

  it('a repeated budget, reservation or commit counts once, and another one with its id is a conflict', async () => {
    await put('b-again', 100);
    expect((await put('b-again', 100)).status).toBe(200);
    expect(refusal(await put('b-again', 100, { resource: 'tokens' }))).toEqual([409, 'state_conflict']);
    for (const _time of [1, 2]) {
      expect(reserved(await reserve('b-again', 5, { reservationId: 'r-again' })).budget.reserved).toBe(5);
    }
    expect(refusal(await reserve('b-again', 6, { reservationId: 'r-again' }))).toEqual([409, 'idempotency_conflict']);
    for (const _time of [1, 2]) expect(reserved(await commit('r-again', 4)).budget.committed).toBe(4);
    expect(refusal(await commit('r-again', 3))).toEqual([409, 'idempotency_conflict']);
    expect(refusal(await release('r-again'))).toEqual([409, 'state_conflict']);
    const gone = reserved(await reserve('b-again', 5)).reservation.id;
    for (const _time of [1, 2]) expect((await release(gone)).status).toBe(200);
    expect(refusal(await commit(gone, 1))).toEqual([409, 'state_conflict']);
  });

  it("a cluster's budgets and reservations get 404 from agents that are not its members", async () => {
    await put('b-own', 100);
    const { id } = reserved(await reserve('b-own', 1)).reservation;
    for (const answer of [
      await reserve('b-own', 1, { token: stranger }),
      await commit(id, 1, stranger),
      await release(id, stranger),
      await test.call('GET', `/v1/budgets?clusterId=${clusterId}`, { token: stranger }),
      await reserve('b-none', 1),
      await commit('r-none', 1),
      await release('r-none'),
      await put('b-none', 1, { clusterId: 'cl_none' }),
    ]) {
      expect(refusal(answer)).toEqual([404, 'not_found']);
    }
    expect((await test.call('PUT', '/v1/budgets/b-own', { token: member, body: {} })).status).toBe(403);
  });

  it('the budget of a dissolved cluster cannot be changed or reserved, and a repeated reservation still returns the first', async () => {
    const gone = await fleet.clusterOf('gone');
    const token = test.tokens.orchestrator;
    await put('b-gone', 10, { clusterId: gone.clusterId });
    await reserve('b-gone', 1, { token, reservationId: 'r-gone' });
    await fleet.dissolve(gone.clusterId);
    expect(refusal(await put('b-gone', 11, { clusterId: gone.clusterId }))).toEqual([409, 'state_conflict']);
    const refused = await reserve('b-gone', 1, { token });
    expect(refusal(refused)).toEqual([409, 'state_conflict']);
    expect((refused.body as { detail: string }).detail).toContain(
      `cluster "${gone.clusterId}", whose account is closed`,
    );
    const again = reserved(await reserve('b-gone', 1, { token, reservationId: 'r-gone' }));
    expect([again.reservation.state, again.budget.reserved]).toEqual(['open', 1]);
  });

  it('an agent that left its cluster can still commit and release its own reservations, and no other agent can', async () => {
    const left = await fleet.clusterOf('left');
    await put('b-left', 10, { clusterId: left.clusterId });
    const asLeft = { token: left.member };
    for (const reservationId of ['r-spent', 'r-unused']) await reserve('b-left', 4, { ...asLeft, reservationId });
    await reserve('b-left', 1, { token: test.tokens.orchestrator, reservationId: 'r-not-its-own' });
    await fleet.dissolve(left.clusterId);
    expect(refusal(await reserve('b-left', 1, asLeft))).toEqual([404, 'not_found']);
    for (const token of [stranger, member]) {
      expect(refusal(await commit('r-spent', 3, token))).toEqual([404, 'not_found']);
      expect(refusal(await release('r-unused', token))).toEqual([404, 'not_found']);
    }
    expect(refusal(await commit('r-not-its-own', 1, left.member))).toEqual([404, 'not_found']);
    expect(reserved(await commit('r-spent', 3, left.member)).budget).toMatchObject({ reserved: 5, committed: 3 });
    expect(reserved(await release('r-unused', left.member)).budget).toMatchObject({ reserved: 1, committed: 3 });
  });

  it("another member of the cluster can neither commit nor release an agent's reservation", async () => {
    await put('b-shared', 10);
    const other = await fleet.clusterOf('other-spender');
    await put('b-of-other', 10, { clusterId: other.clusterId });
    await reserve('b-of-other', 4, { token: test.tokens.orchestrator, reservationId: 'r-of-orchestrator' });
    expect(refusal(await commit('r-of-orchestrator', 1e12, other.member))).toEqual([404, 'not_found']);
    expect(refusal(await release('r-of-orchestrator', other.member))).toEqual([404, 'not_found']);
    expect(reserved(await commit('r-of-orchestrator', 1, test.tokens.orchestrator)).budget).toMatchObject({
      reserved: 0,
      committed: 1,
    });
  });

  it('a commit above max_overrun times its reservation is refused and leaves the budget as it is', async () => {
    await put('b-overrun', 10);
    await reserve('b-overrun', 1, { reservationId: 'r-overrun' });
    expect(refusal(await commit('r-overrun', 1e12))).toEqual([409, 'budget_exceeded']);
    expect(refusal(await commit('r-overrun', 10.001))).toEqual([409, 'budget_exceeded']);
    expect(reserved(await commit('r-overrun', 10)).budget).toMatchObject({ reserved: 0, committed: 10, left: 0 });
  });

  it.each([-1, 1e13, '5', null])(
    'an amount of %s is refused for a budget, a reservation and a commit',
    async (amount) => {
      await put('b-bad', 10);
      for (const answer of [
        await put('b-bad', amount),
        await reserve('b-bad', amount),
        await commit('r-bad', amount),
      ]) {
        expect(refusal(answer)).toEqual([400, 'invalid_request']);
      }
      expect(refusal(await reserve('b-bad', 0))).toEqual([400, 'invalid_request']);
      expect(refusal(await reserve('b-bad', 1, { leaseSeconds: 1e9 }))).toEqual([400, 'invalid_request']);
      expect(refusal(await reserve('b-bad', 1, { reservationId: `'; drop table budgets; --` }))).toEqual([
        400,
        'invalid_request',
      ]);
      const { rows } = await sql`select from holds where budget_id = 'b-bad'`.execute(test.databases.resources);
      expect(rows).toHaveLength(0);
    },
  );
});
