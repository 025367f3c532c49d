import { describe, expect, it } from 'vitest';
import { waitFor } from '../support/wait-for.js';
import { answer, refuse, type Call } from './support/fake-manager.js';
import { oneAgent, stopAgentsAfterEach } from './support/one-agent.js';
import { deliveryOf, eventOf } from './support/views.js';

stopAgentsAfterEach();

const isInbox = ({ method, path }: Call): boolean => method === 'GET' && path.endsWith('/inbox');

describe('an agent that receives by stream', () => {
  it('opens another stream when one breaks within an event, and handles a redelivered message once', async () => {
    const { agent, manager } = await oneAgent();
    const got: string[] = [];
    agent.onMessage(({ id }) => void got.push(id));
    await agent.start();
    const first = await manager.stream();
    const [one, two] = [deliveryOf({ id: 'm-1' }), deliveryOf({ id: 'm-2' })];
    first.deliver(one);
    await waitFor('the first message', () => got.length === 1);
    first.write(eventOf(two).slice(0, -20));
    first.destroy();
    const second = await waitFor('another stream', () => manager.streams[1]);
    // The first message again under another lease, as after a lost ack.
    second.deliver({ ...one, leaseToken: 'another', attempt: 2 }, { ...two, attempt: 2 });
    await waitFor('three acks', () => manager.acks().flat().length === 3);
    expect(got).toEqual(['m-1', 'm-2']);
    expect(manager.calls.filter(isInbox).map(({ query }) => query.toString())).toEqual(['max=32', 'max=32']);
  });

  it('closes its stream when it stops and when it registers again', async () => {
    const { agent, manager } = await oneAgent();
    await agent.start();
    const first = await manager.stream();
    manager.respond((call, response) => call.token === 'own-1' && refuse(response, 401, 'unauthenticated'));
    agent.setReadiness('busy');
    const second = await waitFor('a stream with the new token', () => manager.streams[1]);
    await waitFor('the end of the first', () => first.isClosed());
    expect(manager.calls.filter(isInbox).map(({ token }) => token)).toEqual(['own-1', 'own-2']);
    await agent.stop();
    await waitFor('the end of the second', () => second.isClosed());
  });

  it('polls its inbox when no stream gets through', async () => {
    const { agent, manager, errors } = await oneAgent();
    const got: string[] = [];
    agent.onMessage(({ id }) => void got.push(id));
    let given = 0;
    manager.respond((call, response) => {
      if (!isInbox(call)) return false;
      const limit = call.query.has('waitSeconds') ? 3 : 1;
      const deliveries = given < limit ? [deliveryOf({ id: `m-${++given}` })] : undefined;
      return deliveries ? answer(response, 200, { deliveries }) : true;
    });
    await agent.start();
    await waitFor('three messages', () => got.length === 3);
    expect(got).toEqual(['m-1', 'm-2', 'm-3']);
    const polls = manager.calls.filter(isInbox).map(({ query }) => query.has('waitSeconds'));
    expect(polls.slice(0, 3)).toEqual([false, true, true]);
    expect(errors).toEqual([]);
  });
});

describe('an agent that polls', () => {
  it('holds at most one batch, and polls again when half of it is done', async () => {
    const { agent, manager } = await oneAgent({ receive: 'poll', batchSize: 4, waitSeconds: 7 });
    const finish: (() => void)[] = [];
    agent.onMessage(() => new Promise<void>((resolve) => finish.push(resolve)));
    let left = 6;
    manager.respond((call, response) => {
      if (!isInbox(call) || left === 0) return false;
      const max = Number(call.query.get('max'));
      const deliveries = Array.from({ length: Math.min(max, left) }, () => deliveryOf({ id: `m-${left--}` }));
      return answer(response, 200, { deliveries });
    });
    await agent.start();
    const polls = (): string[] => manager.calls.filter(isInbox).map(({ query }) => query.toString());
    await waitFor('the first', () => finish.length === 1);
    finish[0]?.();
    await waitFor('the second', () => finish.length === 2);
    expect(polls()).toEqual(['max=4&waitSeconds=7']);
    finish[1]?.();
    await waitFor('the second poll', () => polls().length === 2);
    expect(polls()[1]).toBe('max=2&waitSeconds=7');
    for (let n = 2; n < 6; n++) {
      await waitFor(`message ${n + 1}`, () => finish.length === n + 1);
      finish[n]?.();
    }
    await waitFor('six acks', () => manager.acks().flat().length === 6);
    expect(manager.streams).toEqual([]);
  });
});
