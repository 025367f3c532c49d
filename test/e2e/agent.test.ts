import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createAgent, type Agent, type AgentEvents, type AgentOptions } from '../../src/agent/index.js';
import { deliver } from '../../src/stores/communication/index.js';
import { waitFor } from '../support/wait-for.js';
import { startManager, type TestManager } from './manager.js';

let manager: TestManager;
const agents: Agent[] = [];

beforeAll(async () => {
  manager = await startManager({ leaseSeconds: 6, heartbeatSeconds: 1, invitationSeconds: 5 });
});
afterAll(() => manager?.stop());
afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.leave().catch(() => undefined)));
});

type Seen = { [Name in keyof AgentEvents]: AgentEvents[Name][] };

/** An agent whose events are recorded in order. It leaves after the test. */
function makeAgent(options: Partial<AgentOptions> & { readonly id: string }): { agent: Agent; seen: Seen } {
  const agent = createAgent({ url: manager.url, token: manager.enrolmentToken, ...options });
  const seen: Seen = {
    registered: [],
    joined: [],
    changed: [],
    left: [],
    received: [],
    acked: [],
    'lost-lease': [],
    reconnected: [],
    error: [],
  };
  for (const name of Object.keys(seen) as (keyof Seen)[]) {
    agent.on(name, (event) => (seen[name] as (typeof event)[]).push(event));
  }
  agents.push(agent);
  return { agent, seen };
}

const form = (name: string, capability: string) =>
  manager.api.request({
    type: 'FORMATION',
    name,
    requiredCapabilities: [capability],
    size: { min: 3, desired: 3, max: 3 },
    deadlineSeconds: 60,
  });

const send = (id: string, type: string, to: string): Promise<void> =>
  deliver(
    manager.databases.communication,
    { id, source: 'test', type, clusterId: null, epoch: null, data: { greeting: id } },
    [to],
  );

describe('a registered agent', () => {
  it('renews its lease by heartbeats, which report its figures', async () => {
    const { agent, seen } = makeAgent({ id: 'renewing', capabilities: ['renew'], resources: { slots: 4 }, host: 'h1' });
    await agent.start();
    expect(seen.registered).toEqual([{ incarnation: 1, leaseSeconds: 6, again: false }]);
    expect(agent.status()).toMatchObject({ state: 'registered', readiness: 'ready', incarnation: 1 });
    const { agent: first } = await manager.api.getAgent({ params: { id: 'renewing' } });
    agent.report({ load: 0.5, inboxDepth: 3 });
    agent.setReadiness('busy');
    const later = await waitFor('a renewed lease with the figures', async () => {
      const { agent: now } = await manager.api.getAgent({ params: { id: 'renewing' } });
      return now.liveness.leaseExpiresAt > first.liveness.leaseExpiresAt && now.readiness.load === 0.5 && now;
    });
    expect(later).toMatchObject({ host: 'h1', readiness: { state: 'busy', load: 0.5, inboxDepth: 3 } });
    await waitFor('a second renewal', async () => {
      const { agent: now } = await manager.api.getAgent({ params: { id: 'renewing' } });
      return now.liveness.leaseExpiresAt > later.liveness.leaseExpiresAt;
    });
    expect(seen.error).toEqual([]);
  });

  it('drains without leaving, and leaves without being counted as lost', async () => {
    const { agent } = makeAgent({ id: 'leaver' });
    await agent.start();
    await agent.drain();
    expect((await manager.api.getAgent({ params: { id: 'leaver' } })).agent.readiness.state).toBe('draining');
    await agent.leave();
    expect((await manager.api.getAgent({ params: { id: 'leaver' } })).agent.liveness.state).toBe('left');
    expect(agent.status().state).toBe('stopped');
  });

  it('does not undo a drain that an operator requested', async () => {
    const { agent } = makeAgent({ id: 'drained' });
    await agent.start();
    const { liveness } = (await manager.api.drainAgent({ params: { id: 'drained' } })).agent;
    const later = await waitFor('two more heartbeats', async () => {
      const { agent: now } = await manager.api.getAgent({ params: { id: 'drained' } });
      return Date.parse(now.liveness.leaseExpiresAt) - Date.parse(liveness.leaseExpiresAt) > 1500 && now;
    });
    expect(later.readiness.state).toBe('draining');
  });
});

describe('an agent in clusters', () => {
  it('receives the member list of its cluster, and an event when the cluster is dissolved', async () => {
    const three = ['m1', 'm2', 'm3'].map((id) => makeAgent({ id, capabilities: ['mesh'] }));
    await Promise.all(three.map(({ agent }) => agent.start()));
    const accepted = await form('mesh', 'mesh');
    const ended = await manager.api.waitForOperation(accepted.id);
    expect(ended.state).toBe('completed');
    for (const { agent, seen } of three) {
      await waitFor('cluster.joined', () => seen.joined.length > 0);
      expect(seen.joined).toHaveLength(1);
      const [cluster] = agent.clusters();
      expect(cluster).toMatchObject({ id: ended.clusterId, name: 'mesh', epoch: 1 });
      expect(cluster?.members.map((member) => member.agentId).sort()).toEqual(['m1', 'm2', 'm3']);
    }
    const { operation: dissolution } = await manager.api.dissolveCluster({
      params: { id: ended.clusterId ?? '' },
      body: { drainSeconds: 5 },
    });
    expect((await manager.api.waitForOperation(dissolution.id)).state).toBe('completed');
    for (const { agent, seen } of three) {
      await waitFor('the end of the cluster', () => seen.left.length > 0);
      expect(seen.left[0]?.clusterId).toBe(ended.clusterId);
      expect(agent.clusters()).toEqual([]);
    }
  });

  it('finds its cluster by a heartbeat when an earlier process received the message', async () => {
    const three = ['e1', 'e2', 'e3'].map((id) => makeAgent({ id, capabilities: ['earlier'] }));
    await Promise.all(three.map(({ agent }) => agent.start()));
    const { clusterId } = await manager.api.waitForOperation((await form('earlier', 'earlier')).id);
    await waitFor('cluster.joined', () => three[0]?.agent.clusters().length === 1);
    await three[0]?.agent.stop();
    const { agent, seen } = makeAgent({ id: 'e1', capabilities: ['earlier'] });
    await agent.start();
    await waitFor('the cluster it is in', () => seen.joined.length > 0);
    expect(agent.clusters().map(({ id }) => id)).toEqual([clusterId]);
  });

  it('answers invitations, and is replaced by an alternate when it declines', async () => {
    const willing = ['w1', 'w2', 'w3'].map((id) => makeAgent({ id, capabilities: ['asked'], acceptance: 'ask' }));
    const asked: string[] = [];
    for (const { agent } of willing) {
      agent.onInvitation(({ clusterId }) => (asked.push(clusterId), { answer: 'accept' }));
    }
    const unwilling = makeAgent({ id: 'w4', capabilities: ['asked'], acceptance: 'ask' });
    unwilling.agent.onInvitation(() => ({ answer: 'decline', reason: 'no budget left' }));
    await Promise.all([...willing, unwilling].map(({ agent }) => agent.start()));
    const ended = await manager.api.waitForOperation((await form('asked', 'asked')).id);
    expect(ended).toMatchObject({ state: 'completed' });
    const members = (await manager.api.getCluster({ params: { id: ended.clusterId ?? '' } })).cluster.members.map(
      ({ agentId }) => agentId,
    );
    expect(members.sort()).toEqual(['w1', 'w2', 'w3']);
    expect(asked).toHaveLength(3);
    expect(new Set(asked)).toEqual(new Set([ended.clusterId]));
  });

  it('declines invitations without a handler, and the formation is compensated', async () => {
    const without = ['d1', 'd2', 'd3'].map((id) => makeAgent({ id, capabilities: ['deaf'], acceptance: 'ask' }));
    await Promise.all(without.map(({ agent }) => agent.start()));
    const ended = await manager.api.waitForOperation((await form('deaf', 'deaf')).id);
    expect(ended).toMatchObject({ state: 'compensated', error: { code: 'invitations_declined' } });
  });
});

describe('a message to an agent', () => {
  it('is handled once, in order, and acked', async () => {
    const { agent } = makeAgent({ id: 'reader' });
    const got: string[] = [];
    agent.onMessage(({ id }) => void got.push(id));
    await agent.start();
    for (const id of ['r-1', 'r-2', 'r-3']) await send(id, 'test.hello', 'reader');
    await waitFor('three messages', () => got.length === 3);
    expect(got).toEqual(['r-1', 'r-2', 'r-3']);
    await waitFor('their acks', async () => (await openDeliveries('reader')) === 0);
  });

  it('is redelivered when the handler throws, and does not delay the next message', async () => {
    const { agent, seen } = makeAgent({ id: 'thrower' });
    const got: [string, number][] = [];
    agent.onMessage(({ id }, { attempt }) => {
      got.push([id, attempt]);
      if (id === 't-1' && attempt === 1) throw new Error('not today');
    });
    await agent.start();
    await send('t-1', 'test.hello', 'thrower');
    await send('t-2', 'test.hello', 'thrower');
    await waitFor('the second message', () => got.length === 2);
    expect(seen.error.map(({ message }) => message)).toEqual(['not today']);
    await waitFor('only the first to be open', async () => (await openDeliveries('thrower')) === 1);
    await manager.databases.communication
      .updateTable('deliveries')
      .set({ leaseExpiresAt: new Date(0), availableAt: new Date(0) })
      .where('inboxNo', '=', await inboxOf('thrower'))
      .where('leaseToken', 'is not', null)
      .execute();
    await waitFor('the first message again', () => got.length === 3);
    expect(got).toEqual([
      ['t-1', 1],
      ['t-2', 1],
      ['t-1', 2],
    ]);
    await waitFor('its ack', async () => (await openDeliveries('thrower')) === 0);
  });

  it('without a handler stays unacked and emits an error', async () => {
    const { agent, seen } = makeAgent({ id: 'mute' });
    await agent.start();
    await send('mute-1', 'test.hello', 'mute');
    await waitFor('the error', () => seen.error.length > 0);
    expect(seen.error[0]?.message).toContain('onMessage');
    expect(await openDeliveries('mute')).toBe(1);
  });
});

async function openDeliveries(agentId: string): Promise<number> {
  const rows = await manager.databases.communication
    .selectFrom('deliveries')
    .select('sequence')
    .where('inboxNo', '=', await inboxOf(agentId))
    .execute();
  return rows.length;
}

const inboxOf = async (agentId: string): Promise<number> => {
  const { no } = await manager.databases.communication
    .selectFrom('inboxes')
    .select('no')
    .where('agentId', '=', agentId)
    .executeTakeFirstOrThrow();
  return no;
};

describe('an agent after a failure', () => {
  it("rejects start() with the code of the manager's refusal", async () => {
    const wrong = makeAgent({ id: 'wrong', token: `cmt_${'x'.repeat(43)}` });
    await expect(wrong.agent.start()).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(wrong.agent.status().state).toBe('stopped');
    expect(() => makeAgent({ id: 'not an id' })).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  });

  it('can be stopped while it waits for the manager', async () => {
    const { agent } = makeAgent({ id: 'early', url: 'http://127.0.0.1:9' });
    const started = agent.start();
    await agent.stop();
    await expect(started).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('registers again when its token is revoked', async () => {
    const { agent, seen } = makeAgent({ id: 'removed' });
    await agent.start();
    await manager.api.removeAgent({ params: { id: 'removed' } });
    await waitFor('a second registration', () => seen.registered.length === 2);
    expect(seen.registered[1]).toMatchObject({ incarnation: 2, again: true });
    expect((await manager.api.getAgent({ params: { id: 'removed' } })).agent.liveness.state).toBe('alive');
  });

  it('reconnects after the server was killed and restarted, and receives messages', async () => {
    const { agent, seen } = makeAgent({ id: 'survivor' });
    const got: string[] = [];
    agent.onMessage(({ id }) => void got.push(id));
    await agent.start();
    // Killed again when it is back before the next heartbeat: each restart waits longer than the one before.
    await waitFor('an error event', () => {
      if (seen.error.length === 0) manager.stack.signal('server', 'SIGKILL');
      return seen.error.length > 0;
    });
    await manager.stack.waitReady('server');
    await waitFor('the agent to reconnect', () => seen.reconnected.length > 0 || seen.registered.length > 1);
    expect(agent.status().state).toBe('registered');
    await send('after-restart', 'test.hello', 'survivor');
    await waitFor('the message', () => got.includes('after-restart'));
  });

  it('fences itself when its lease has expired, and registers again when the manager answers', async () => {
    const { agent, seen } = makeAgent({ id: 'fenced' });
    const got: { id: string; state: string }[] = [];
    agent.onMessage(({ id }) => void got.push({ id, state: agent.status().state }));
    await agent.start();
    manager.stack.signal('server', 'SIGSTOP');
    try {
      await waitFor('the lease to expire', () => seen['lost-lease'].length > 0);
      expect(agent.status().state).toBe('unavailable');
      expect(seen['lost-lease'][0]?.silentMs).toBeGreaterThanOrEqual(6000);
      await send('while-away', 'test.hello', 'fenced');
    } finally {
      manager.stack.signal('server', 'SIGCONT');
    }
    await waitFor('the second registration', () => seen.registered.length === 2);
    expect(seen.registered[1]).toMatchObject({ again: true });
    await waitFor('the message sent meanwhile', () => got.length > 0);
    expect(got).toEqual([{ id: 'while-away', state: 'registered' }]);
  });
});
