import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestApi, type Answer, type TestApi } from './support.js';

let test: TestApi;
beforeAll(async () => {
  test = await startTestApi();
});
afterAll(() => test.stop());

const form = (body: object) => test.call('POST', '/v1/requests', { token: test.tokens.orchestrator, body });
const register = (body: object) => test.call('POST', '/v1/agents', { token: test.tokens.admin, body });

interface Problem {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
}
const problemOf = ({ body }: Answer): Problem => body as Problem;
const paths = (answer: Answer): string[] => (problemOf(answer).errors ?? []).map(({ path }) => path);

describe('an invalid formation request', () => {
  const bad: readonly (readonly [string, object, readonly string[], RegExp])[] = [
    ['unknown field', { name: 'x', sise: { min: 3 } }, ['sise'], /did you mean "size"/],
    ['unknown field inside', { name: 'x', size: { mn: 3 } }, ['size.mn'], /did you mean "min"/],
    ['missing name', {}, ['name'], /is missing/],
    ['wrong type', { name: 7 }, ['name'], /is 7;/],
    [
      'size below the bounds',
      { name: 'x', size: { min: 1, desired: 1, max: 1 } },
      ['size.min', 'size.desired', 'size.max'],
      /3 to 10/,
    ],
    ['size above the bounds', { name: 'x', size: { max: 11 } }, ['size.max'], /3 to 10/],
    ['size out of order', { name: 'x', size: { min: 5, desired: 4, max: 9 } }, ['size'], /min <= desired <= max/],
    ['impossible spread', { name: 'x', spread: { by: 'planet' } }, ['spread.by'], /"planet"/],
    ['roles that need too many', { name: 'x', roles: [{ name: 'r', capability: 'c', min: 11 }] }, ['roles'], /11/],
    [
      'a role twice',
      {
        name: 'x',
        roles: [
          { name: 'r', capability: 'c' },
          { name: 'r', capability: 'd' },
        ],
      },
      ['roles.1.name'],
      /twice/,
    ],
    [
      'malformed capability',
      { name: 'x', requiredCapabilities: ['a b'] },
      ['requiredCapabilities.0'],
      /must be a name/,
    ],
    ['negative resources', { name: 'x', resources: { slots: -1 } }, ['resources.slots'], /-1/],
    [
      'array too long',
      { name: 'x', requiredCapabilities: Array.from({ length: 51 }, () => 'c') },
      ['requiredCapabilities'],
      /50/,
    ],
    ['deadline over its limit', { name: 'x', deadlineSeconds: 3601 }, ['deadlineSeconds'], /3600/],
    ['malformed id', { name: 'x', requestId: '../etc' }, ['requestId'], /letters/],
    [
      'an id of the manager’s own',
      { name: 'x', requestId: 'op_dissolve_cl_1' },
      ['requestId'],
      /reserved for the manager/,
    ],
    ['line break in the name', { name: 'a\nb' }, ['name'], /printable/],
    ['terminal escape in the name', { name: 'a\u001b[2Jb' }, ['name'], /printable/],
    ['reversed text in the name', { name: 'a\u202eb' }, ['name'], /printable/],
    ['NUL', { name: 'a\0b' }, ['name'], /NUL/],
    ['half a surrogate pair', { name: 'a\ud800b' }, ['name'], /surrogate/],
    ['prototype', JSON.parse('{"name":"x","__proto__":{"admin":true}}') as object, ['__proto__'], /not a known field/],
  ];
  it.each(bad)('an invalid formation request gets 400 and nothing is written: %s', async (_what, body, where, says) => {
    const before = (await test.call('GET', '/v1/status', { token: test.tokens.viewer })).body as { operations: object };
    // Sent as text, because a spread would drop an own "__proto__".
    const text = `{"type":"FORMATION",${JSON.stringify(body).slice(1)}`.replace(',}', '}');
    const answer = await test.call('POST', '/v1/requests', { token: test.tokens.orchestrator, text });
    expect(answer.status).toBe(400);
    expect(problemOf(answer).code).toBe('invalid_request');
    expect(paths(answer)).toEqual(where);
    expect(problemOf(answer).detail).toMatch(says);
    const after = (await test.call('GET', '/v1/status', { token: test.tokens.viewer })).body as { operations: object };
    expect(after.operations).toEqual(before.operations);
  });

  it('the answer to an invalid formation request lists every problem, not only the first', async () => {
    const answer = await form({ type: 'FORMATION', sise: 1, weight: -1, deadlineSeconds: 'soon' });
    expect(paths(answer).sort()).toEqual(['deadlineSeconds', 'name', 'sise', 'weight']);
  });

  it('the answer to a request of an unknown type names the allowed types', async () => {
    const answer = await form({ type: 'SHRINKING', clusterId: 'cl_1' });
    expect(problemOf(answer).errors).toEqual([
      { path: 'type', message: 'is "SHRINKING"; allowed: FORMATION, COMMUNICATION, SCALING' },
    ]);
  });
});

describe('limits of every request body', () => {
  const send = (text: string, headers: Record<string, string> = {}) =>
    test.call('POST', '/v1/agents', { token: test.tokens.admin, text, headers });

  it('a body that is not JSON is refused and not repeated in the answer', async () => {
    const answer = await send('{"id":"a","secret":"cmt_verysecret"');
    expect(answer.status).toBe(400);
    expect(JSON.stringify(answer.body)).not.toContain('verysecret');
  });

  it.each(['[]', '"text"', '7', 'null'])('a body that is not a JSON object is refused: %s', async (text) => {
    expect((await send(text)).status).toBe(400);
  });

  it('an empty body is refused where one is required', async () => {
    expect(problemOf(await send('')).detail).toMatch(/empty/);
  });

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/xml',
    'application/jsonp',
    'application/json; charset=latin1',
  ])('content type %s is refused with 415', async (type) => {
    const answer = await send('{"id":"typed"}', { 'content-type': type });
    expect([answer.status, problemOf(answer).code]).toEqual([415, 'unsupported_media_type']);
  });

  it('content type application/json with charset UTF-8 is accepted', async () => {
    expect((await send('{"id":"typed"}', { 'content-type': 'application/json; charset=UTF-8' })).status).toBe(201);
  });

  it('a body nested deeper than 32 levels is refused', async () => {
    const answer = await send(`{"id":"deep","labels":${'['.repeat(10_000)}${']'.repeat(10_000)}}`);
    expect(answer.status).toBe(400);
    expect(problemOf(answer).detail).toMatch(/nested deeper than 32/);
  });

  it('a formation request of 64 KiB is read, and one of a byte more is refused with 413', async () => {
    const padded = (bytes: number) => {
      const frame = JSON.stringify({ type: 'FORMATION', name: '' });
      return JSON.stringify({ type: 'FORMATION', name: 'x'.repeat(bytes - frame.length) });
    };
    const over = await test.call('POST', '/v1/requests', {
      token: test.tokens.orchestrator,
      text: padded(64 * 1024 + 1),
    });
    expect([over.status, problemOf(over).code]).toEqual([413, 'body_too_large']);
    const below = await test.call('POST', '/v1/requests', { token: test.tokens.orchestrator, text: padded(64 * 1024) });
    expect(below.status).toBe(400);
  });

  it('a body of 10 MiB is refused by its Content-Length before the client sends it', async () => {
    const { status } = await announce({ 'content-length': String(10 * 1024 * 1024) });
    expect(status).toBe(413);
  });

  it('the server stops reading a chunked body at the size limit', async () => {
    const { status, taken } = await announce({ 'transfer-encoding': 'chunked' }, 10 * 1024 * 1024);
    expect(status).toBe(413);
    expect(taken).toBeLessThan(5 * 1024 * 1024);
  });

  /** Sends headers, then up to `bytes` of a body until the server answers. @returns the status and the bytes sent. */
  function announce(headers: Record<string, string>, bytes = 0): Promise<{ status: number; taken: number }> {
    return new Promise((resolve, reject) => {
      let taken = 0;
      let answered = false;
      const outgoing = request(`${test.url}/v1/agents`, {
        method: 'POST',
        headers: { ...headers, authorization: `Bearer ${test.tokens.admin}`, 'content-type': 'application/json' },
      });
      outgoing.on('response', (response) => {
        answered = true;
        resolve({ status: response.statusCode ?? 0, taken });
        response.resume();
        outgoing.destroy();
      });
      outgoing.on('error', (error) => (answered ? undefined : reject(error)));
      outgoing.flushHeaders();
      const chunk = Buffer.alloc(16 * 1024, 'x');
      const write = (): void => {
        if (answered || taken >= bytes) return;
        taken += chunk.length;
        outgoing.write(chunk, () => setImmediate(write));
      };
      write();
    });
  }
});

describe('paths, queries and names', () => {
  const get = (path: string, headers: Record<string, string> = {}) =>
    test.call('GET', path, { token: test.tokens.admin, headers });

  it('an unknown path gets 404 as problem details', async () => {
    expect(problemOf(await get('/v1/nothing')).code).toBe('not_found');
  });

  it('a method that a path does not support gets 405 with the allowed methods', async () => {
    const answer = await test.call('PUT', '/v1/agents', { token: test.tokens.admin });
    expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST, GET']);
    const preflight = await test.call('OPTIONS', '/v1/agents', {});
    expect([preflight.status, preflight.headers.get('access-control-allow-origin')]).toEqual([405, null]);
  });

  it.each([
    ['/v1/agents?limit=0', 'query.limit'],
    ['/v1/agents?limit=201', 'query.limit'],
    ['/v1/agents?limit=many', 'query.limit'],
    ['/v1/agents?limt=5', 'query.limt'],
    ['/v1/agents?cursor=nonsense', 'query.cursor'],
    ['/v1/operations?state=sleeping', 'query.state'],
    ['/v1/operations?cursor=WyJ4IiwieSJd', 'query.cursor'],
    ['/v1/events?after=-1', 'query.after'],
    ['/v1/agents/a%00b', 'path.id'],
    ['/v1/agents/..%2Fx', 'path.id'],
    ['/v1/agents/a/inbox?waitSeconds=61', 'query.waitSeconds'],
  ])('%s gets 400, and the problem names %s', async (path, where) => {
    const answer = await get(path);
    expect([path, answer.status, paths(answer)]).toEqual([path, 400, [where]]);
  });

  it('a request with a foreign Host or Origin header is refused', async () => {
    const raw = (headers: Record<string, string>): Promise<number> =>
      new Promise((resolve, reject) => {
        const call = request(`${test.url}/livez`, { headers }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        call.on('error', reject).end();
      });
    const { port } = new URL(test.url);
    expect(await raw({ host: 'evil.example' })).toBe(403);
    expect(await raw({ host: '127.0.0.1.evil.example' })).toBe(403);
    expect(await raw({ host: `localhost:${port}` })).toBe(200);
    expect(await raw({ host: `[::1]:${port}` })).toBe(200);
    expect(await raw({ origin: 'http://evil.example' })).toBe(403);
    expect(await raw({ origin: 'null' })).toBe(403);
    expect(await raw({ origin: test.url })).toBe(200);
    test.configure({ allowedHosts: ['manager.example'] });
    expect(await raw({ host: 'manager.example' })).toBe(200);
  });

  it('an internal error is described in the log and not in the answer', async () => {
    const original = test.deps.heartbeats.beat.bind(test.deps.heartbeats);
    test.deps.heartbeats.beat = () => Promise.reject(new Error('select secret from /var/lib/place'));
    const answer = await test.call('POST', '/v1/agents/x/heartbeat', { token: test.tokens.admin, body: {} });
    test.deps.heartbeats.beat = original;
    expect([answer.status, problemOf(answer).code]).toEqual([500, 'internal']);
    expect(JSON.stringify(answer.body)).not.toMatch(/secret|\/var|select|at /);
    const requestId = answer.headers.get('x-request-id') ?? 'none';
    expect(problemOf(answer).detail).toContain(requestId);
    expect(test.log.filter((line) => line.includes(requestId)).join('')).toContain('/var/lib/place');
  });
});

describe('an invalid agent registration', () => {
  it.each([
    [{ id: 'a b' }, 'id'],
    [{ id: 'a', maxClusters: 0 }, 'maxClusters'],
    [{ id: 'a', acceptance: 'never' }, 'acceptance'],
    [{ id: 'a', capabilities: [{ name: 'x', version: 7 }] }, 'capabilities.0'],
    [{ id: 'a', resources: { slots: Number.MAX_VALUE } }, 'resources.slots'],
    [{ id: 'a', name: 'line\nbreak' }, 'name'],
  ])('the invalid agent %j is refused, and the problem names %s', async (body, where) => {
    const answer = await register(body);
    expect([answer.status, paths(answer)]).toEqual([400, [where]]);
  });
});
