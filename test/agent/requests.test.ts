import { describe, expect, it } from 'vitest';
import type { MessageView } from '../../src/contracts/inbox.js';
import { waitFor } from '../support/wait-for.js';
import { answer, deliveryOf, refuse, type FakeManager } from './support/fake-manager.js';
import { endAgentsAfterEach, oneAgent } from './support/fleet-of-one.js';

endAgentsAfterEach();

interface Sent {
  readonly id: string;
  readonly to: unknown;
  readonly type: string;
  readonly data: unknown;
  readonly correlationId?: string;
  readonly replyTo?: string;
  readonly ttlSeconds?: number;
}

const sent = (manager: FakeManager): Sent[] =>
  manager.callsTo('POST /v1/messages').flatMap(({ body }) => (body as { messages: Sent[] }).messages);
const stream = (manager: FakeManager) => waitFor('the stream', () => manager.streams[0]);
const ackedIds = (manager: FakeManager): string[] =>
  manager
    .callsTo('POST /v1/deliveries/ack')
    .flatMap(({ body }) => (body as { acks: { id: string }[] }).acks.map(({ id }) => id));
const replyTo = (request: Sent | undefined, reply: Partial<MessageView> & { readonly id: string }) =>
  deliveryOf({ ...reply, correlationId: request?.correlationId ?? '' });

describe('a request', () => {
  it('gets its reply past the handler, which may be the one who asks', async () => {
    const { agent, manager } = await oneAgent();
    const handled: string[] = [];
    const replies: MessageView[] = [];
    agent.onMessage(async ({ id }) => {
      handled.push(id);
      replies.push(
        await agent.request({ role: 'reviewer', cluster: 'cl_1' }, { type: 'review', data: 1 }, { timeoutMs: 5000 }),
      );
    });
    await agent.start();
    const order = deliveryOf({ id: 'order' });
    (await stream(manager)).deliver(order);
    const request = await waitFor('the request', () => sent(manager)[0]);
    expect(request).toMatchObject({ to: { role: 'reviewer', cluster: 'cl_1' }, replyTo: 'a', ttlSeconds: 5 });
    // The request itself may come back, when its sender is among those it was for.
    const echo = replyTo(request, { id: request.id, source: 'a', replyTo: 'a' });
    const reply = replyTo(request, { id: 'r-1', source: 'b', data: 'fine' });
    const further = replyTo(request, { id: 'r-2', source: 'c', data: 'fine, too' });
    (await stream(manager)).deliver(reply, further);
    await waitFor('the acks', () => ackedIds(manager).length === 3);
    expect(replies).toMatchObject([{ id: 'r-1', source: 'b', data: 'fine' }]);
    expect(handled).toEqual(['order']);
    (await stream(manager)).deliver(echo);
    await waitFor('what came back, at the handler', () => handled.length === 2);
    expect(handled[1]).toBe(request.id);
  });

  it('gets its reply although the desk is full of messages that wait for the handler', async () => {
    const { agent, manager } = await oneAgent({ batchSize: 2 });
    const replies: MessageView[] = [];
    agent.onMessage(async () => void replies.push(await agent.request({ agent: 'b' }, { type: 'ask', data: 1 })));
    await agent.start();
    const questions: (string | null)[] = [];
    manager.respond((call, response) => {
      if (!call.query.has('waitSeconds')) return false;
      questions.push(call.query.get('max'));
      void waitFor('the request', () => sent(manager)[0]).then((asked) =>
        answer(response, 200, { deliveries: [replyTo(asked, { id: 'r-1', source: 'b' })] }),
      );
      return true;
    });
    (await stream(manager)).deliver(deliveryOf({ id: 'm-1' }), deliveryOf({ id: 'm-2' }));
    await waitFor('the reply', () => replies.length === 1);
    expect(questions[0]).toBe('98');
  });

  it('that nobody takes, or answers in time, or that the agent’s end cuts short ends with a word', async () => {
    const { agent, manager } = await oneAgent();
    await agent.start();
    let isDead = true;
    manager.respond((call, response) => {
      if (call.path !== '/v1/messages' || !isDead) return false;
      const { id } = (call.body as { messages: Sent[] }).messages[0] ?? { id: '' };
      return answer(response, 202, { results: [{ id, accepted: true, matched: 0, deadLetter: 'unknown_recipient' }] });
    });
    await expect(agent.request({ agent: 'nobody' }, { type: 'ask', data: 1 })).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('unknown_recipient'),
    });
    isDead = false;
    await expect(agent.request({ agent: 'b' }, { type: 'ask', data: 1 }, { timeoutMs: 1000 })).rejects.toMatchObject({
      code: 'deadline_exceeded',
    });
    const cut = agent.request({ agent: 'b' }, { type: 'ask', data: 1 });
    await waitFor('the third request', () => sent(manager).length === 3);
    await agent.stop();
    await expect(cut).rejects.toMatchObject({ code: 'state_conflict' });
  });

  it('that gave up makes a dead letter of a late reply, and so does one of an earlier process', async () => {
    const { agent, manager, errors } = await oneAgent();
    const handled: string[] = [];
    agent.onMessage(({ id }) => void handled.push(id));
    await agent.start();
    const asked = agent.request({ agent: 'b' }, { type: 'ask', data: 1 }, { timeoutMs: 1000 });
    await expect(asked).rejects.toMatchObject({ code: 'deadline_exceeded' });
    const late = replyTo(sent(manager)[0], { id: 'late', source: 'b' });
    const earlier = deliveryOf({ id: 'earlier', source: 'b', correlationId: 'request:a:of-another-process' });
    const other = deliveryOf({ id: 'other', source: 'b', correlationId: 'request:ab:not-ours' });
    (await stream(manager)).deliver(late, earlier, other);
    await waitFor('the ack', () => ackedIds(manager).length === 1);
    const nacks = await waitFor('both nacks', () => {
      const calls = manager.callsTo(/\/nack$/);
      return calls.length === 2 && calls;
    });
    for (const { body } of nacks) {
      expect(body).toMatchObject({ final: true, reason: expect.stringContaining('came too late') });
    }
    expect(handled).toEqual(['other']);
    expect(errors.map((error) => 'code' in error && error.code)).toEqual(['deadline_exceeded', 'deadline_exceeded']);
  });
});

describe('a reply', () => {
  it('is what the handler returns, sent before the ack and the same one after a crash', async () => {
    const ids: string[] = [];
    for (const run of [1, 2]) {
      const { agent, manager } = await oneAgent();
      agent.onMessage(({ data }) => ({ type: 'answer', data: [data, run] }));
      await agent.start();
      const request = deliveryOf({ id: 'q-1', source: 'b', replyTo: 'b', correlationId: 'request:b:1', data: 'why?' });
      (await stream(manager)).deliver(request);
      await waitFor('the ack', () => ackedIds(manager).length === 1);
      const [reply] = sent(manager);
      expect(reply).toMatchObject({
        to: { agent: 'b' },
        type: 'answer',
        data: ['why?', run],
        correlationId: 'request:b:1',
      });
      expect(reply).not.toHaveProperty('replyTo');
      const paths = manager.calls.map(({ path }) => path);
      expect(paths.indexOf('/v1/messages')).toBeLessThan(paths.indexOf('/v1/deliveries/ack'));
      ids.push(reply?.id ?? '');
      await agent.stop();
    }
    expect(ids[0]).toBe(ids[1]);
  });

  it('that was given before stands, whatever is said now', async () => {
    const { agent, manager, errors } = await oneAgent();
    agent.onMessage(() => ({ type: 'answer', data: Math.random() }));
    manager.respond((call, response) => {
      if (call.path !== '/v1/messages') return false;
      const { id } = (call.body as { messages: Sent[] }).messages[0] ?? { id: '' };
      return answer(response, 202, {
        results: [{ id, accepted: false, error: { code: 'idempotency_conflict', detail: '' } }],
      });
    });
    await agent.start();
    (await stream(manager)).deliver(deliveryOf({ id: 'q-1', source: 'b', replyTo: 'b' }));
    await waitFor('the ack', () => ackedIds(manager).length === 1);
    expect(errors).toEqual([]);
  });

  it('that nobody asked for is not sent, and that is said', async () => {
    const { agent, manager, errors } = await oneAgent();
    agent.onMessage(() => ({ type: 'answer', data: 1 }));
    await agent.start();
    (await stream(manager)).deliver(deliveryOf({ id: 'news', source: 'b' }));
    await waitFor('the ack', () => ackedIds(manager).length === 1);
    expect(sent(manager)).toEqual([]);
    expect(errors).toMatchObject([{ code: 'state_conflict', message: expect.stringContaining('asks for none') }]);
  });

  it('may be given at any time, to the sender where none is named, and not to one without an inbox', async () => {
    const { agent, manager } = await oneAgent();
    await agent.start();
    const { message } = deliveryOf({ id: 'm-1', source: 'b' });
    await agent.reply(message, { type: 'answer', data: 1 });
    expect(sent(manager)).toMatchObject([{ to: { agent: 'b' }, correlationId: 'm-1' }]);
    const ofOperator = { ...message, source: '/admin/tok_1' };
    await expect(agent.reply(ofOperator, { type: 'answer', data: 1 })).rejects.toMatchObject({
      code: 'invalid_request',
    });
    const ofManager = { ...message, source: 'cluster-manager-1', type: 'cluster.joined' };
    await expect(agent.reply(ofManager, { type: 'answer', data: 1 })).rejects.toMatchObject({
      code: 'invalid_request',
    });
    await agent.reply({ ...ofOperator, replyTo: 'c' }, { type: 'answer', data: 1 });
    expect(sent(manager).map(({ to }) => to)).toEqual([{ agent: 'b' }, { agent: 'c' }]);
  });

  it('that can never be sent ends the message, one that cannot be sent now brings it again', async () => {
    const { agent, manager } = await oneAgent();
    agent.onMessage(() => ({ type: 'answer', data: 1 }));
    let code = 'invalid_request';
    manager.respond(
      (call, response) =>
        call.path === '/v1/messages' && refuse(response, code === 'invalid_request' ? 400 : 403, code),
    );
    await agent.start();
    (await stream(manager)).deliver(deliveryOf({ id: 'q-1', source: 'b', replyTo: 'b' }));
    await waitFor('the first nack', () => manager.callsTo(/\/nack$/).length === 1);
    code = 'forbidden';
    (await stream(manager)).deliver(deliveryOf({ id: 'q-2', source: 'b', replyTo: 'b' }));
    await waitFor('the second nack', () => manager.callsTo(/\/nack$/).length === 2);
    expect(manager.callsTo(/\/nack$/).map(({ body }) => (body as { final: boolean }).final)).toEqual([true, false]);
  });
});
