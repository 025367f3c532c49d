import { describe, expect, it } from 'vitest';
import { backoffMs, createWakeSignal, jittered, sleep } from '../../src/agent/connection/backoff.js';

const hourMs = 3_600_000;

describe('waiting times of an agent', () => {
  it('a sleep ends by its timer, a wake-up or an abort, and removes its listeners', async () => {
    const stopping = new AbortController();
    const wakeSignal = createWakeSignal();
    await sleep(1, stopping.signal, wakeSignal);
    const woken = sleep(hourMs, stopping.signal, wakeSignal);
    expect(wakeSignal.sleepers.size).toBe(1);
    wakeSignal.wake();
    await woken;
    const stopped = sleep(hourMs, stopping.signal, wakeSignal);
    stopping.abort();
    await stopped;
    await sleep(hourMs, stopping.signal, wakeSignal);
    expect(wakeSignal.sleepers.size).toBe(0);
  });

  it('the backoff limit doubles up to the cap, and waits are spread over its whole range', () => {
    const limits = { baseMs: 100, capMs: 1000 };
    for (const [failures, limit] of [
      [1, 100],
      [3, 400],
      [5, 1000],
      [1000, 1000],
    ] as const) {
      const waits = Array.from({ length: 500 }, () => backoffMs(failures, limits));
      expect(Math.min(...waits)).toBeGreaterThanOrEqual(0);
      expect(Math.min(...waits)).toBeLessThan(limit * 0.2);
      expect(Math.max(...waits)).toBeLessThan(limit);
      expect(Math.max(...waits)).toBeGreaterThan(limit * 0.8);
    }
  });

  it('the heartbeat period varies by a tenth in both directions', () => {
    const waits = Array.from({ length: 500 }, () => jittered(5000));
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(4500);
    expect(Math.max(...waits)).toBeLessThanOrEqual(5500);
    expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(500);
  });
});
