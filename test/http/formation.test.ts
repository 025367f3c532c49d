import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formationResult } from '../../src/contracts/formation.js';
import type { DeliveryView } from '../../src/contracts/inbox.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';
import { startTestApi, type TestApi, operationOf } from './support.js';

let databases: TestDatabases;
let worker: TestWorker;
let test: TestApi;
beforeAll(async () => {
  databases = await createTestDatabases();
  worker = await startTestWorker(databases);
  test = await startTestApi({ databases, client: worker.manager });
});
afterAll(async () => {
  await test.stop();
  await worker.stop();
  await databases.drop();
});

const ask = (body: object) =>
  test.call('POST', '/v1/requests?wait=30', { token: test.tokens.orchestrator, body: { type: 'FORMATION', ...body } });
const inbox = async (id: string, token: string, waitSeconds: number): Promise<DeliveryView[]> => {
  const { body } = await test.call('GET', `/v1/agents/${id}/inbox?waitSeconds=${waitSeconds}`, { token });
  return (body as { deliveries: DeliveryView[] }).deliveries;
};

describe('formation over HTTP', () => {
  it('a cluster is formed, announced to its members, visible to no other agent, and dissolved', async () => {
    const ids = ['m1', 'm2', 'm3'];
    const tokens = await Promise.all(ids.map((id) => test.register(id, { capabilities: ['translate'] })));
    const answer = await ask({ name: 'translators', requiredCapabilities: ['translate'] });
    const operation = operationOf(answer);
    expect([answer.status, operation.state]).toEqual([200, 'completed']);
    expect(operation.steps.map(({ state }) => state)).toEqual(Array.from({ length: 4 }, () => 'completed'));
    const { clusterId, members } = formationResult.parse(operation.result);
    expect(members.map(({ agentId }) => agentId).sort()).toEqual(ids);

    for (const [index, id] of ids.entries()) {
      const token = tokens[index] ?? '';
      const [joined] = await inbox(id, token, 10);
      expect(joined?.message).toMatchObject({ type: 'cluster.joined', clusterId });
      expect((await test.call('GET', `/v1/clusters/${clusterId}`, { token })).status).toBe(200);
      const beat = await test.call('POST', `/v1/agents/${id}/heartbeat`, { token, body: {} });
      expect(beat.body).toMatchObject({ epoch: { [clusterId]: 1 } });
    }
    const stranger = await test.register('stranger');
    expect((await test.call('GET', `/v1/clusters/${clusterId}`, { token: stranger })).status).toBe(404);

    const gone = await test.call('DELETE', `/v1/clusters/${clusterId}?wait=30`, {
      token: test.tokens.orchestrator,
      body: { drainSeconds: 0 },
    });
    expect([gone.status, operationOf(gone).state]).toEqual([200, 'completed']);
    const { body } = await test.call('GET', `/v1/clusters/${clusterId}`, { token: test.tokens.viewer });
    expect(body).toMatchObject({ cluster: { state: 'dissolved' } });
  });

  it('a formation without enough agents ends as refused and names the missing capability', async () => {
    const operation = operationOf(await ask({ name: 'impossible', requiredCapabilities: ['nobody-can'] }));
    expect(operation).toMatchObject({ state: 'refused', error: { code: 'insufficient_agents' } });
    expect(operation.error?.detail).toContain('nobody-can');
  });

  it('a formation completes when the invited agents accept over HTTP', async () => {
    const ids = ['q1', 'q2', 'q3'];
    const properties = { capabilities: ['asked'], acceptance: 'ask' };
    const tokens = await Promise.all(ids.map((id) => test.register(id, properties)));
    const asked = ask({ name: 'asked', requiredCapabilities: ['asked'] });
    await Promise.all(
      ids.map(async (id, index) => {
        const token = tokens[index] ?? '';
        const [invitation] = await inbox(id, token, 20);
        expect(invitation?.message.type).toBe('cluster.invitation');
        const path = `/v1/agents/${id}/invitations/${invitation?.message.clusterId ?? 'none'}`;
        expect((await test.call('POST', path, { token, body: { answer: 'accept' } })).status).toBe(200);
      }),
    );
    expect(operationOf(await asked).state).toBe('completed');
  });

  it('a dry run of the formation interval returns a result marked as a dry run', async () => {
    const { status, body } = await test.call('POST', '/v1/intervals/formation', {
      token: test.tokens.orchestrator,
      body: { dryRun: true },
    });
    expect([status, (body as { dryRun: boolean }).dryRun]).toEqual([200, true]);
  });
});
