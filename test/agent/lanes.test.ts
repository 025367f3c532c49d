import { describe, expect, it } from 'vitest';
import { createLanes } from '../../src/agent/lanes.js';

/** Lanes whose items run until they are finished by hand. */
function byHand(concurrency: number) {
  const running = new Map<string, () => void>();
  const begun: string[] = [];
  const lanes = createLanes<string>(concurrency, (item) => {
    begun.push(item);
    return new Promise((resolve) => running.set(item, resolve));
  });
  const finish = async (item: string): Promise<void> => {
    running.get(item)?.();
    // The lane goes on in a later turn.
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { lanes, begun, finish };
}

describe('lanes', () => {
  it('start what waits in the order of its places, however it came', async () => {
    const { lanes, begun, finish } = byHand(1);
    for (const place of [1, 5, 6, 3, 4, 2]) lanes.push('one', place, String(place));
    for (const place of [1, 2, 3, 4, 5, 6]) await finish(String(place));
    expect(begun).toEqual(['1', '2', '3', '4', '5', '6']);
    expect(lanes.size()).toBe(0);
  });

  it('pass a busy lane by, and let it go on where it was', async () => {
    const { lanes, begun, finish } = byHand(2);
    lanes.push('a', 1, 'a1');
    lanes.push('a', 2, 'a2');
    lanes.push('b', 3, 'b1');
    lanes.push('b', 4, 'b2');
    expect(begun).toEqual(['a1', 'b1']);
    await finish('b1');
    expect(begun).toEqual(['a1', 'b1', 'b2']);
    await finish('a1');
    expect(begun).toEqual(['a1', 'b1', 'b2', 'a2']);
  });

  it('begin nothing more once they are closed, and wait for what runs', async () => {
    const { lanes, begun, finish } = byHand(1);
    lanes.push('a', 1, 'a1');
    lanes.push('a', 2, 'a2');
    let isClosed = false;
    const closed = lanes.close().then(() => (isClosed = true));
    lanes.push('a', 3, 'a3');
    await new Promise((resolve) => setImmediate(resolve));
    expect(isClosed).toBe(false);
    await finish('a1');
    await closed;
    expect(begun).toEqual(['a1']);
  });
});
