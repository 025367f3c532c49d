import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { simulate, slotsPerMember, type Run } from './simulation.js';

const hours = (count: number): number => count * 3600;
const day = hours(24);

/** What holds for every trace: bounds, step sizes, four members an hour, half an hour between changes of direction. */
const expectCalm = ({ changes, sizes }: Run): void => {
  expect(Math.min(...sizes)).toBeGreaterThanOrEqual(3);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(10);
  let reversedAtMs = -Infinity;
  for (const [index, { atMs, direction, from, to }] of changes.entries()) {
    const hour = changes.slice(0, index + 1).filter((one) => one.atMs > atMs - 3_600_000);
    expect(hour.reduce((sum, { members }) => sum + members, 0)).toBeLessThanOrEqual(4);
    if (direction === 'out') expect(to).toBeLessThanOrEqual(2 * from);
    else expect(from - to).toBeLessThanOrEqual(Math.max(1, from / 5));
    const before = changes[index - 1];
    if (before && before.direction !== direction && before.atMs > atMs - 3_600_000) {
      expect(atMs - reversedAtMs).toBeGreaterThanOrEqual(1_800_000);
      reversedAtMs = atMs;
    }
  }
};

const directions = ({ changes }: Run): string => changes.map(({ direction }) => direction).join(' ');

describe('a constant load', () => {
  test('a constant load changes nothing for a week', () => {
    const minute = { actEverySeconds: 60, sampleSeconds: 60 };
    const run = simulate({ load: () => 13, seconds: 7 * day, start: 5, ...minute }); // u = .65
    expect(run.changes).toEqual([]);
    expect(run.sizes.length).toBe((7 * day) / 60 + 1);
  });

  test('a constant load is followed once, in one direction', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 4 * 10 * slotsPerMember }).map((quarters) => quarters / 4),
        fc.integer({ min: 3, max: 10 }),
        (slots, start) => {
          const run = simulate({ load: () => slots, seconds: hours(5), start, actEverySeconds: 15 });
          expectCalm(run);
          expect(new Set(run.changes.map(({ direction }) => direction)).size).toBeLessThanOrEqual(1);
          const settled = run.sizes.slice(-hours(1) / 15);
          expect(new Set(settled).size).toBe(1);
          const usage = slots / ((settled[0] ?? 0) * slotsPerMember);
          // Enough, unless the maximum forbids it; and not more than the rule for shrinking leaves.
          if ((settled[0] ?? 0) < 10) expect(usage).toBeLessThanOrEqual(0.8);
        },
      ),
      // From 3 the first answer halves the usage, and the average still remembers what it was.
      {
        numRuns: 8,
        examples: [
          [13.25, 3],
          [13.5, 3],
          [13.75, 3],
        ],
      },
    );
  });

  test('a constant load with 10 % noise changes nothing', () => {
    const noise = (second: number): number => ((Math.imul(second, 2_654_435_761) >>> 0) / 2 ** 32 - 0.5) * 0.2;
    const run = simulate({ load: (second) => 13 * (1 + noise(second)), seconds: day, start: 5, actEverySeconds: 15 });
    expect(run.changes).toEqual([]);
  });
});

describe('an oscillating load', () => {
  test.each([120, 300, 600, 1200])(
    'a load with a period of %i s is followed once, its oscillation is not',
    (period) => {
      const load = (second: number): number => 18 + 10 * Math.sin((2 * Math.PI * second) / period);
      const run = simulate({ load, seconds: hours(8), start: 5, actEverySeconds: 15 });
      expectCalm(run);
      expect(run.changes.length).toBeGreaterThan(0);
      expect(run.changes.filter(({ atMs }) => atMs > hours(3) * 1000)).toEqual([]);
    },
  );

  test('a daily load is followed up and down within the flap budget', () => {
    const load = (second: number): number => 15 + 11 * Math.sin((2 * Math.PI * second) / day);
    const run = simulate({ load, seconds: 2 * day, start: 5 });
    expectCalm(run);
    expect(Math.max(...run.sizes)).toBeGreaterThan(7);
    expect(Math.min(...run.sizes)).toBe(3);
    // Up in the morning, down in the evening, twice; not to and fro on the way.
    expect(directions(run).replace(/(out|in)( \1)*/g, '$1')).toMatch(/^out in out in( out)?$/);
  });

  test('one-minute spikes every 15 minutes change nothing', () => {
    const load = (second: number): number => ((second + 450) % 900 < 60 ? 20 : 9);
    const run = simulate({ load, seconds: hours(8), start: 5, actEverySeconds: 15 });
    expect(run.changes).toEqual([]);
  });

  test('an hourly sawtooth load is bounded by flap budget and reversals', () => {
    const load = (second: number): number => 4 + 30 * ((second % 3600) / 3600);
    const run = simulate({ load, seconds: day, start: 3, actEverySeconds: 15 });
    expectCalm(run);
    expect(run.changes.length).toBeGreaterThan(0);
  });

  test('an arbitrary load keeps sizes bounded and changes within the flap budget', () => {
    const trace = fc.array(fc.tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 48 })), {
      minLength: 2,
      maxLength: 12,
    });
    let changed = 0;
    fc.assert(
      fc.property(trace, fc.integer({ min: 3, max: 10 }), fc.constantFrom(15, 60, 600), (steps, start, act) => {
        const minutes = steps.flatMap(([length, slots]) => Array.from({ length }, () => slots));
        const load = (second: number): number => minutes[Math.floor(second / 60) % minutes.length] ?? 0;
        const run = simulate({ load, seconds: hours(4), start, actEverySeconds: act });
        expectCalm(run);
        changed += run.changes.length;
      }),
      { numRuns: 25 },
    );
    expect(changed).toBeGreaterThan(25);
  });
});

test('a load above .95 is answered at once, not at the interval', () => {
  const run = simulate({ load: (second) => (second < 900 ? 12 : 40), seconds: hours(1), start: 5 });
  expect(run.changes[0]).toMatchObject({ direction: 'out', from: 5 });
  expect((run.changes[0]?.atMs ?? 0) / 1000).toBeLessThan(1200);
  expect(run.decisions[0]?.urgency).toBe('now');
});
