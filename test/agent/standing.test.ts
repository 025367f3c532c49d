import { describe, expect, it } from 'vitest';
import { createStanding } from '../../src/agent/standing.js';

const grant = { token: 'one', leaseMs: 30_000, heartbeatMs: 5000, askedAtMs: 1000 };

function standingAt(startMs: number) {
  const clock = { nowMs: startMs };
  return { clock, standing: createStanding(() => clock.nowMs) };
}

describe('the standing of an agent', () => {
  it('holds from the moment the question was sent, not from its answer, to the end of the lease', () => {
    const { clock, standing } = standingAt(3000);
    expect(standing.token()).toBeUndefined();
    standing.hold(grant);
    clock.nowMs = 30_999;
    expect(standing.token()).toBe('one');
    clock.nowMs = 31_000;
    expect(standing.token()).toBeUndefined();
    expect(standing.isLapsed()).toBe(true);
    expect(standing.lastToken()).toBe('one');
  });

  it('is renewed by its own token only, and never shortened by an answer that comes late', () => {
    const { clock, standing } = standingAt(1000);
    standing.hold(grant);
    standing.renew('one', 10_000);
    standing.renew('one', 6000);
    standing.renew('another', 50_000);
    expect(standing.leaseEndsAtMs()).toBe(40_000);
    clock.nowMs = 12_000;
    expect(standing.silentMs()).toBe(2000);
  });

  it('is given up by its present token, not by the refusal of an older one', () => {
    const { standing } = standingAt(1000);
    standing.hold(grant);
    standing.hold({ ...grant, token: 'two' });
    standing.lose({ token: 'one', refused: true });
    expect(standing.token()).toBe('two');
    standing.lose({ token: 'two', refused: true });
    expect(standing.token()).toBeUndefined();
    expect(standing.lastToken()).toBeUndefined();
    expect(standing.isLapsed()).toBe(false);
  });

  it('wakes who waits for it, and ends what was asked in the name of the one before', async () => {
    const { standing } = standingAt(1000);
    const stopping = new AbortController();
    const waited = standing.whenHeld(stopping.signal);
    standing.hold(grant);
    expect(await waited).toBe('one');
    const before = standing.signal();
    standing.lose();
    expect(before.aborted).toBe(false);
    standing.hold({ ...grant, token: 'two' });
    expect(before.aborted).toBe(true);
    standing.lose();
    const inVain = standing.whenHeld(stopping.signal);
    stopping.abort();
    expect(await inVain).toBeUndefined();
  });

  it('wakes who waits when the answer that renews it comes after it lapsed', async () => {
    const { clock, standing } = standingAt(1000);
    standing.hold(grant);
    clock.nowMs = 31_500;
    const waited = standing.whenHeld(new AbortController().signal);
    standing.renew('one', 30_000);
    expect(await waited).toBe('one');
  });
});
