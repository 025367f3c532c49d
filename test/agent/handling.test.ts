import { afterEach, describe, expect, it } from 'vitest';
import { finalError } from '../../src/agent/index.js';
import { waitFor } from '../support/wait-for.js';
import { answer, deliveryOf, refuse, type Call, type FakeManager } from './support/fake-manager.js';
import { endAgentsAfterEach, oneAgent } from './support/fleet-of-one.js';

endAgentsAfterEach();
const atWork = new Set<() => void>();
// Before the agents are stopped, who would wait for a handler that a failed test left behind.
afterEach(() => {
  for (const finish of atWork) finish();
  atWork.clear();
});

const stream = (manager: FakeManager) => waitFor('the stream', () => manager.streams[0]);
const acksOf = (manager: FakeManager): string[][] =>
  manager
    .callsTo('POST /v1/deliveries/ack')
    .map(({ body }) => (body as { acks: { id: string }[] }).acks.map(({ id }) => id));
const nacks = (manager: FakeManager): readonly Call[] => manager.callsTo(/^POST .*\/nack$/);
const extensions = (manager: FakeManager): readonly Call[] => manager.callsTo(/^POST .*\/extend$/);

/** A handler whose calls end when the test says so. */
function controlled() {
  const running: { readonly id: string; readonly finish: (error?: Error) => void; readonly signal: AbortSignal }[] = [];
  const seen: string[] = [];
  let most = 0;
  const handler = ({ id }: { readonly id: string }, { signal }: { readonly signal: AbortSignal }): Promise<void> =>
    new Promise<void>((resolve, reject) => {
      seen.push(id);
      atWork.add(resolve);
      const one = {
        id,
        signal,
        finish: (error?: Error): void => {
          running.splice(running.indexOf(one), 1);
          if (error) reject(error);
          else resolve();
        },
      };
      running.push(one);
      most = Math.max(most, running.length);
    });
  return { running, seen, handler, most: () => most };
}

describe('acks', () => {
  it('go together, and at once when nothing else is at work', async () => {
    const { agent, manager } = await oneAgent();
    agent.onMessage(() => undefined);
    await agent.start();
    const deliveries = Array.from({ length: 10 }, (_, n) => deliveryOf({ id: `m-${n}` }));
    (await stream(manager)).deliver(...deliveries);
    await waitFor('ten acks', () => acksOf(manager).flat().length === 10);
    expect(acksOf(manager)).toEqual([deliveries.map(({ id }) => id)]);
  });

  it('of what is done do not wait for a handler at work', async () => {
    const { agent, manager } = await oneAgent();
    const { running, handler } = controlled();
    agent.onMessage(handler);
    await agent.start();
    const [done, slow] = [deliveryOf({ id: 'done' }), deliveryOf({ id: 'slow' })];
    (await stream(manager)).deliver(done, slow);
    await waitFor('the first', () => running.length === 1);
    const finishedMs = performance.now();
    running[0]?.finish();
    await waitFor('its ack', () => acksOf(manager).length === 1, { everyMs: 5 });
    expect(performance.now() - finishedMs).toBeLessThan(1000);
    expect(running.map(({ id }) => id)).toEqual(['slow']);
    expect(acksOf(manager)).toEqual([[done.id]]);
    running[0]?.finish();
  });

  it('are said again when they got lost, and those of a handler at work when the agent stops', async () => {
    const { agent, manager } = await oneAgent();
    const { running, seen, handler } = controlled();
    agent.onMessage(handler);
    await agent.start();
    const [first, second, third] = [deliveryOf({ id: 'm-1' }), deliveryOf({ id: 'm-2' }), deliveryOf({ id: 'm-3' })];
    (await stream(manager)).deliver(first, second, third);
    let cut = 0;
    manager.respond((call, response) => {
      if (!call.path.endsWith('/ack') || cut++ > 0) return false;
      response.destroy();
      return true;
    });
    await waitFor('the first', () => running.length === 1);
    running[0]?.finish();
    await waitFor('the same ack again', () => acksOf(manager).length === 2);
    expect(acksOf(manager)).toEqual([[first.id], [first.id]]);
    await waitFor('the second', () => running.length === 1);
    const stopped = agent.stop();
    await waitFor('its signal', () => running[0]?.signal.aborted);
    running[0]?.finish();
    await stopped;
    expect(acksOf(manager)).toEqual([[first.id], [first.id], [second.id]]);
    expect(seen).toEqual(['m-1', 'm-2']);
    expect(nacks(manager)).toEqual([]);
  });

  it('are told when they were confirmed, and each delivery before it is handled', async () => {
    const { agent, manager } = await oneAgent();
    const told: string[] = [];
    agent.on('received', ({ delivery }) => told.push(`received ${delivery.message.id}`));
    agent.on('acked', ({ deliveryId, leaseToken }) => told.push(`acked ${deliveryId} ${leaseToken}`));
    agent.onMessage(({ id }) => void told.push(`handled ${id}`));
    await agent.start();
    const [late, good] = [deliveryOf({ id: 'late' }), deliveryOf({ id: 'good' })];
    manager.respond(({ path, body }, response) => {
      if (!path.endsWith('/ack')) return false;
      const { acks } = body as { acks: { id: string }[] };
      const results = acks.map(({ id }) =>
        id === late.id ? { id, acked: false, error: { code: 'stale_lease' } } : { id, acked: true },
      );
      return answer(response, 200, { results });
    });
    (await stream(manager)).deliver(late, good);
    await waitFor('the ack', () => told.length === 5);
    expect(told.slice(0, 2)).toEqual(['received late', 'received good']);
    expect(told.slice(2, 4)).toEqual(['handled late', 'handled good']);
    expect(told[4]).toBe(`acked ${good.id} ${good.leaseToken}`);
  });
});

describe('handlers', () => {
  it('run up to the concurrency at once, those of one sender and of one key one after the other', async () => {
    const { agent, manager } = await oneAgent({ concurrency: 3 });
    const { running, seen, handler, most } = controlled();
    agent.onMessage(handler);
    await agent.start();
    const from = (source: string, id: string, partitionKey: string | null = null) =>
      deliveryOf({ id, source, partitionKey });
    (await stream(manager)).deliver(
      from('ada', 'a1'),
      from('ada', 'a2'),
      from('bo', 'b1'),
      from('bo', 'k1', 'key'),
      from('ada', 'k2', 'key'),
      from('cy', 'c1'),
      from('ada', 'a3'),
    );
    const isRunning = (...ids: string[]) =>
      waitFor(
        `${ids.join(', ')} to run`,
        () =>
          running
            .map(({ id }) => id)
            .sort()
            .join() === ids.join(),
      );
    const finish = (id: string): void => running.find((one) => one.id === id)?.finish();
    await isRunning('a1', 'b1', 'k1');
    finish('b1');
    await isRunning('a1', 'c1', 'k1');
    finish('k1');
    await isRunning('a1', 'c1', 'k2');
    finish('a1');
    await isRunning('a2', 'c1', 'k2');
    for (const id of ['c1', 'k2', 'a2']) finish(id);
    await isRunning('a3');
    finish('a3');
    await waitFor('all acks', () => acksOf(manager).flat().length === 7);
    expect(most()).toBe(3);
    expect(seen).toEqual(['a1', 'b1', 'k1', 'c1', 'k2', 'a2', 'a3']);
  });

  it('that throw give the message back with the reason, for good when the error is final', async () => {
    const { agent, manager, errors } = await oneAgent();
    agent.onMessage(({ id }) => {
      throw id === 'once' ? new Error('not\u0000 today\u001b[31m') : finalError('there is no such document');
    });
    await agent.start();
    const [once, never] = [deliveryOf({ id: 'once' }), deliveryOf({ id: 'never' })];
    (await stream(manager)).deliver(once, never);
    await waitFor('both to be given back', () => nacks(manager).length === 2);
    expect(nacks(manager).map(({ path, body }) => [path, body])).toEqual([
      [`/v1/deliveries/${once.id}/nack`, { leaseToken: once.leaseToken, reason: 'not  today [31m', final: false }],
      [
        `/v1/deliveries/${never.id}/nack`,
        { leaseToken: never.leaseToken, reason: 'there is no such document', final: true },
      ],
    ]);
    expect(errors).toHaveLength(2);
    expect(acksOf(manager)).toEqual([]);
  });
});

describe('the lease of a delivery', () => {
  it('is prolonged at its half while the handler runs and while the message waits for it', async () => {
    const { agent, manager } = await oneAgent();
    const { running, handler } = controlled();
    agent.onMessage(handler);
    await agent.start();
    const [slow, behind] = [
      deliveryOf({ id: 'slow' }, { leaseMs: 6000 }),
      deliveryOf({ id: 'behind' }, { leaseMs: 6000 }),
    ];
    const receivedMs = performance.now();
    (await stream(manager)).deliver(slow, behind);
    await waitFor('both extensions', () => extensions(manager).length === 2);
    const askedAfterMs = (extensions(manager)[0]?.atMs ?? 0) - receivedMs;
    expect(askedAfterMs).toBeGreaterThan(2000);
    expect(askedAfterMs).toBeLessThan(5000);
    expect(new Set(extensions(manager).map(({ path }) => path))).toEqual(
      new Set([slow, behind].map(({ id }) => `/v1/deliveries/${id}/extend`)),
    );
    for (const id of ['slow', 'behind']) {
      const one = await waitFor(id, () => running.find((at) => at.id === id));
      one.finish();
    }
    await waitFor('their acks', () => acksOf(manager).flat().length === 2);
  });

  it('that was lost ends the work, and the message is not acked under it', async () => {
    const { agent, manager } = await oneAgent();
    const { running, seen, handler } = controlled();
    agent.onMessage(handler);
    manager.respond((call, response) => call.path.endsWith('/extend') && refuse(response, 409, 'stale_lease'));
    await agent.start();
    const lost = deliveryOf({ id: 'm-1' }, { leaseMs: 2000 });
    (await stream(manager)).deliver(lost);
    const one = await waitFor('the handler', () => running[0]);
    await waitFor('its signal', () => one.signal.aborted);
    one.finish();
    const again = { ...deliveryOf({ id: 'm-1' }, { attempt: 2 }), id: lost.id };
    (await stream(manager)).deliver(again, deliveryOf({ id: 'm-2' }));
    // It was handled all the same, so the second attempt has nothing to do but to say so.
    await waitFor('the next message', () => running.length === 1);
    expect(seen).toEqual(['m-1', 'm-2']);
    running[0]?.finish();
    await waitFor('the acks', () => acksOf(manager).flat().length === 2);
    const acks = manager.callsTo('POST /v1/deliveries/ack').flatMap(({ body }) => (body as { acks: unknown[] }).acks);
    expect(acks[0]).toEqual({ id: lost.id, leaseToken: again.leaseToken });
    expect(nacks(manager)).toEqual([]);
  });

  it('that looks as if it were over is asked about before the message is handled', async () => {
    const { agent, manager } = await oneAgent();
    const got: string[] = [];
    agent.onMessage(({ id }) => void got.push(id));
    const late = deliveryOf({ id: 'late' }, { leaseMs: -600_000 });
    const skewed = deliveryOf({ id: 'skewed' }, { leaseMs: -600_000 });
    manager.respond((call, response) => {
      if (call.path === `/v1/deliveries/${late.id}/extend`) return refuse(response, 409, 'stale_lease');
      if (!call.path.endsWith('/extend')) return false;
      return answer(response, 200, { id: skewed.id, leaseExpiresAt: new Date(Date.now() - 570_000).toISOString() });
    });
    await agent.start();
    (await stream(manager)).deliver(late, skewed);
    await waitFor('the ack', () => acksOf(manager).length === 1);
    expect(got).toEqual(['skewed']);
    expect(acksOf(manager)).toEqual([[skewed.id]]);
  });
});
