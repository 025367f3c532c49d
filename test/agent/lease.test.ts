import { describe, expect, it } from 'vitest';
import { createLease } from '../../src/agent/connection/lease.js';

const registration = { token: 'one', leaseMs: 30_000, heartbeatMs: 5000, sentAtMs: 1000 };

function leaseAt(startMs: number) {
  const clock = { nowMs: startMs };
  return { clock, lease: createLease(() => clock.nowMs) };
}

describe("an agent's lease", () => {
  it('is counted from when the registration was sent, not from when it was answered', () => {
    const { clock, lease } = leaseAt(3000);
    expect(lease.token()).toBeUndefined();
    lease.acquire(registration);
    clock.nowMs = 30_999;
    expect(lease.token()).toBe('one');
    clock.nowMs = 31_000;
    expect(lease.token()).toBeUndefined();
    expect(lease.hasExpired()).toBe(true);
    expect(lease.lastToken()).toBe('one');
  });

  it('is renewed by its own token only, and never shortened by a late answer', () => {
    const { clock, lease } = leaseAt(1000);
    lease.acquire(registration);
    lease.renew('one', 10_000);
    lease.renew('one', 6000);
    lease.renew('another', 50_000);
    expect(lease.endsAtMs()).toBe(40_000);
    clock.nowMs = 12_000;
    expect(lease.silentMs()).toBe(2000);
  });

  it('is not dropped by the refusal of an older token', () => {
    const { lease } = leaseAt(1000);
    lease.acquire(registration);
    lease.acquire({ ...registration, token: 'two' });
    lease.drop({ token: 'one', isTokenRefused: true });
    expect(lease.token()).toBe('two');
    lease.drop({ token: 'two', isTokenRefused: true });
    expect(lease.token()).toBeUndefined();
    expect(lease.lastToken()).toBeUndefined();
    expect(lease.hasExpired()).toBe(false);
  });

  it('wakes its waiters when acquired, and aborts the calls of the registration it replaces', async () => {
    const { lease } = leaseAt(1000);
    const stopping = new AbortController();
    const waiting = lease.whenHeld(stopping.signal);
    lease.acquire(registration);
    expect(await waiting).toBe('one');
    const first = lease.registrationSignal();
    lease.drop();
    expect(first.aborted).toBe(false);
    lease.acquire({ ...registration, token: 'two' });
    expect(first.aborted).toBe(true);
    lease.drop();
    const stopped = lease.whenHeld(stopping.signal);
    stopping.abort();
    expect(await stopped).toBeUndefined();
  });

  it('wakes its waiters when a renewal arrives after it expired', async () => {
    const { clock, lease } = leaseAt(1000);
    lease.acquire(registration);
    clock.nowMs = 31_500;
    const waiting = lease.whenHeld(new AbortController().signal);
    lease.renew('one', 30_000);
    expect(await waiting).toBe('one');
  });
});
