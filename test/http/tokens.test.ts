import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newToken } from '../../src/stores/clusters/index.js';
import { waitFor } from '../support/wait-for.js';
import { startTestApi, type TestApi } from './support.js';

let test: TestApi;
/** A second server over the same databases. */
let other: TestApi;
beforeAll(async () => {
  test = await startTestApi();
  other = await startTestApi({ databases: test.databases });
});
afterAll(async () => {
  await other.stop();
  await test.stop();
});

interface Created {
  readonly token: { readonly id: string; readonly prefix: string };
  readonly secret: string;
}
const create = async (body: object): Promise<Created> =>
  (await test.call('POST', '/v1/tokens', { token: test.tokens.admin, body })).body as Created;
const statusOn = async (api: TestApi, token: string): Promise<number> =>
  (await api.call('GET', '/v1/status', { token })).status;

describe('tokens', () => {
  it('the secret of a token is shown once, and never in the list', async () => {
    const { token, secret } = await create({ role: 'viewer', name: 'wall' });
    expect(await statusOn(test, secret)).toBe(200);
    const { body } = await test.call('GET', '/v1/tokens', { token: test.tokens.admin });
    expect(JSON.stringify(body)).toContain(token.id);
    expect(JSON.stringify(body)).not.toContain(secret.slice(8));
    expect(test.log.join('')).not.toContain(secret);
  });

  it('a revoked token is rejected by every server within a second', async () => {
    const { token, secret } = await create({ role: 'viewer', name: 'short' });
    await waitFor('both servers to cache the token', async () => {
      expect([await statusOn(test, secret), await statusOn(other, secret)]).toEqual([200, 200]);
      return test.deps.principals.has(secret) && other.deps.principals.has(secret);
    });
    expect((await test.call('DELETE', `/v1/tokens/${token.id}`, { token: test.tokens.admin })).status).toBe(204);
    const revokedAtMs = performance.now();
    expect(await statusOn(test, secret)).toBe(401);
    await waitFor('the other server to reject the token', async () => (await statusOn(other, secret)) === 401, {
      timeoutMs: 3000,
    });
    expect(performance.now() - revokedAtMs).toBeLessThan(1250);
    expect((await test.call('DELETE', `/v1/tokens/${token.id}`, { token: test.tokens.admin })).status).toBe(404);
  });

  it('a token is rejected after it expires', async () => {
    const { token, secret } = await create({ role: 'viewer', name: 'expiring', expiresInSeconds: 600 });
    await waitFor(
      'the token to be cached',
      async () => (await statusOn(test, secret)) === 200 && test.deps.principals.has(secret),
    );
    await sql`update tokens set expires_at = now() where id = ${token.id}`.execute(test.databases.clusters);
    const endedAtMs = performance.now();
    await waitFor('the token to be rejected', async () => (await statusOn(test, secret)) === 401, { timeoutMs: 3000 });
    expect(performance.now() - endedAtMs).toBeLessThan(1250);
  });

  it('an address gets 429 for unknown tokens after 20 failures, and valid tokens and other addresses are not affected', async () => {
    test.configure({ behindProxy: true });
    const from = { 'x-forwarded-for': '203.0.113.7' };
    const attempt = (token: string, headers = from) => test.call('GET', '/v1/status', { token, headers });
    const failures = [];
    for (let count = 0; count < 21; count += 1) failures.push(await attempt(newToken()));
    expect(failures.slice(0, 20).map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 401));
    const last = failures.at(-1);
    expect(last?.status).toBe(429);
    expect(Number(last?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await attempt(test.tokens.viewer)).status).toBe(200);
    expect((await attempt(newToken(), { 'x-forwarded-for': '203.0.113.8' })).status).toBe(401);
    expect((await attempt(newToken(), { 'x-forwarded-for': '203.0.113.9, 203.0.113.7' })).status).toBe(429);
  });
});
