import { describe, expect, it } from 'vitest';
import type { MessageView } from '../../src/contracts/inbox.js';
import { waitFor } from '../support/wait-for.js';
import { answer, refuse, type SentMessage } from './support/fake-manager.js';
import { oneAgent, stopAgentsAfterEach } from './support/one-agent.js';
import { deliveryOf } from './support/views.js';

stopAgentsAfterEach();

const replyTo = (request: SentMessage | undefined, reply: Partial<MessageView> & { readonly id: string }) =>
  deliveryOf({ ...reply, correlationId: request?.correlationId ?? '' });

describe('a request', () => {
  it('receives its reply while the handler that made it still runs', async () => {
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
    (await manager.stream()).deliver(order);
    const request = await waitFor('the request', () => manager.sent().flat()[0]);
    expect(request).toMatchObject({ to: { role: 'reviewer', cluster: 'cl_1' }, replyTo: 'a', ttlSeconds: 5 });
    // A sender who is among the recipients receives its own request.
    const echo = replyTo(request, { id: request.id, source: 'a', replyTo: 'a' });
    const reply = replyTo(request, { id: 'r-1', source: 'b', data: 'fine' });
    const further = replyTo(request, { id: 'r-2', source: 'c', data: 'fine, too' });
    (await manager.stream()).deliver(reply, further);
    await waitFor('the acks', () => manager.acks().flat().length === 3);
    expect(replies).toMatchObject([{ id: 'r-1', source: 'b', data: 'fine' }]);
    expect(handled).toEqual(['order']);
    (await manager.stream()).deliver(echo);
    await waitFor('the own request at the handler', () => handled.length === 2);
    expect(handled[1]).toBe(request.id);
  });

  it('receives its reply although a full batch of messages waits for the handler', async () => {
    const { agent, manager } = await oneAgent({ batchSize: 2 });
    const replies: MessageView[] = [];
    agent.onMessage(async () => void replies.push(await agent.request({ agent: 'b' }, { type: 'ask', data: 1 })));
    await agent.start();
    const polls: (string | null)[] = [];
    manager.respond((call, response) => {
      if (!call.query.has('waitSeconds')) return false;
      polls.push(call.query.get('max'));
      void waitFor('the request', () => manager.sent().flat()[0]).then((asked) =>
        answer(response, 200, { deliveries: [replyTo(asked, { id: 'r-1', source: 'b' })] }),
      );
      return true;
    });
    (await manager.stream()).deliver(deliveryOf({ id: 'm-1' }), deliveryOf({ id: 'm-2' }));
    await waitFor('the reply', () => replies.length === 1);
    expect(polls[0]).toBe('98');
  });

  it('fails with not_found without a recipient, deadline_exceeded without a reply, state_conflict when the agent stops', async () => {
    const { agent, manager } = await oneAgent();
    await agent.start();
    let isDead = true;
    manager.respond((call, response) => {
      if (call.path !== '/v1/messages' || !isDead) return false;
      const { id } = (call.body as { messages: SentMessage[] }).messages[0] ?? { id: '' };
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
    const interrupted = agent.request({ agent: 'b' }, { type: 'ask', data: 1 });
    await waitFor('the third request', () => manager.sent().flat().length === 3);
    await agent.stop();
    await expect(interrupted).rejects.toMatchObject({ code: 'state_conflict' });
  });

  it('that has timed out, or that an earlier process sent, has its late reply dead-lettered', async () => {
    const { agent, manager, errors } = await oneAgent();
    const handled: string[] = [];
    agent.onMessage(({ id }) => void handled.push(id));
    await agent.start();
    const asked = agent.request({ agent: 'b' }, { type: 'ask', data: 1 }, { timeoutMs: 1000 });
    await expect(asked).rejects.toMatchObject({ code: 'deadline_exceeded' });
    const late = replyTo(manager.sent().flat()[0], { id: 'late', source: 'b' });
    const earlier = deliveryOf({ id: 'earlier', source: 'b', correlationId: 'request:a:of-another-process' });
    const other = deliveryOf({ id: 'other', source: 'b', correlationId: 'request:ab:not-ours' });
    (await manager.stream()).deliver(late, earlier, other);
    await waitFor('the ack', () => manager.acks().flat().length === 1);
    const nacks = await waitFor('both nacks', () => {
      const calls = manager.nacks();
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
  it('is the value that the handler returns, sent before the ack and under the same id after a crash', async () => {
    const ids: string[] = [];
    for (const run of [1, 2]) {
      const { agent, manager } = await oneAgent();
      agent.onMessage(({ data }) => ({ type: 'answer', data: [data, run] }));
      await agent.start();
      const request = deliveryOf({ id: 'q-1', source: 'b', replyTo: 'b', correlationId: 'request:b:1', data: 'why?' });
      (await manager.stream()).deliver(request);
      await waitFor('the ack', () => manager.acks().flat().length === 1);
      const [reply] = manager.sent().flat();
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

  it('that differs from an earlier one to the same message is ignored, and the message is acked', async () => {
    const { agent, manager, errors } = await oneAgent();
    agent.onMessage(() => ({ type: 'answer', data: Math.random() }));
    manager.respond((call, response) => {
      if (call.path !== '/v1/messages') return false;
      const { id } = (call.body as { messages: SentMessage[] }).messages[0] ?? { id: '' };
      return answer(response, 202, {
        results: [{ id, accepted: false, error: { code: 'idempotency_conflict', detail: '' } }],
      });
    });
    await agent.start();
    (await manager.stream()).deliver(deliveryOf({ id: 'q-1', source: 'b', replyTo: 'b' }));
    await waitFor('the ack', () => manager.acks().flat().length === 1);
    expect(errors).toEqual([]);
  });

  it('to a message that asks for none is not sent, and an error event says so', async () => {
    const { agent, manager, errors } = await oneAgent();
    agent.onMessage(() => ({ type: 'answer', data: 1 }));
    await agent.start();
    (await manager.stream()).deliver(deliveryOf({ id: 'news', source: 'b' }));
    await waitFor('the ack', () => manager.acks().flat().length === 1);
    expect(manager.sent().flat()).toEqual([]);
    expect(errors).toMatchObject([{ code: 'state_conflict', message: expect.stringContaining('asks for none') }]);
  });

  it('sent with reply() goes to replyTo or the sender, and is refused for a sender without an inbox', async () => {
    const { agent, manager } = await oneAgent();
    await agent.start();
    const { message } = deliveryOf({ id: 'm-1', source: 'b' });
    await agent.reply(message, { type: 'answer', data: 1 });
    expect(manager.sent().flat()).toMatchObject([{ to: { agent: 'b' }, correlationId: 'm-1' }]);
    const fromOperator = { ...message, source: '/admin/tok_1' };
    await expect(agent.reply(fromOperator, { type: 'answer', data: 1 })).rejects.toMatchObject({
      code: 'invalid_request',
    });
    const fromManager = { ...message, source: 'cluster-manager-1', type: 'cluster.joined' };
    await expect(agent.reply(fromManager, { type: 'answer', data: 1 })).rejects.toMatchObject({
      code: 'invalid_request',
    });
    await agent.reply({ ...fromOperator, replyTo: 'c' }, { type: 'answer', data: 1 });
    expect(
      manager
        .sent()
        .flat()
        .map(({ to }) => to),
    ).toEqual([{ agent: 'b' }, { agent: 'c' }]);
  });

  it('that is refused as invalid dead-letters the message; after any other refusal the message is redelivered', async () => {
    const { agent, manager } = await oneAgent();
    agent.onMessage(() => ({ type: 'answer', data: 1 }));
    let code = 'invalid_request';
    manager.respond(
      (call, response) =>
        call.path === '/v1/messages' && refuse(response, code === 'invalid_request' ? 400 : 403, code),
    );
    await agent.start();
    (await manager.stream()).deliver(deliveryOf({ id: 'q-1', source: 'b', replyTo: 'b' }));
    await waitFor('the first nack', () => manager.nacks().length === 1);
    code = 'forbidden';
    (await manager.stream()).deliver(deliveryOf({ id: 'q-2', source: 'b', replyTo: 'b' }));
    await waitFor('the second nack', () => manager.nacks().length === 2);
    expect(manager.nacks().map(({ body }) => (body as { final: boolean }).final)).toEqual([true, false]);
  });
});
