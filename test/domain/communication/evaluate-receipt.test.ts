import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ReceiptCounts, Requirement } from '../../../src/contracts/messages.js';
import { acksNeeded, evaluateReceipt } from '../../../src/domain/communication/evaluate-receipt.js';

const counts = (acked: number, dead: number, left: number, pending: number): ReceiptCounts => ({
  matched: acked + dead + left + pending,
  delivered: acked,
  acked,
  dead,
  left,
  pending,
});

describe('evaluateReceipt', () => {
  // acked, dead, left, pending; what it is before the deadline, and after it
  it.each<[Requirement, number, number, number, number, string, string]>([
    ['none', 0, 0, 0, 0, 'met', 'met'],
    ['none', 0, 3, 0, 2, 'met', 'met'],
    ['any', 0, 0, 0, 3, 'open', 'unmet'],
    ['any', 1, 0, 0, 2, 'met', 'met'],
    ['any', 0, 3, 0, 0, 'unmet', 'unmet'],
    ['any', 0, 2, 0, 1, 'open', 'unmet'],
    ['any', 0, 0, 3, 0, 'unmet', 'unmet'],
    ['any', 0, 0, 0, 0, 'unmet', 'unmet'],
    ['quorum', 2, 0, 0, 3, 'open', 'unmet'],
    ['quorum', 3, 0, 0, 2, 'met', 'met'],
    ['quorum', 2, 0, 0, 2, 'open', 'unmet'],
    ['quorum', 3, 0, 0, 1, 'met', 'met'],
    ['quorum', 1, 3, 0, 1, 'unmet', 'unmet'],
    ['quorum', 2, 0, 2, 1, 'met', 'met'],
    ['quorum', 1, 0, 3, 0, 'met', 'met'],
    ['quorum', 0, 0, 5, 0, 'unmet', 'unmet'],
    ['quorum', 0, 0, 0, 0, 'unmet', 'unmet'],
    ['all', 4, 0, 0, 1, 'open', 'unmet'],
    ['all', 5, 0, 0, 0, 'met', 'met'],
    ['all', 4, 1, 0, 0, 'unmet', 'unmet'],
    ['all', 3, 1, 0, 1, 'unmet', 'unmet'],
    ['all', 4, 0, 1, 0, 'met', 'met'],
    ['all', 3, 0, 1, 1, 'open', 'unmet'],
    ['all', 0, 0, 5, 0, 'unmet', 'unmet'],
    ['all', 0, 0, 0, 0, 'unmet', 'unmet'],
  ])(
    '%s: %i acked, %i dead, %i left, %i pending is %s, and after the deadline %s',
    (require, acked, dead, left, pending, before, after) => {
      const now = counts(acked, dead, left, pending);
      expect(evaluateReceipt(require, now, false)).toBe(before);
      expect(evaluateReceipt(require, now, true)).toBe(after);
    },
  );

  const requirement = fc.constantFrom<Requirement>('none', 'any', 'quorum', 'all');
  const some = fc.tuple(fc.nat(6), fc.nat(6), fc.nat(6), fc.nat(6)).map((each) => counts(...each));

  it('a receipt is never open after its deadline', () => {
    fc.assert(
      fc.property(requirement, some, (require, now) => {
        expect(evaluateReceipt(require, now, true)).not.toBe('open');
      }),
    );
  });

  it('a weaker requirement never needs more acks than a stronger one', () => {
    fc.assert(
      fc.property(some, (now) => {
        const needs = (['none', 'any', 'quorum', 'all'] as const).map((require) => acksNeeded(require, now));
        expect(needs).toEqual([...needs].sort((a, b) => a - b));
      }),
    );
  });

  it('a receipt is unmet before its deadline exactly when no outstanding ack could still meet it', () => {
    /** Whether some end of those that are pending meets it: each may ack, die or leave. */
    const canBeMet = (require: Requirement, { acked, dead, left, pending }: ReceiptCounts): boolean => {
      for (let more = 0; more <= pending; more += 1) {
        for (let gone = 0; gone + more <= pending; gone += 1) {
          const end = counts(acked + more, dead + pending - more - gone, left + gone, 0);
          if (evaluateReceipt(require, end, true) === 'met') return true;
        }
      }
      return false;
    };
    fc.assert(
      fc.property(requirement, some, (require, now) => {
        const state = evaluateReceipt(require, now, false);
        expect(state === 'met' || canBeMet(require, now) === (state === 'open')).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});
