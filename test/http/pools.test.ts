import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expireLeases } from '../../src/maintenance/lease-expirer.js';
import { pruneResources } from '../../src/maintenance/resource-cleaner.js';
import type {
  AllocationAnswer,
  AllocationView,
  PoolView,
  QuotasView,
  ResourcesView,
} from '../../src/contracts/resources.js';
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
  ({ clusterId, member } = await fleet.clusterOf('pooled'));
  stranger = await test.register('stranger');
});
afterAll(() => fleet.stop());

const refusal = (answer: Answer): [number, string] => [answer.status, codeOf(answer)];
const detailOf = ({ body }: Answer) => (body as { detail: string }).detail;
const put = (name: string, capacity: object, more: object = {}) =>
  test.call('PUT', `/v1/pools/${name}`, { token: test.tokens.orchestrator, body: { capacity, ...more } });
const poolOf = async (name: string): Promise<PoolView> =>
  ((await test.call('GET', `/v1/pools/${name}`, { token: test.tokens.viewer })).body as { pool: PoolView }).pool;
const take = (
  pool: string,
  amount: unknown,
  more: Record<string, unknown> & { token?: string; cluster?: string } = {},
) => {
  const { token = member, cluster = clusterId, ...rest } = more;
  const body = { clusterId: cluster, amounts: [{ pool, resource: 'tpm', amount }], leaseSeconds: 600, ...rest };
  return test.call('POST', '/v1/grants', { token, body });
};
const takenOf = ({ body }: Answer) => body as AllocationAnswer;
const grantOf = ({ body }: Answer) => (body as { grant: AllocationView }).grant;
const onGrant = (id: number | undefined, verb: 'extend' | 'release', token = member) =>
  test.call('POST', `/v1/grants/${id}/${verb}`, {
    token,
    ...(verb === 'extend' ? { body: { leaseSeconds: 900 } } : {}),
  });
const quotas = (body: object, cluster = clusterId) =>
  test.call('PUT', `/v1/quotas/${cluster}`, { token: test.tokens.orchestrator, body });
const quotasOf = ({ body }: Answer) => (body as { quotas: QuotasView }).quotas;

describe('a pool', () => {
  it('a pool can be replaced, listed by name page by page, and deleted', async () => {
    await put('llm-a', { tpm: 1000, rpm: 10 }, { labels: { provider: `<script>\u202e'"` } });
    await put('llm-b', { tpm: 1 });
    expect((await put('llm-a', { tpm: 2000.5 })).body).toMatchObject({
      pool: { name: 'llm-a', labels: {}, resources: { tpm: { capacity: 2000.5, used: 0 } } },
    });
    const read = async (query: string) =>
      (await test.call('GET', `/v1/pools${query}`, { token: test.tokens.viewer })).body as {
        pools: PoolView[];
        nextCursor: string | null;
      };
    const first = await read('?limit=1');
    expect(first.pools.map(({ name }) => name)).toEqual(['llm-a']);
    expect((await read(`?cursor=${first.nextCursor}`)).pools.map(({ name }) => name)).toContain('llm-b');
    const remove = () => test.call('DELETE', '/v1/pools/llm-b', { token: test.tokens.admin });
    expect((await remove()).body).toEqual({ name: 'llm-b', deleted: true });
    expect((await remove()).status).toBe(404);
  });

  it.each([
    ['a negative amount', '{"capacity": {"tpm": -1}}'],
    ['a text as the amount', '{"capacity": {"tpm": "NaN"}}'],
    ['null as the amount', '{"capacity": {"tpm": null}}'],
    ['an infinite amount', '{"capacity": {"tpm": 1e999}}'],
    ['an amount above the limit', '{"capacity": {"tpm": 1e13}}'],
    ['SQL as a resource name', `{"capacity": {"'; drop table pools; --": 1}}`],
    ['__proto__ as a resource name', '{"capacity": {"__proto__": 1}}'],
    ['no capacity', '{"labels": {}}'],
    ['an empty capacity', '{"capacity": {}}'],
  ])('a pool with %s is refused', async (_what, text) => {
    const answer = await test.call('PUT', '/v1/pools/bad', { token: test.tokens.admin, text });
    expect(refusal(answer)).toEqual([400, 'invalid_request']);
    expect((await test.call('GET', '/v1/pools/bad', { token: test.tokens.admin })).status).toBe(404);
  });

  it('a pool cannot be deleted or shrink below its held amounts, also for a resource named constructor', async () => {
    await put('held', { tpm: 100, constructor: 100 });
    const body = { clusterId, amounts: [{ pool: 'held', resource: 'constructor', amount: 60 }], leaseSeconds: 600 };
    await test.call('POST', '/v1/grants', { token: member, body });
    const [grant] = takenOf(await take('held', 60)).grants;
    const shrunk = await put('held', { tpm: 59, constructor: 60 });
    expect(refusal(shrunk)).toEqual([409, 'state_conflict']);
    expect(detailOf(shrunk)).toContain(`${grant?.id} of ${clusterId} (60)`);
    expect(refusal(await put('held', { tpm: 100 }))).toEqual([409, 'state_conflict']);
    expect(refusal(await test.call('DELETE', '/v1/pools/held', { token: test.tokens.admin }))).toEqual([
      409,
      'state_conflict',
    ]);
    expect((await put('held', { tpm: 60, constructor: 60 })).status).toBe(200);
    expect((await poolOf('held')).resources['tpm']).toEqual({ capacity: 60, used: 60 });
  });
});

describe('an allocation', () => {
  it('an allocation is made once per request id, can be extended, and returns its amount when released', async () => {
    await put('llm-g', { tpm: 100 });
    const first = takenOf(await take('llm-g', 40, { requestId: 'g-1' }));
    expect(first).toMatchObject({ requestId: 'g-1', state: 'granted', grants: [{ amount: 40, state: 'held' }] });
    expect(takenOf(await take('llm-g', 40, { requestId: 'g-1' })).grants[0]?.id).toBe(first.grants[0]?.id);
    expect(refusal(await take('llm-g', 41, { requestId: 'g-1' }))).toEqual([409, 'idempotency_conflict']);
    expect((await poolOf('llm-g')).resources['tpm']?.used).toBe(40);

    const id = first.grants[0]?.id;
    const extended = grantOf(await onGrant(id, 'extend'));
    expect(Date.parse(extended.leaseExpiresAt)).toBeGreaterThan(Date.parse(first.grants[0]?.leaseExpiresAt ?? ''));
    const query = `/v1/grants?clusterId=${clusterId}`;
    const held = (await test.call('GET', query, { token: member })).body as { grants: AllocationView[] };
    expect(held.grants.map((grant) => grant.id)).toContain(id);
    expect(grantOf(await onGrant(id, 'release')).state).toBe('released');
    expect(grantOf(await onGrant(id, 'release')).state).toBe('released');
    expect(refusal(await onGrant(id, 'extend'))).toEqual([409, 'state_conflict']);
    expect((await poolOf('llm-g')).resources['tpm']?.used).toBe(0);
  });

  it('an allocation returns to its pool when its lease expires', async () => {
    await put('llm-l', { tpm: 100 });
    const [grant] = takenOf(await take('llm-l', 40, { leaseSeconds: 1 })).grants;
    const ended = await waitFor('the end of the lease', async () => {
      await expireLeases(test.maintenance);
      return (await poolOf('llm-l')).resources['tpm']?.used === 0;
    });
    expect(ended).toBe(true);
    const late = await onGrant(grant?.id, 'extend');
    expect(refusal(late)).toEqual([409, 'state_conflict']);
    expect(detailOf(late)).toContain('expired');
    expect(grantOf(await onGrant(grant?.id, 'release')).state).toBe('expired');
  });

  it('an allocation that does not fit takes nothing and names the shortage', async () => {
    await put('llm-s', { tpm: 100 });
    expect(takenOf(await take('llm-s', 101))).toMatchObject({
      state: 'short',
      grants: [],
      shortages: [{ pool: 'llm-s', resource: 'tpm', asked: 101, free: 100, by: 'capacity' }],
    });
    expect((await poolOf('llm-s')).resources['tpm']?.used).toBe(0);
  });

  it('concurrent allocations never exceed the pool, and the ledger has the same sum', async () => {
    await put('llm-r', { tpm: 100 });
    const answers = await Promise.all(Array.from({ length: 30 }, () => take('llm-r', 7)));
    const states = answers.map((answer) => takenOf(answer).state);
    expect(states.filter((state) => state === 'granted')).toHaveLength(14);
    const resources = (await test.call('GET', '/v1/resources', { token: test.tokens.viewer })).body as ResourcesView;
    expect(resources.pools.find(({ name }) => name === 'llm-r')?.resources).toEqual({
      tpm: { capacity: 100, used: 98 },
    });
    expect(resources.ledger.sums).toContainEqual({ pool: 'llm-r', resource: 'tpm', sum: 98, entries: 14 });
    expect(resources.ledger.differences).toBe(0);
    expect(resources.fleet.held['agents']).toBe(3);
    const page = await test.call('GET', '/v1/ledger?pool=llm-r&limit=10', { token: test.tokens.viewer });
    const { entries, nextCursor } = page.body as { entries: { delta: number }[]; nextCursor: string };
    const rest = await test.call('GET', `/v1/ledger?pool=llm-r&cursor=${nextCursor}`, { token: test.tokens.admin });
    const all = [...entries, ...(rest.body as { entries: { delta: number }[] }).entries];
    expect(all.map(({ delta }) => delta)).toEqual(Array.from({ length: 14 }, () => 7));
    expect((await test.call('GET', '/v1/ledger', { token: test.tokens.orchestrator })).status).toBe(403);
  });

  it("a cluster's allocations get 404 from agents that are not its members", async () => {
    await put('llm-p', { tpm: 100 });
    const [grant] = takenOf(await take('llm-p', 1)).grants;
    expect(refusal(await take('llm-p', 1, { token: stranger }))).toEqual([404, 'not_found']);
    for (const verb of ['extend', 'release'] as const) {
      expect(refusal(await onGrant(grant?.id, verb, stranger))).toEqual([404, 'not_found']);
    }
    const list = await test.call('GET', `/v1/grants?clusterId=${clusterId}`, { token: stranger });
    expect(refusal(list)).toEqual([404, 'not_found']);
    expect(refusal(await onGrant(999_999, 'release'))).toEqual([404, 'not_found']);
  });

  it.each([
    ['0', 0],
    ['-1', -1],
    ['a billionth', 1e-9],
    ['more than the limit', 1e13],
    ['a text', '5'],
  ])('an allocation of %s is refused', async (_what, amount) => {
    await put('llm-x', { tpm: 100 });
    expect(refusal(await take('llm-x', amount))).toEqual([400, 'invalid_request']);
  });

  it('an allocation from an unknown pool, for an unknown cluster, or with a repeated resource is refused', async () => {
    await put('llm-x', { tpm: 100 });
    const token = test.tokens.orchestrator;
    expect(refusal(await take('llm-none', 1))).toEqual([404, 'not_found']);
    expect(refusal(await take('llm-x', 1, { token, cluster: 'cl_none' }))).toEqual([404, 'not_found']);
    const amounts = [1, 2].map((amount) => ({ pool: 'llm-x', resource: 'tpm', amount }));
    expect(refusal(await take('llm-x', 1, { amounts }))).toEqual([400, 'invalid_request']);
    expect(refusal(await take('llm-x', 1, { leaseSeconds: 0 }))).toEqual([400, 'invalid_request']);
  });
});

describe('quotas', () => {
  it('a quota limits what a cluster holds in all pools, and cannot be set below that', async () => {
    const own = await fleet.clusterOf('quoted');
    const mine = { token: own.member, cluster: own.clusterId };
    await put('llm-q1', { tpm: 100 });
    await put('llm-q2', { tpm: 100 });
    expect(quotasOf(await quotas({ quotas: { tpm: 50 }, weight: 2 }, own.clusterId))).toEqual({
      clusterId: own.clusterId,
      weight: 2,
      state: 'open',
      resources: [{ resource: 'tpm', quota: 50, held: 0 }],
    });
    expect(takenOf(await take('llm-q1', 30, mine)).state).toBe('granted');
    expect(takenOf(await take('llm-q2', 30, mine)).shortages).toMatchObject([{ by: 'quota', free: 20 }]);
    const low = await quotas({ quotas: { tpm: 29 }, weight: 5 }, own.clusterId);
    expect(refusal(low)).toEqual([409, 'state_conflict']);
    expect(detailOf(low)).toContain('30 is held');
    // The refused call changed nothing, and a call with only a weight keeps the quotas.
    expect(quotasOf(await quotas({ weight: 3 }, own.clusterId))).toMatchObject({
      weight: 3,
      resources: [{ quota: 50, held: 30 }],
    });
    expect(quotasOf(await quotas({ quotas: {} }, own.clusterId)).resources).toMatchObject([{ quota: null }]);
    const path = `/v1/quotas/${own.clusterId}`;
    expect((await test.call('GET', path, { token: own.member })).status).toBe(200);
    expect((await test.call('GET', path, { token: stranger })).status).toBe(404);
  });

  it('the quotas of a dissolved cluster are deleted, and those of other clusters stay', async () => {
    const own = await fleet.clusterOf('parting');
    await put('llm-parting', { tpm: 100 });
    await quotas({ quotas: { tpm: 50, rpm: 5 } }, own.clusterId);
    await quotas({ quotas: { rpm: 5 } });
    await take('llm-parting', 30, { token: own.member, cluster: own.clusterId });
    const read = async (cluster: string) =>
      quotasOf(await test.call('GET', `/v1/quotas/${cluster}`, { token: test.tokens.viewer }));
    await pruneResources(test.maintenance);
    expect((await read(own.clusterId)).resources).toHaveLength(2);
    await fleet.dissolve(own.clusterId);
    await pruneResources(test.maintenance);
    expect(await read(own.clusterId)).toMatchObject({ state: 'closed', resources: [] });
    expect((await read(clusterId)).resources).toContainEqual({ resource: 'rpm', quota: 5, held: 0 });
  });

  it('a quota is refused for an unknown or dissolved cluster and with invalid values', async () => {
    const gone = await fleet.clusterOf('gone');
    await fleet.dissolve(gone.clusterId);
    expect(refusal(await quotas({ weight: 2 }, 'cl_none'))).toEqual([404, 'not_found']);
    expect(refusal(await quotas({ weight: 2 }, gone.clusterId))).toEqual([409, 'state_conflict']);
    for (const body of [{}, { weight: 0 }, { weight: -1 }, { weight: 'x' }, { quotas: { tpm: -1 } }, { quota: {} }]) {
      expect(refusal(await quotas(body))).toEqual([400, 'invalid_request']);
    }
  });
});
