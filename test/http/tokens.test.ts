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

  it('wrong tokens are refused with 401 however many an address sends, and valid ones of that address still work', async () => {
    const attempts = Array.from({ length: 300 }, () => statusOn(test, newToken()));
    expect(new Set(await Promise.all(attempts))).toEqual(new Set([401]));
    const { token, secret } = await create({ role: 'viewer', name: 'fresh' });
    expect(await statusOn(test, secret)).toBe(200);
    await test.call('DELETE', `/v1/tokens/${token.id}`, { token: test.tokens.admin });
    expect(await statusOn(test, secret)).toBe(401);
  });

  it('revoking a token leaves the other tokens in the cache', async () => {
    const { token } = await create({ role: 'viewer', name: 'revoked' });
    await waitFor('the viewer to be remembered', async () => {
      expect(await statusOn(test, test.tokens.viewer)).toBe(200);
      return test.deps.principals.has(test.tokens.viewer);
    });
    await test.call('DELETE', `/v1/tokens/${token.id}`, { token: test.tokens.admin });
    await test.register('registers-meanwhile');
    expect(test.deps.principals.has(test.tokens.viewer)).toBe(true);
  });
});
