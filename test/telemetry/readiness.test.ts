import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { openReadinessEndpoint } from '../../src/telemetry/readiness.js';

it('the readiness endpoint answers 503 until its worker polls, then 200, and 503 again while the worker stops', async () => {
  let ready = false;
  const server = await openReadinessEndpoint({ port: 0, isReady: () => ready });
  onTestFinished(async () => {
    server.close();
    await once(server, 'close');
  });
  const { port, address } = server.address() as AddressInfo;
  const ask = async (path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method });
    return { status: response.status, body: await response.text() };
  };
  expect(address).toBe('127.0.0.1');
  expect(await ask('/readyz')).toEqual({ status: 503, body: '{"ready":false}' });
  ready = true;
  expect(await ask('/readyz')).toEqual({ status: 200, body: '{"ready":true}' });
  ready = false;
  expect(await ask('/readyz')).toEqual({ status: 503, body: '{"ready":false}' });
  expect((await ask('/other')).status).toBe(404);
  expect((await ask('/readyz', 'POST')).status).toBe(404);
});
