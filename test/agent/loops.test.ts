import { describe, expect, it } from 'vitest';
import { createEmitter } from '../../src/agent/emitter.js';
import { backoffMs, createNudge, jittered, pause } from '../../src/agent/pause.js';

const hourMs = 3_600_000;

describe('a pause', () => {
  it('ends by itself, by a nudge or by its signal, and leaves nothing behind', async () => {
    const stopping = new AbortController();
    const nudge = createNudge();
    await pause(1, stopping.signal, nudge);
    const nudged = pause(hourMs, stopping.signal, nudge);
    expect(nudge.waiting.size).toBe(1);
    nudge.nudge();
    await nudged;
    const stopped = pause(hourMs, stopping.signal, nudge);
    stopping.abort();
    await stopped;
    await pause(hourMs, stopping.signal, nudge);
    expect(nudge.waiting.size).toBe(0);
  });

  it('before another try doubles its limit up to the cap and uses the whole range', () => {
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

  it('between heartbeats is a tenth more or less', () => {
    const waits = Array.from({ length: 500 }, () => jittered(5000));
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(4500);
    expect(Math.max(...waits)).toBeLessThanOrEqual(5500);
    expect(Math.max(...waits) - Math.min(...waits)).toBeGreaterThan(500);
  });
});

describe('the events of an agent', () => {
  it('reach every listener although one throws, and end with its unsubscription', () => {
    const thrown: unknown[] = [];
    const got: string[] = [];
    const events = createEmitter<{ said: string; error: Error }>((error) => thrown.push(error));
    events.on('said', () => {
      throw new Error('a bad listener');
    });
    const off = events.on('said', (text) => got.push(text));
    events.emit('said', 'one');
    off();
    events.emit('said', 'two');
    events.emit('error', new Error('nobody listens'));
    expect(got).toEqual(['one']);
    expect(thrown).toHaveLength(2);
  });
});
