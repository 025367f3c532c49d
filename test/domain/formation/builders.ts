import fc from 'fast-check';
import type { Candidate, MatchRequest, Placed, Role } from '../../../src/domain/formation/types.js';

/** An idle agent without a host; the test says what differs. */
export const agent = (id: string, over: Partial<Candidate> = {}): Candidate => ({
  id,
  host: null,
  zone: null,
  capabilities: [],
  load: 0,
  usageRatio: 0,
  clusterRatio: 0,
  recentFlaps: 0,
  ...over,
});

export const placed = (id: string, over: Partial<Placed> = {}): Placed => ({
  id,
  host: null,
  zone: null,
  capabilities: [],
  roles: [],
  ...over,
});

export const request = (over: Partial<MatchRequest> = {}): MatchRequest => ({
  requiredCapabilities: [],
  roles: [],
  size: { min: 1, desired: 3, max: 10 },
  spread: null,
  kept: [],
  seed: 'op_1',
  ...over,
});

const skills = ['ocr', 'plan', 'speak', 'vision'] as const;
const skillSet = fc.uniqueArray(fc.constantFrom(...skills), { maxLength: 3 });

const candidateOf = (id: string) =>
  fc.record({
    id: fc.constant(id),
    host: fc.option(fc.constantFrom('h1', 'h2', 'h3', 'h4'), { nil: null, freq: 9 }),
    zone: fc.option(fc.constantFrom('z1', 'z2', 'z3'), { nil: null, freq: 9 }),
    capabilities: skillSet,
    load: fc.integer({ min: 0, max: 10 }).map((tenths) => tenths / 10),
    usageRatio: fc.constantFrom(0, 0.5, 1),
    clusterRatio: fc.constantFrom(0, 0.5, 1),
    recentFlaps: fc.integer({ min: 0, max: 3 }),
  });

export const candidates = (min: number, max: number): fc.Arbitrary<Candidate[]> =>
  fc
    .integer({ min, max })
    .chain((count) => fc.tuple(...Array.from({ length: count }, (_, index) => candidateOf(`agent-${index}`))));

const roles: fc.Arbitrary<Role[]> = fc.uniqueArray(
  fc
    .record({
      name: fc.constantFrom('lead', 'scribe', 'worker'),
      capability: fc.constantFrom(...skills),
      min: fc.integer({ min: 0, max: 2 }),
      more: fc.integer({ min: 0, max: 2 }),
    })
    .map(({ name, capability, min, more }) => ({ name, capability, min, max: Math.max(1, min + more) })),
  { selector: (role) => role.name, maxLength: 3 },
);

/** A request for all four skills in so few members that covering greedily often ends without room. */
export const tightRequests: fc.Arbitrary<MatchRequest> = fc
  .record({
    roles,
    max: fc.integer({ min: 1, max: 3 }),
    spread: fc.constantFrom(null, { by: 'host', mode: 'soft' } as const, { by: 'host', mode: 'hard' } as const),
  })
  .map(({ max, ...rest }) =>
    request({ ...rest, requiredCapabilities: [...skills], size: { min: 1, desired: Math.min(2, max), max } }),
  );

const size = (max: number) =>
  fc.tuple(fc.integer({ min: 1, max }), fc.integer({ min: 1, max }), fc.integer({ min: 1, max })).map((three) => {
    const [min = 1, desired = 1, most = 1] = three.sort((a, b) => a - b);
    return { min, desired, max: most };
  });

/** Requests within the border's promises: min <= desired <= max, role names once, role min <= max. */
export const requests = (maxSize: number, maxKept = 2): fc.Arbitrary<MatchRequest> =>
  fc
    .record({
      requiredCapabilities: skillSet,
      roles,
      size: size(maxSize),
      spread: fc.constantFrom(
        null,
        { by: 'host', mode: 'soft' } as const,
        { by: 'host', mode: 'hard' } as const,
        { by: 'zone', mode: 'hard' } as const,
      ),
      keptCount: fc.integer({ min: 0, max: maxKept }),
      seed: fc.constantFrom('op_1', 'op_2'),
      k0: candidateOf('kept-0'),
      k1: candidateOf('kept-1'),
    })
    .map(({ keptCount, k0, k1, ...rest }) => ({
      ...rest,
      kept: [k0, k1].slice(0, keptCount).map((member) => ({
        ...member,
        roles: rest.roles
          .filter((role) => member.capabilities.some((token) => token === role.capability))
          .slice(0, 1)
          .map((r) => r.name),
      })),
    }));
