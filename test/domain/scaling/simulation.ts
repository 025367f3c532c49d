import { assess } from '../../../src/domain/scaling/assess.js';
import { foldSample, type Ewma } from '../../../src/domain/scaling/ewma.js';
import { defaultScalingRules as rules } from '../../../src/domain/scaling/rules.js';
import type { Change, Decision, ScalingMember } from '../../../src/domain/scaling/types.js';
import { facts, rule } from './builders.js';

export const slotsPerMember = 4;

export interface Run {
  readonly changes: readonly (Change & { readonly from: number; readonly to: number })[];
  readonly sizes: readonly number[];
  readonly decisions: readonly Decision[];
}

/**
 * A cluster under a load that is shared evenly by its members: sampled every 15 s if not told otherwise, acted upon every `actEverySeconds`,
 * or at once where a decision says so. Members join and leave without delay.
 * @param load slots in use over the whole cluster at a second.
 */
export const simulate = (input: {
  readonly load: (second: number) => number;
  readonly seconds: number;
  readonly start: number;
  readonly actEverySeconds?: number;
  readonly sampleSeconds?: number;
  readonly size?: { readonly min: number; readonly desired: number; readonly max: number };
}): Run => {
  const { load, actEverySeconds = 600, sampleSeconds = 15, size = { min: 3, desired: 3, max: 10 } } = input;
  let joined = 0;
  let members: { id: string; joinedAtMs: number; reading: Ewma | null }[] = [];
  const join = (atMs: number): void => {
    members.push({ id: `m${(joined += 1)}`, joinedAtMs: atMs, reading: null });
  };
  for (let index = 0; index < input.start; index += 1) join(-1e9);
  let recommendations: { atMs: number; desired: number }[] = [];
  let changes: Run['changes'] = [];
  const sizes: number[] = [];
  const decisions: Decision[] = [];
  for (let second = 0; second <= input.seconds; second += sampleSeconds) {
    const atMs = second * 1000;
    const ratio = Math.min(1, load(second) / (members.length * slotsPerMember));
    members = members.map((one) => ({ ...one, reading: foldSample(one.reading, { atMs, ratio }, rules) }));
    const seen: ScalingMember[] = members.map(({ id, joinedAtMs, reading }) => ({
      id,
      host: null,
      zone: null,
      capabilities: [],
      roles: [],
      ready: true,
      joinedAtMs,
      offers: { slots: slotsPerMember },
      usage: reading === null ? {} : { slots: reading },
    }));
    recommendations = recommendations.filter((one) => one.atMs > atMs - 1_200_000);
    const recent = changes.filter((one) => one.atMs > atMs - 5_400_000);
    const decision = assess(
      facts({ nowMs: atMs, rule: rule({ size }), members: seen, recommendations, changes: recent, watchedSinceMs: 0 }),
    );
    recommendations.push({ atMs, desired: decision.recommendation });
    if (decision.direction !== 'none' && (second % actEverySeconds === 0 || decision.urgency === 'now')) {
      const { direction, from, desired: to, charged } = decision;
      changes = [...changes, { atMs, direction, members: charged, cause: 'scaling', from, to }];
      decisions.push(decision);
      for (let index = from; index < to; index += 1) join(atMs);
      members = members.filter(({ id }) => !decision.victims.includes(id));
    }
    sizes.push(members.length);
  }
  return { changes, sizes, decisions };
};
