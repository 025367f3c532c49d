import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { sql } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { DeliveryView } from '../../src/contracts/inbox.js';
import type { MessageResult } from '../../src/contracts/messages.js';
import { readJournals } from '../support/journal.js';
import { waitFor } from '../support/wait-for.js';
import { openDeployment, type Deployment, type DeploymentServer } from './deployment.js';
import { enrol, insist, sendAll, startReader, type AgentClient } from './messaging-client.js';
import { openTcpProxy, type TcpProxy } from './tcp-proxy.js';

let folder = '';
let proxy: TcpProxy;
let deployment: Deployment;
let server: DeploymentServer;
const clients: AgentClient[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cluster-manager-connections-'));
  const adminUrl = inject('adminDatabaseUrl');
  const { hostname, port } = new URL(adminUrl);
  proxy = await openTcpProxy({ host: hostname, port: Number(port) });
  deployment = await openDeployment(
    { adminUrl, temporal: inject('temporal') },
    {
      workers: 0,
      server: true,
      settings: {
        communication: { delivery_lease: 2, retry_delays: [0], delivery_tries: 50 },
        agents: { lease: 3600 },
      },
      via: (databaseUrl) => {
        const url = new URL(databaseUrl);
        url.hostname = '127.0.0.1';
        url.port = String(proxy.port);
        return url.toString();
      },
    },
  );
  if (!deployment.server) throw new Error('There is no server');
  server = deployment.server;
});
afterAll(async () => {
  await deployment?.close();
  await proxy?.close();
  for (const { journal } of clients) journal.close();
  rmSync(folder, { recursive: true, force: true });
});

async function agent(id: string): Promise<AgentClient> {
  const client = await enrol(server, folder, { id });
  clients.push(client);
  return client;
}

const check = () =>
  deployment.check({
    journal: readJournals(readdirSync(folder).map((file) => join(folder, file))),
    bounds: { tries: 50 },
  });

const allAcked = () =>
  waitFor(
    'all deliveries to be acked',
    async () => {
      const { rows } = await sql`select 1 from deliveries limit 1`.execute(deployment.stores.communication);
      return rows.length === 0;
    },
    { timeoutMs: 60_000 },
  );

const percentile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.max(0, Math.ceil(share * values.length) - 1)] ?? 0;

describe('a connection to the database', () => {
  it(
    'a message is stored once and an ack is confirmed when the connection is cut between commit and answer',
    { timeout: 120_000 },
    async () => {
      const [from, to] = [await agent('cut-from'), await agent('cut-to')];
      for (let number = 1; number <= 10; number += 1) {
        const id = `cut-${number}`;
        const mark = `mark-of-${id}.`;
        const cut = proxy.cutAfter(mark);
        const body = { messages: [{ id, to: { agent: to.id }, type: 'note', data: mark }] };
        const { results } = await insist<{ results: MessageResult[] }>(from, 'POST', '/v1/messages', body);
        await cut;
        expect(results).toEqual([{ id, accepted: true, matched: 1, duplicate: true }]);
        const { deliveries } = await insist<{ deliveries: DeliveryView[] }>(
          to,
          'GET',
          `/v1/agents/${to.id}/inbox?max=10&waitSeconds=5`,
        );
        expect(deliveries.map(({ message }) => message.id)).toEqual([id]);
        const [{ id: deliveryId, leaseToken } = { id: '', leaseToken: '' }] = deliveries;
        const cutAgain = proxy.cutAfter(leaseToken);
        const acked = await insist(to, 'POST', `/v1/deliveries/${deliveryId}/ack`, { leaseToken });
        await cutAgain;
        expect(acked).toEqual({ id: deliveryId, acked: true });
      }
      expect(await check()).toEqual([]);
    },
  );

  it('delivery resumes without loss after all database connections stop responding', { timeout: 240_000 }, async () => {
    const [from, to] = [await agent('silent-from'), await agent('silent-to')];
    const reader = startReader(to);
    const acceptedAtMs: number[] = [];
    let stopped = false;
    const sending = sendAll(
      from,
      () => (stopped ? undefined : [{ to: { agent: to.id }, type: 'note', data: null }]),
      () => void acceptedAtMs.push(performance.now()),
    );
    await waitFor('messages to be delivered', () => reader.received() > 100, { timeoutMs: 60_000 });
    const silenced = proxy.silence();
    const silentMs = performance.now();
    const resumedAtMs = await waitFor(
      'messages to be delivered again',
      () => {
        const later = acceptedAtMs.filter((at) => at > silentMs + 1_000);
        return later.length > 100 && reader.received() > 200 ? later[0] : undefined;
      },
      { timeoutMs: 120_000 },
    );
    stopped = true;
    await sending;
    await allAcked();
    await reader.stop();
    expect(await check()).toEqual([]);
    const recoveryMs = Math.round(resumedAtMs - silentMs);
    process.stdout.write(`${JSON.stringify({ figure: 'faults.mail.silent', silenced, recoveryMs })}\n`);
    expect(recoveryMs).toBeLessThan(60_000);
  });
});

describe('an idle transaction next to the delivery queue', () => {
  it('a transaction that idles for 60 s at most doubles the delivery latency', { timeout: 240_000 }, async () => {
    const [from, to] = [await agent('idle-from'), await agent('idle-to')];
    const reader = startReader(to);
    /** Sends 50 messages a second. @returns the 95th percentile from accepted to delivered, by the database's clock. */
    const measure = async (name: string, seconds: number): Promise<number> => {
      const endsAtMs = performance.now() + seconds * 1_000;
      for (let number = 0; performance.now() < endsAtMs; number += 1) {
        const messages = [{ id: `${name}-${number}`, to: { agent: to.id }, type: 'note', data: 'x'.repeat(1_000) }];
        await Promise.all([insist(from, 'POST', '/v1/messages', { messages }), delay(20)]);
      }
      await allAcked();
      const { rows } = await sql<{ ms: number }>`
        select extract(epoch from s.first_leased_at - s.accepted_at)::double precision * 1000 as ms
        from delivery_history s join messages m on m.no = s.message_no where m.id like ${`${name}-%`}`.execute(
        deployment.stores.communication,
      );
      return percentile(
        rows.map(({ ms }) => ms),
        0.95,
      );
    };
    await measure('warm', 5);
    const without = await measure('without', 30);
    const idle = new pg.Client({ connectionString: deployment.stores.urls.communication });
    await idle.connect();
    await idle.query('begin isolation level repeatable read');
    await idle.query('select count(*) from deliveries');
    const beside = await measure('beside', 60);
    await idle.query('commit');
    await idle.end();
    await reader.stop();
    expect(await check()).toEqual([]);
    const figures = { withoutMs: Math.round(without * 10) / 10, besideMs: Math.round(beside * 10) / 10 };
    process.stdout.write(`${JSON.stringify({ figure: 'faults.mail.idle-transaction.p95', ...figures })}\n`);
    // Values below a few milliseconds measure the machine.
    expect(beside).toBeLessThanOrEqual(Math.max(2 * without, 20));
  });
});
