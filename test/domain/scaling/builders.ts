import type { FormationRule } from '../../../src/domain/formation/types.js';
import type { Ewma } from '../../../src/domain/scaling/ewma.js';
import type { ClusterFacts, ScalingMember } from '../../../src/domain/scaling/types.js';

export const nowMs = Date.UTC(2026, 0, 1, 12);
export const seconds = (count: number): number => count * 1000;

/** A reading of now, and the same one sample ago. */
export const reading = (value: number, previous: number | null = value, ageSeconds = 0): Ewma => ({
  value,
  previous,
  atMs: nowMs - seconds(ageSeconds),
});

/** A ready member of long ago with four slots, all reporting `ratio`. */
export const member = (id: string, ratio: number | null, over: Partial<ScalingMember> = {}): ScalingMember => ({
  id,
  host: null,
  zone: null,
  capabilities: [],
  roles: [],
  ready: true,
  joinedAtMs: nowMs - seconds(86_400),
  offers: { slots: 4 },
  usage: ratio === null ? {} : { slots: reading(ratio) },
  ...over,
});

export const membersAt = (count: number, ratio: number | null): ScalingMember[] =>
  Array.from({ length: count }, (_, index) => member(`m${index}`, ratio));

export const rule = (over: Partial<FormationRule> = {}): FormationRule => ({
  requiredCapabilities: [],
  roles: [],
  size: { min: 3, desired: 5, max: 10 },
  spread: null,
  ...over,
});

/** A cluster long watched, at rest, of which the test says what differs. */
export const facts = (over: Partial<ClusterFacts> = {}): ClusterFacts => ({
  nowMs,
  rule: rule(),
  members: membersAt(5, 0.65),
  work: null,
  waitedFor: 0,
  asked: null,
  release: null,
  recommendations: [],
  watchedSinceMs: nowMs - seconds(86_400),
  changes: [],
  unreplaced: 0,
  blocks: [],
  ...over,
});
