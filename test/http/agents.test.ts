import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AgentView, RegisteredAgent } from '../../src/contracts/agents.js';
import type { DeliveryView } from '../../src/contracts/inbox.js';
import { deliver } from '../../src/stores/communication/index.js';
import { waitFor } from '../support/wait-for.js';
import { startTestApi, type Answer, type TestApi, codeOf } from './support.js';

let test: TestApi;
beforeAll(async () => {
  test = await startTestApi();
});
afterAll(() => test.stop());

const registered = ({ body }: Answer): RegisteredAgent => body as RegisteredAgent;
const register = (token: string, body: object) => test.call('POST', '/v1/agents', { token, body });

describe('registration', () => {
  it('registering an agent again updates it as a new incarnation', async () => {
    const first = await register(test.tokens.enrolment, { id: 'r1', capabilities: ['a', { name: 'b', version: '2' }] });
    expect([first.status, registered(first).agent.incarnation]).toEqual([201, 1]);
    expect(registered(first)).toMatchObject({ leaseSeconds: 30, heartbeatSeconds: 5 });
    const again = await register(registered(first).token, { id: 'r1', capabilities: ['c'] });
    expect([again.status, registered(again).agent.incarnation]).toEqual([200, 2]);
    expect(registered(again).agent.capabilities).toEqual([{ name: 'c' }]);
  });

  it('each registration of an agent returns a new token and revokes the previous one', async () => {
    const old = registered(await register(test.tokens.enrolment, { id: 'r2' })).token;
    const fresh = registered(await register(old, { id: 'r2' })).token;
    expect(fresh).not.toBe(old);
    expect((await test.call('GET', '/v1/agents/r2', { token: old })).status).toBe(401);
    expect((await test.call('GET', '/v1/agents/r2', { token: fresh })).status).toBe(200);
  });

  it('the database stores only hashes of agent tokens', async () => {
    const { token } = registered(await register(test.tokens.enrolment, { id: 'r3' }));
    const { rows } = await sql<{ all: string }>`select string_agg(t::text, '') as all from tokens t`.execute(
      test.databases.clusters,
    );
    expect(rows[0]?.all).not.toContain(token.slice(8));
  });

  it('an enrolment token can register again only the agents that it enrolled', async () => {
    await register(test.tokens.enrolment, { id: 'r4' });
    const { body } = await test.call('POST', '/v1/tokens', {
      token: test.tokens.admin,
      body: { role: 'agent', name: 'another enrolment' },
    });
    const other = (body as { secret: string }).secret;
    const refused = await register(other, { id: 'r4', capabilities: ['stolen'] });
    expect([refused.status, codeOf(refused)]).toEqual([409, 'state_conflict']);
    const { body: kept } = await test.call('GET', '/v1/agents/r4', { token: test.tokens.viewer });
    expect((kept as { agent: AgentView }).agent).toMatchObject({ incarnation: 1, capabilities: [] });
    expect((await register(test.tokens.enrolment, { id: 'r4' })).status).toBe(200);
    expect((await register(test.tokens.orchestrator, { id: 'r4' })).status).toBe(200);
  });

  it('an agent token cannot register another agent id', async () => {
    const token = await test.register('r5');
    expect((await register(token, { id: 'r6' })).status).toBe(404);
  });

  it('agents are listed page by page, by capability and state', async () => {
    for (const id of ['p1', 'p2', 'p3']) await test.register(id, { capabilities: ['paging'] });
    const list = async (query: string) =>
      (await test.call('GET', `/v1/agents?capability=paging${query}`, { token: test.tokens.viewer })).body as {
        agents: AgentView[];
        nextCursor: string | null;
      };
    const first = await list('&limit=2');
    expect(first.agents.map(({ id }) => id)).toEqual(['p1', 'p2']);
    const second = await list(`&limit=2&cursor=${first.nextCursor}`);
    expect([second.agents.map(({ id }) => id), second.nextCursor]).toEqual([['p3'], null]);
    expect((await list('&state=expired')).agents).toEqual([]);
  });

  it('an agent that drains and leaves twice has one agent.left event', async () => {
    const token = await test.register('d1');
    const { body } = await test.call('POST', '/v1/agents/d1/drain', { token });
    expect((body as { agent: AgentView }).agent.readiness.state).toBe('draining');
    expect((await test.call('DELETE', '/v1/agents/d1', { token })).body).toEqual({ id: 'd1', left: true });
    expect((await test.call('DELETE', '/v1/agents/d1', { token: test.tokens.admin })).status).toBe(200);
    const drained = await test.call('POST', '/v1/agents/d1/drain', { token: test.tokens.admin });
    expect([drained.status, codeOf(drained)]).toEqual([409, 'state_conflict']);
    const { body: events } = await test.call('GET', '/v1/events?limit=200', { token: test.tokens.viewer });
    const types = (events as { events: { subject: string; type: string }[] }).events
      .filter(({ subject }) => subject === 'd1')
      .map(({ type }) => type);
    expect(types).toEqual(['agent.registered', 'agent.left']);
  });
});

describe('the inbox', () => {
  const inbox = async (id: string, token: string, query = '', signal?: AbortSignal) => {
    const answer = await test.call('GET', `/v1/agents/${id}/inbox${query}`, { token, ...(signal ? { signal } : {}) });
    return (answer.body as { deliveries: DeliveryView[] }).deliveries;
  };
  const send = (to: string, id: string) =>
    deliver(
      test.databases.communication,
      { id, source: 'test', type: 't', clusterId: null, epoch: null, data: { id } },
      [to],
    );

  it('a poll of an empty inbox without a wait returns at once', async () => {
    const token = await test.register('i1');
    expect(await inbox('i1', token)).toEqual([]);
  });

  it('a long poll returns within 500 ms of the delivery', async () => {
    const token = await test.register('i2');
    const polled = inbox('i2', token, '?waitSeconds=20');
    await waitFor('the poll to wait', () => test.deps.notifier.waiting === 1);
    const sentAtMs = performance.now();
    const sent = await test.call('POST', '/v1/messages', {
      token: test.tokens.orchestrator,
      body: { messages: [{ id: 'msg-i2', to: { agent: 'i2' }, type: 't', data: 1 }] },
    });
    expect(sent.body).toEqual({ results: [{ id: 'msg-i2', accepted: true, matched: 1 }] });
    const deliveries = await polled;
    expect(performance.now() - sentAtMs).toBeLessThan(500);
    expect(deliveries.map(({ message }) => message.id)).toEqual(['msg-i2']);
    const { body } = await waitFor('the delivery to be recorded', async () => {
      const answer = await test.call('GET', '/v1/agents/i2', { token });
      return (answer.body as { agent: AgentView }).agent.reachability.lastHandOverAt ? answer : undefined;
    });
    expect(body).toBeDefined();
  });

  it('a hundred agents that wait in long polls each receive their own message', async () => {
    const ids = Array.from({ length: 100 }, (_, index) => `w${index}`);
    const tokens = await Promise.all(ids.map((id) => test.register(id)));
    const polls = ids.map((id, index) => inbox(id, tokens[index] ?? '', '?waitSeconds=20'));
    await waitFor('all polls to wait', () => test.deps.notifier.waiting === 100);
    await Promise.all(ids.map((id) => send(id, `msg-${id}`)));
    const received = (await Promise.all(polls)).map((deliveries) => deliveries.map(({ message }) => message.id));
    expect(received).toEqual(ids.map((id) => [`msg-${id}`]));
  });

  it('a long poll whose caller disconnected ends and leases no delivery', async () => {
    const token = await test.register('i3');
    const leaving = new AbortController();
    const polled = inbox('i3', token, '?waitSeconds=20', leaving.signal).catch(() => 'gone');
    await waitFor('the poll to wait', () => test.deps.notifier.waiting === 1);
    leaving.abort();
    expect(await polled).toBe('gone');
    await waitFor('the wait to end', () => test.deps.notifier.waiting === 0);
    await send('i3', 'msg-i3');
    expect((await inbox('i3', token)).map(({ attempt }) => attempt)).toEqual([1]);
  });

  it('a long poll whose token is revoked while it waits gets 401 and no delivery', async () => {
    const token = await test.register('i4');
    const polled = test.call('GET', '/v1/agents/i4/inbox?waitSeconds=20', { token });
    await waitFor('the poll to wait', () => test.deps.notifier.waiting === 1);
    await test.register('i4');
    await send('i4', 'msg-i4');
    expect((await polled).status).toBe(401);
  });

  it('an ack and its repetition succeed, and an ack of a delivery that the agent does not hold is refused', async () => {
    const token = await test.register('i5');
    const stranger = await test.register('i6');
    await send('i5', 'msg-i5');
    const [delivery] = await inbox('i5', token);
    if (!delivery) throw new Error('nothing was delivered');
    const { id, leaseToken } = delivery;
    const acks = (by: string, lease: string) =>
      test.call('POST', '/v1/deliveries/ack', { token: by, body: { acks: [{ id, leaseToken: lease }] } });
    const refusedAs = (code: string) => ({ results: [{ id, acked: false, error: { code } }] });
    expect((await acks(stranger, leaseToken)).body).toEqual(refusedAs('not_found'));
    expect((await acks(token, 'another')).body).toEqual(refusedAs('stale_lease'));
    expect((await acks(token, leaseToken)).body).toEqual({ results: [{ id, acked: true }] });
    expect((await acks(token, leaseToken)).body).toEqual({ results: [{ id, acked: true }] });
    const one = (lease: string) =>
      test.call('POST', `/v1/deliveries/${id}/ack`, { token, body: { leaseToken: lease } });
    expect((await one(leaseToken)).body).toEqual({ id, acked: true });
    const refused = await one('another');
    expect([refused.status, codeOf(refused)]).toEqual([409, 'stale_lease']);
  });

  it("an agent's answer to an invitation is stored once and cannot be changed", async () => {
    const token = await test.register('i7', { acceptance: 'ask' });
    const answer = (word: string, cluster = 'cl_i7') =>
      test.call('POST', `/v1/agents/i7/invitations/${cluster}`, { token, body: { answer: word } });
    expect((await answer('accept', 'cl_none')).status).toBe(404);
    await sql`insert into operations (id, kind, state, cluster_id, workflow_id, request, request_hash, requested_by)
      values ('op_i7', 'FORMATION', 'running', 'cl_i7', 'formation/op_i7', '{}', 'h', 't')`.execute(
      test.databases.clusters,
    );
    await sql`insert into memberships (cluster_id, agent_id, state, operation_id, answer)
      values ('cl_i7', 'i7', 'reserved', 'op_i7', 'invited')`.execute(test.databases.clusters);
    expect((await answer('accept')).body).toEqual({ clusterId: 'cl_i7', answer: 'accept' });
    expect((await answer('accept')).status).toBe(200);
    const changed = await answer('decline');
    expect([changed.status, codeOf(changed)]).toEqual([409, 'state_conflict']);
  });
});
