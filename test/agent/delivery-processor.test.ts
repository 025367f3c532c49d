import { afterEach, describe, expect, it } from 'vitest';
import { finalError } from '../../src/agent/index.js';
import { waitFor } from '../support/wait-for.js';
import { answer, refuse, type Call, type FakeManager } from './support/fake-manager.js';
import { oneAgent, stopAgentsAfterEach } from './support/one-agent.js';
import { deliveryOf } from './support/views.js';

stopAgentsAfterEach();
const unfinished = new Set<() => void>();
// Runs before the agents are stopped: stop() waits for handlers that a failed test left running.
afterEach(() => {
  for (const finish of unfinished) finish();
  unfinished.clear();
});

const ackedIds = (manager: FakeManager): string[][] => manager.acks().map((acks) => acks.map(({ id }) => id));
const extensions = (manager: FakeManager): readonly Call[] => manager.callsTo(/^POST .*\/extend$/);

/** A handler whose calls run until the test finishes them. */
function manualHandler() {
  const running: { readonly id: string; readonly finish: (error?: Error) => void; readonly signal: AbortSignal }[] = [];
  const seen: string[] = [];
  let maxRunning = 0;
  const handler = ({ id }: { readonly id: string }, { signal }: { readonly signal: AbortSignal }): Promise<void> =>
    new Promise<void>((resolve, reject) => {
      seen.push(id);
      unfinished.add(resolve);
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
      maxRunning = Math.max(maxRunning, running.length);
    });
  return { running, seen, handler, maxRunning: () => maxRunning };
}

describe('the acks of an agent', () => {
  it('are sent in one call, and at once when no handler runs', async () => {
    const { agent, manager } = await oneAgent();
    agent.onMessage(() => undefined);
    await agent.start();
    const deliveries = Array.from({ length: 10 }, (_, n) => deliveryOf({ id: `m-${n}` }));
    (await manager.stream()).deliver(...deliveries);
    await waitFor('ten acks', () => ackedIds(manager).flat().length === 10);
    expect(ackedIds(manager)).toEqual([deliveries.map(({ id }) => id)]);
  });

  it('do not wait for a running handler', async () => {
    const { agent, manager } = await oneAgent();
    const { running, handler } = manualHandler();
    agent.onMessage(handler);
    await agent.start();
    const [done, slow] = [deliveryOf({ id: 'done' }), deliveryOf({ id: 'slow' })];
    (await manager.stream()).deliver(done, slow);
    await waitFor('the first', () => running.length === 1);
    const finishedMs = performance.now();
    running[0]?.finish();
    await waitFor('its ack', () => ackedIds(manager).length === 1, { everyMs: 5 });
    expect(performance.now() - finishedMs).toBeLessThan(1000);
    expect(running.map(({ id }) => id)).toEqual(['slow']);
    expect(ackedIds(manager)).toEqual([[done.id]]);
    running[0]?.finish();
  });

  it('are repeated after a broken connection, and sent for a running handler when the agent stops', async () => {
    const { agent, manager } = await oneAgent();
    const { running, seen, handler } = manualHandler();
    agent.onMessage(handler);
    await agent.start();
    const [first, second, third] = [deliveryOf({ id: 'm-1' }), deliveryOf({ id: 'm-2' }), deliveryOf({ id: 'm-3' })];
    (await manager.stream()).deliver(first, second, third);
    let broken = 0;
    manager.respond((call, response) => {
      if (!call.path.endsWith('/ack') || broken++ > 0) return false;
      response.destroy();
      return true;
    });
    await waitFor('the first', () => running.length === 1);
    running[0]?.finish();
    await waitFor('the same ack again', () => ackedIds(manager).length === 2);
    expect(ackedIds(manager)).toEqual([[first.id], [first.id]]);
    await waitFor('the second', () => running.length === 1);
    const stopped = agent.stop();
    await waitFor('its signal', () => running[0]?.signal.aborted);
    running[0]?.finish();
    await stopped;
    expect(ackedIds(manager)).toEqual([[first.id], [first.id], [second.id]]);
    expect(seen).toEqual(['m-1', 'm-2']);
    expect(manager.nacks()).toEqual([]);
  });

  it('emit an event when confirmed, and each delivery emits one before it is handled', async () => {
    const { agent, manager } = await oneAgent();
    const events: string[] = [];
    agent.on('received', ({ delivery }) => events.push(`received ${delivery.message.id}`));
    agent.on('acked', ({ deliveryId, leaseToken }) => events.push(`acked ${deliveryId} ${leaseToken}`));
    agent.onMessage(({ id }) => void events.push(`handled ${id}`));
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
    (await manager.stream()).deliver(late, good);
    await waitFor('the ack', () => events.length === 5);
    expect(events.slice(0, 2)).toEqual(['received late', 'received good']);
    expect(events.slice(2, 4)).toEqual(['handled late', 'handled good']);
    expect(events[4]).toBe(`acked ${good.id} ${good.leaseToken}`);
  });
});

describe('message handlers', () => {
  it('run up to the concurrency at once, and one after the other for one sender or partition key', async () => {
    const { agent, manager } = await oneAgent({ concurrency: 3 });
    const { running, seen, handler, maxRunning } = manualHandler();
    agent.onMessage(handler);
    await agent.start();
    const from = (source: string, id: string, partitionKey: string | null = null) =>
      deliveryOf({ id, source, partitionKey });
    (await manager.stream()).deliver(
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
    await waitFor('all acks', () => ackedIds(manager).flat().length === 7);
    expect(maxRunning()).toBe(3);
    expect(seen).toEqual(['a1', 'b1', 'k1', 'c1', 'k2', 'a2', 'a3']);
  });

  it('that throw nack the message with the reason, and the nack is final when the error is final', async () => {
    const { agent, manager, errors } = await oneAgent();
    agent.onMessage(({ id }) => {
      throw id === 'once' ? new Error('not\u0000 today\u001b[31m') : finalError('there is no such document');
    });
    await agent.start();
    const [once, never] = [deliveryOf({ id: 'once' }), deliveryOf({ id: 'never' })];
    (await manager.stream()).deliver(once, never);
    await waitFor('both nacks', () => manager.nacks().length === 2);
    expect(manager.nacks().map(({ path, body }) => [path, body])).toEqual([
      [`/v1/deliveries/${once.id}/nack`, { leaseToken: once.leaseToken, reason: 'not  today [31m', final: false }],
      [
        `/v1/deliveries/${never.id}/nack`,
        { leaseToken: never.leaseToken, reason: 'there is no such document', final: true },
      ],
    ]);
    expect(errors).toHaveLength(2);
    expect(ackedIds(manager)).toEqual([]);
  });
});

describe('the lease of a delivery', () => {
  it('is extended at half of its length while the handler runs and while the message is queued', async () => {
    const { agent, manager } = await oneAgent();
    const { running, handler } = manualHandler();
    agent.onMessage(handler);
    await agent.start();
    const [slow, behind] = [
      deliveryOf({ id: 'slow' }, { leaseMs: 6000 }),
      deliveryOf({ id: 'behind' }, { leaseMs: 6000 }),
    ];
    const receivedMs = performance.now();
    (await manager.stream()).deliver(slow, behind);
    await waitFor('both extensions', () => extensions(manager).length === 2);
    const sentAfterMs = (extensions(manager)[0]?.atMs ?? 0) - receivedMs;
    expect(sentAfterMs).toBeGreaterThan(2000);
    expect(sentAfterMs).toBeLessThan(5000);
    expect(new Set(extensions(manager).map(({ path }) => path))).toEqual(
      new Set([slow, behind].map(({ id }) => `/v1/deliveries/${id}/extend`)),
    );
    for (const id of ['slow', 'behind']) {
      const one = await waitFor(id, () => running.find((at) => at.id === id));
      one.finish();
    }
    await waitFor('their acks', () => ackedIds(manager).flat().length === 2);
  });

  it('aborts the handler when lost, and the message is acked only under its next lease', async () => {
    const { agent, manager } = await oneAgent();
    const { running, seen, handler } = manualHandler();
    agent.onMessage(handler);
    manager.respond((call, response) => call.path.endsWith('/extend') && refuse(response, 409, 'stale_lease'));
    await agent.start();
    const lost = deliveryOf({ id: 'm-1' }, { leaseMs: 2000 });
    (await manager.stream()).deliver(lost);
    const one = await waitFor('the handler', () => running[0]);
    await waitFor('its signal', () => one.signal.aborted);
    one.finish();
    const again = { ...deliveryOf({ id: 'm-1' }, { attempt: 2 }), id: lost.id };
    (await manager.stream()).deliver(again, deliveryOf({ id: 'm-2' }));
    // The first handler completed, so the redelivery is acked without running it again.
    await waitFor('the next message', () => running.length === 1);
    expect(seen).toEqual(['m-1', 'm-2']);
    running[0]?.finish();
    await waitFor('the acks', () => ackedIds(manager).flat().length === 2);
    const acks = manager.callsTo('POST /v1/deliveries/ack').flatMap(({ body }) => (body as { acks: unknown[] }).acks);
    expect(acks[0]).toEqual({ id: lost.id, leaseToken: again.leaseToken });
    expect(manager.nacks()).toEqual([]);
  });

  it('that appears to have expired is verified with the manager before the message is handled', async () => {
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
    (await manager.stream()).deliver(late, skewed);
    await waitFor('the ack', () => ackedIds(manager).length === 1);
    expect(got).toEqual(['skewed']);
    expect(ackedIds(manager)).toEqual([[skewed.id]]);
  });
});
