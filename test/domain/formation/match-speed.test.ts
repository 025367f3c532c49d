import { expect, test } from 'vitest';
import { match } from '../../../src/domain/formation/match.js';
import type { Candidate, MatchRequest } from '../../../src/domain/formation/types.js';
import { agent, request } from './builders.js';

/** The least CPU time of several runs, ms: what the work costs, not what else the machine was doing. */
const leastCpuMs = (fleet: readonly Candidate[], asked: MatchRequest): number => {
  let least = Infinity;
  for (let run = 0; run < 6; run += 1) {
    const start = process.cpuUsage();
    match(fleet, asked);
    const { user, system } = process.cpuUsage(start);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
};

test('match chooses among 5,000 candidates in under 50 ms', () => {
  const fleet = Array.from({ length: 5000 }, (_, index) =>
    agent(`agent-${index}`, {
      host: `host-${index % 50}`,
      capabilities: [`c${index % 7}`, `c${index % 11}`, `c${index % 7}@1.2`],
      load: ((index * 37) % 100) / 100,
    }),
  );
  const asked = request({
    requiredCapabilities: ['c1', 'c2', 'c3', 'c10'],
    roles: [{ name: 'worker', capability: 'c4', min: 1, max: 5 }],
    size: { min: 3, desired: 8, max: 10 },
    spread: { by: 'host', mode: 'soft' },
  });
  expect(match(fleet, asked).shortfall).toEqual([]);
  expect(leastCpuMs(fleet, asked)).toBeLessThan(50);
});

test('match gives up in bounded time when 5,000 candidates admit no cover', () => {
  // 24 needs, every agent has three that follow one another: 8 agents cover, 7 are allowed.
  const names = Array.from({ length: 24 }, (_, index) => `c${index}`);
  const fleet = Array.from({ length: 5000 }, (_, index) =>
    agent(`agent-${index}`, {
      host: `host-${index % 50}`,
      capabilities: [0, 1, 2].map((next) => `c${(index + next) % 24}`),
      load: ((index * 37) % 100) / 100,
    }),
  );
  const asked = request({
    requiredCapabilities: names,
    size: { min: 3, desired: 7, max: 7 },
    spread: { by: 'host', mode: 'hard' },
  });
  expect(match(fleet, asked).shortfall).toMatchObject([{ kind: 'room' }]);
  expect(leastCpuMs(fleet, asked)).toBeLessThan(500);
});

test('match searches 20 nearly equal candidates for 10 members exactly in bounded time', () => {
  const fleet = Array.from({ length: 20 }, (_, index) =>
    agent(`agent-${index}`, {
      host: `host-${index % 4}`,
      capabilities: [`c${index % 10}`, `c${(index * 3 + 1) % 10}`],
      load: 0.5 + ((index * 7) % 10) / 1000,
    }),
  );
  const asked = request({
    requiredCapabilities: Array.from({ length: 10 }, (_, index) => `c${index}`),
    size: { min: 10, desired: 10, max: 10 },
    spread: { by: 'host', mode: 'soft' },
  });
  expect(match(fleet, asked).shortfall).toEqual([]);
  expect(leastCpuMs(fleet, asked)).toBeLessThan(500);
});
