import { describe, expect, it } from 'vitest';
import { createKeyedQueue } from '../../src/agent/inbox/keyed-queue.js';

/** A queue whose items run until the test finishes them. */
function manualQueue(concurrency: number) {
  const running = new Map<string, () => void>();
  const started: string[] = [];
  const queue = createKeyedQueue<string>(concurrency, (item) => {
    started.push(item);
    return new Promise((resolve) => running.set(item, resolve));
  });
  const finish = async (item: string): Promise<void> => {
    running.get(item)?.();
    // The queue starts the next item in a later turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { queue, started, finish };
}

describe('keyed queue', () => {
  it('starts items by their order, not by their arrival', async () => {
    const { queue, started, finish } = manualQueue(1);
    for (const order of [1, 5, 6, 3, 4, 2]) queue.push('one', order, String(order));
    for (const order of [1, 2, 3, 4, 5, 6]) await finish(String(order));
    expect(started).toEqual(['1', '2', '3', '4', '5', '6']);
    expect(queue.size()).toBe(0);
  });

  it('skips the items of a busy key until that key is free', async () => {
    const { queue, started, finish } = manualQueue(2);
    queue.push('a', 1, 'a1');
    queue.push('a', 2, 'a2');
    queue.push('b', 3, 'b1');
    queue.push('b', 4, 'b2');
    expect(started).toEqual(['a1', 'b1']);
    await finish('b1');
    expect(started).toEqual(['a1', 'b1', 'b2']);
    await finish('a1');
    expect(started).toEqual(['a1', 'b1', 'b2', 'a2']);
  });

  it('starts nothing after close, which waits for the running items', async () => {
    const { queue, started, finish } = manualQueue(1);
    queue.push('a', 1, 'a1');
    queue.push('a', 2, 'a2');
    let isClosed = false;
    const closed = queue.close().then(() => (isClosed = true));
    queue.push('a', 3, 'a3');
    await new Promise((resolve) => setImmediate(resolve));
    expect(isClosed).toBe(false);
    await finish('a1');
    await closed;
    expect(started).toEqual(['a1']);
  });
});
