import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { MessageTrace } from '../../src/contracts/messages.js';
import { waitFor } from '../support/wait-for.js';
import { readJournals, type JournalEntry } from '../support/journal.js';
import { openDeployment, type Deployment, type DeploymentServer } from './deployment.js';
import { enrol, insist, sendAll, type AgentClient } from './messaging-client.js';

const leaseSeconds = 3;
const script = fileURLToPath(new URL('./consumer.ts', import.meta.url));

let folder = '';
let deployment: Deployment;
let server: DeploymentServer;
let consumers: ChildProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cluster-manager-consumers-'));
  deployment = await openDeployment(
    { adminUrl: inject('adminDatabaseUrl'), temporal: inject('temporal') },
    {
      workers: 1,
      server: true,
      settings: { communication: { delivery_lease: leaseSeconds, retry_delays: [0] }, agents: { lease: 3600 } },
    },
  );
  if (!deployment.server) throw new Error('There is no server');
  server = deployment.server;
});
afterAll(async () => {
  endConsumers();
  await deployment?.close();
  rmSync(folder, { recursive: true, force: true });
});

function endConsumers(): void {
  for (const consumer of consumers) {
    consumer.kill('SIGCONT');
    consumer.kill('SIGKILL');
  }
  consumers = [];
}

const journalOf = (name: string): string => join(folder, `${name}.journal`);

/** Starts a consumer process for an agent; it writes the journal of that name. */
function consume(agent: AgentClient, journal: string, workMs = 0): ChildProcess {
  const args = ['--import', 'tsx', script, agent.url, agent.id, agent.token, journalOf(journal), String(workMs)];
  const consumer = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  consumers.push(consumer);
  return consumer;
}

const entriesOf = (name: string): readonly JournalEntry[] => {
  try {
    return readJournals([journalOf(name)]);
  } catch {
    // The consumer has written nothing yet, so its file does not exist.
    return [];
  }
};
const writes = <What extends JournalEntry['what']>(name: string, what: What, count = 1) =>
  waitFor(
    `${count} × ${what} in the journal of ${name}`,
    () => {
      const found = entriesOf(name).filter((entry): entry is JournalEntry & { what: What } => entry.what === what);
      return found.length >= count ? found : undefined;
    },
    { timeoutMs: 90_000 },
  );

async function send(to: AgentClient, from: AgentClient, data: readonly unknown[]): Promise<void> {
  let rest = data;
  await sendAll(
    from,
    () => {
      const [next, ...others] = rest;
      rest = others;
      return next === undefined ? undefined : [{ to: { agent: to.id }, type: 'task', data: next }];
    },
    () => undefined,
  );
}

const check = (...journals: readonly string[]) => deployment.check({ journal: readJournals(journals.map(journalOf)) });

describe('a consumer', () => {
  it(
    'a delivery goes to another consumer when its consumer is paused beyond the lease, and the late ack is rejected',
    { timeout: 240_000 },
    async () => {
      const [agent, sender] = [
        await enrol(server, folder, { id: 'paused' }),
        await enrol(server, folder, { id: 'p-sender' }),
      ];
      const first = consume(agent, 'first', 2_000);
      await send(agent, sender, [{ n: 1 }]);
      const [held] = await writes('first', 'received');
      first.kill('SIGSTOP');
      consume(agent, 'second');
      const [taken] = await writes('second', 'received');
      expect(taken).toMatchObject({ deliveryId: held?.deliveryId, attempt: 2 });
      expect(await writes('second', 'acked')).toMatchObject([{ confirmed: true }]);
      first.kill('SIGCONT');
      expect(await writes('first', 'acked')).toMatchObject([{ deliveryId: held?.deliveryId, confirmed: false }]);
      // Each later message goes to one of the two consumers.
      await send(agent, sender, [{ n: 2 }, { n: 3 }]);
      await waitFor('the rest to be acked', () => confirmed(['first', 'second']) === 3, { timeoutMs: 30_000 });
      endConsumers();
      expect(await check('first', 'second', 'p-sender')).toEqual([]);
    },
  );

  it(
    'a message that kills its consumer is dead-lettered after five attempts, and the others are acked',
    { timeout: 300_000 },
    async () => {
      const [agent, sender] = [
        await enrol(server, folder, { id: 'frail' }),
        await enrol(server, folder, { id: 'f-sender' }),
      ];
      let deaths = 0;
      const startAgain = (): void => {
        const consumer = consume(agent, 'frail-one');
        consumer.once('exit', () => {
          if (!consumers.includes(consumer)) return;
          deaths += 1;
          startAgain();
        });
      };
      await send(agent, sender, [{ n: 1 }, { n: 2 }, { poison: true }, { n: 4 }, { n: 5 }]);
      startAgain();
      await waitFor('the others to be acked', () => confirmed(['frail-one']) === 4, { timeoutMs: 90_000 });
      const admin = { url: server.url, token: server.adminToken };
      const letters = () =>
        insist<{ deadLetters: readonly { reason: string; attempts: number; messageId: string }[] }>(
          admin,
          'GET',
          `/v1/dead-letters?recipient=${agent.id}`,
        );
      const [letter, ...more] = await waitFor(
        'the dead letter',
        async () => {
          const { deadLetters } = await letters();
          return deadLetters.length > 0 ? deadLetters : undefined;
        },
        { timeoutMs: 120_000 },
      );
      expect(more).toEqual([]);
      expect(letter).toMatchObject({ reason: 'tries_exhausted', attempts: 5, messageId: `${sender.id}.3` });
      expect(deaths).toBe(5);
      const { message } = await insist<{ message: MessageTrace }>(admin, 'GET', `/v1/messages/${letter?.messageId}`);
      expect(message.hops.filter(({ what }) => what === 'lease_expired').length).toBeGreaterThanOrEqual(4);
      endConsumers();
      expect(await check('frail-one', 'f-sender')).toEqual([]);
    },
  );
});

const confirmed = (journals: readonly string[]): number =>
  journals.flatMap(entriesOf).filter((entry) => entry.what === 'acked' && entry.confirmed).length;

describe('messages in flight', () => {
  it(
    'messages for the role of a removed member go to the next member with that role, without loss',
    { timeout: 240_000 },
    async () => {
      const members: AgentClient[] = [];
      for (const id of ['m-0', 'm-1', 'm-2']) members.push(await enrol(server, folder, { id, capabilities: ['move'] }));
      const role = { name: 'lead', capability: 'move', min: 1, max: 1 };
      const formed = await deployment.manager.formCluster({
        requestId: 'movers',
        name: 'movers',
        requiredCapabilities: ['move'],
        roles: [role],
      });
      const lost = formed.members.find(({ roles }) => roles.includes('lead'))?.agentId ?? '';
      members.push(await enrol(server, folder, { id: 'm-3', capabilities: ['move'] }));
      const sender = await enrol(server, folder, { id: 'm-sender' });
      for (const member of members.filter(({ id }) => id !== lost)) consume(member, `reads-${member.id}`);
      const dying = members.find(({ id }) => id === lost);
      if (!dying) throw new Error('No member has the role');
      consume(dying, 'dying', 3_600_000);

      let sent = 0;
      const sending = sendAll(
        sender,
        () => {
          sent += 1;
          return sent > 300
            ? undefined
            : [{ to: { role: 'lead', cluster: formed.clusterId }, type: 'task', data: sent }];
        },
        () => undefined,
      );
      const held = await waitFor('a task to be leased', () =>
        entriesOf('dying').find((entry) => entry.what === 'received' && entry.source === sender.id),
      );
      if (held.what !== 'received') throw new Error('The journal entry is not a delivery');
      await waitFor('a third to be sent', () => sent > 100, { timeoutMs: 60_000 });
      const { clusters } = deployment.stores;
      await clusters
        .updateTable('agents')
        .set({ leaseExpiresAt: new Date(0) })
        .where('id', '=', lost)
        .execute();
      await clusters
        .updateTable('servers')
        .set({ startedAt: new Date(Date.now() - 86_000_000) })
        .execute();
      const { repaired } = await deployment.manager.runFormationInterval({ dryRun: false });
      expect(repaired).toEqual([formed.clusterId]);
      await sending;
      const others = members.filter(({ id }) => id !== lost).map(({ id }) => `reads-${id}`);
      const tasks = () =>
        others.flatMap(entriesOf).filter((entry) => entry.what === 'received' && entry.source === sender.id).length;
      await waitFor('every task to be delivered', () => tasks() >= 300, { timeoutMs: 60_000 });
      await waitFor('no delivery to be open', async () => (await open()) === 0, { timeoutMs: 60_000 });
      const late = await fetch(`${server.url}/v1/deliveries/${held.deliveryId}/ack`, {
        method: 'POST',
        headers: { authorization: `Bearer ${dying.token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ leaseToken: held.leaseToken }),
      });
      expect(late.status).toBe(409);
      endConsumers();
      expect(await check(...others, 'dying', sender.id)).toEqual([]);
      const { moved } = await deployment.stores.communication
        .selectFrom('deliveryHistory')
        .select(({ fn }) => fn.countAll<number>().as('moved'))
        .where('outcome', '=', 're_addressed')
        .executeTakeFirstOrThrow();
      expect(moved).toBeGreaterThan(0);
      process.stdout.write(`${JSON.stringify({ figure: 'faults.mail.removed', sent: 300, moved, lost: 0 })}\n`);
    },
  );
});

/** @returns the number of open deliveries, except the manager's own messages. */
async function open(): Promise<number> {
  const { count } = await deployment.stores.communication
    .selectFrom('deliveries')
    .innerJoin('messages', 'messages.no', 'deliveries.messageNo')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('messages.kind', '<>', 'manager')
    .executeTakeFirstOrThrow();
  return count;
}
