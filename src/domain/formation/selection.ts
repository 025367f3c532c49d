import { sameGroupMicros } from './cost.js';
import type { Option, Problem } from './problem.js';
import { emptySeating, emptySeats, seat } from './seating.js';
import type { Seating } from './seating.js';
import { allowedPerGroup } from './spread.js';

/** Members chosen so far, with the counts that the next choice depends on. The counts include kept members. */
export interface Selection {
  readonly problem: Problem;
  /** The most members that may share a host or zone; Infinity without a hard spread. */
  readonly groupLimit: number;
  readonly chosen: Option[];
  readonly isChosen: Set<string>;
  readonly providing: number[];
  readonly inGroup: number[];
  readonly seating: Seating;
}

/** @param size the final number of members, kept ones included: a hard spread's limit depends on it. */
export const emptySelection = (problem: Problem, size: number): Selection => ({
  problem,
  groupLimit: problem.request.spread?.mode === 'hard' ? allowedPerGroup(size) : Infinity,
  chosen: [],
  isChosen: new Set(),
  providing: [...problem.keptProviding],
  inGroup: [...problem.keptInGroup],
  seating: emptySeating(problem.seatsNeeded),
});

export const canAdd = (selection: Selection, option: Option): boolean =>
  !selection.isChosen.has(option.id) && (selection.inGroup[option.group] ?? 0) < selection.groupLimit;

export const add = (selection: Selection, option: Option): void => {
  selection.isChosen.add(option.id);
  for (const capability of option.provides) {
    selection.providing[capability] = (selection.providing[capability] ?? 0) + 1;
  }
  if (option.group >= 0) selection.inGroup[option.group] = (selection.inGroup[option.group] ?? 0) + 1;
  seat(selection.seating, selection.chosen.length, option.capable);
  selection.chosen.push(option);
};

/** The cost of adding a member: its own cost plus the cost of each member already on its host or zone. */
export const marginalMicros = (selection: Selection, option: Option): number =>
  option.costMicros + sameGroupMicros * (selection.inGroup[option.group] ?? 0);

/** Whether every required capability is held and every role has its minimum. Ignores size and spread. */
export const isCovered = (selection: Selection): boolean =>
  emptySeats(selection.seating) === 0 && selection.providing.every((count) => count > 0);

/** What a search minimizes, in this order: required capabilities held by only one member, then cost. */
export interface Score {
  readonly heldOnce: number;
  readonly costMicros: number;
}

export const scoreOf = (problem: Problem, chosen: readonly Option[]): Score => {
  const selection = emptySelection(problem, Infinity);
  let costMicros = 0;
  for (const option of chosen) {
    costMicros += marginalMicros(selection, option);
    add(selection, option);
  }
  return { heldOnce: selection.providing.filter((count) => count < 2).length, costMicros };
};
