import { expect } from 'vitest';
import { subscribe } from '../../../../src/messaging/change-topics.js';
import {
  reAddressAgentDeliveries,
  reAddressClusterDeliveries,
} from '../../../../src/messaging/re-address-deliveries.js';
import { replayDeadLetter } from '../../../../src/messaging/replay-dead-letter.js';
import { matchesTopic } from '../../../../src/domain/communication/topic-patterns.js';
import {
  closeInbox,
  discardDeadLetter,
  listDeadLetters,
  openInbox,
  unsubscribe,
} from '../../../../src/stores/communication/index.js';
import { route } from '../builders.js';
import { command, pick, type Command } from './commands.js';
import { look } from './look.js';
import type { Copy, Model } from './model.js';
import type { Real } from './real.js';

const nth = (model: Model, index: number): string => pick(model.agentIds, index) as string;

export const subscribeTo = (which: number, pattern: string, queueGroup: 'g' | null): Command =>
  command(`subscribe ${which} to ${pattern}${queueGroup === null ? '' : ' as one of g'}`, async (model, real) => {
    const agentId = nth(model, which);
    const wanted = { agentId, pattern: `${real.root}.${pattern}`, queueGroup };
    const asked = subscribe(real.deps, agentId, {
      pattern: wanted.pattern,
      queueGroup: queueGroup ?? undefined,
      retained: true,
    });
    if (!model.here.has(agentId)) {
      await expect(asked).rejects.toMatchObject({ code: 'not_found' });
      return;
    }
    const known = model.subscriptions.some((one) => JSON.stringify(one) === JSON.stringify(wanted));
    if (!known) model.subscriptions = [...model.subscriptions, wanted];
    const had = new Set(model.of(agentId).map(({ messageId }) => messageId));
    const fresh = model.retained.filter(
      ({ topic, messageId }) =>
        queueGroup === null &&
        matchesTopic(wanted.pattern, topic) &&
        !had.has(messageId) &&
        model.message(messageId).source !== agentId,
    );
    for (const { messageId } of fresh) model.give(agentId, messageId, 'retained');
    expect((await asked).retained).toBe(fresh.length);
  });

export const unsubscribeFrom = (index: number): Command =>
  command(
    `unsubscribe ${index}`,
    async (model, real) => {
      const one = pick(model.subscriptions, index);
      if (!one) return;
      const { agentId, ...which } = one;
      expect(await unsubscribe(real.db, agentId, which)).toBe(true);
      expect(await unsubscribe(real.db, agentId, which)).toBe(false);
      model.subscriptions = model.subscriptions.filter((each) => each !== one);
    },
    ({ subscriptions }) => subscriptions.length > 0,
  );

export const leave = (which: number): Command =>
  command(
    `leave ${which}`,
    async (model, real) => {
      const agentId = nth(model, which);
      await closeInbox(real.db, agentId);
      model.here.delete(agentId);
      model.subscriptions = model.subscriptions.filter((one) => one.agentId !== agentId);
      await reAddressAgentDeliveries(real.deps, agentId);
      await takeOver(model, real, model.open(agentId), 'recipient_left');
    },
    ({ here }) => here.size > 2,
  );

export const comeBack = (which: number): Command =>
  command(`come back ${which}`, async (model, real) => {
    await openInbox(real.db, nth(model, which), []);
    model.here.add(nth(model, which));
  });

/** @param mask which agents are members, one bit each. */
export const changeMembers = (mask: number): Command =>
  command(`members ${mask.toString(2)}`, async (model, real) => {
    model.epoch += 1;
    model.members = model.agentIds.filter((_id, index) => (mask >> index) & 1);
    const roles = Object.fromEntries(model.workers.map((id) => [id, ['worker']]));
    await route(real.db, model.clusterId, model.epoch, model.members, roles);
    await reAddressClusterDeliveries(real.deps, model.clusterId);
    const strays = model.copies.filter(
      (copy) =>
        copy.state === 'open' &&
        model.message(copy.messageId).clusterId === model.clusterId &&
        !model.members.includes(copy.agentId),
    );
    await takeOver(model, real, strays, 'member_removed');
  });

/**
 * Copies whose agent cannot handle them go to one who has the role or the place in the group and does not have them yet,
 * to the end of its queue and in their order, or die.
 */
async function takeOver(model: Model, real: Real, strays: readonly Copy[], reason: string): Promise<void> {
  const { copies } = await look(real.db, real.root);
  const isNew = (messageId: string, via: string) =>
    copies.find((seen) => {
      return seen.messageId === messageId && seen.via === via && seen.sequence > model.of(seen.agentId).length;
    });
  const moves: { readonly copy: Copy; readonly heir: string }[] = [];
  for (const copy of strays) {
    const { to, source } = model.message(copy.messageId);
    const heirs = model
      .heirs(copy.via, to, source)
      .filter((id) => id !== copy.agentId && !has(model, id, copy.messageId));
    if (heirs.length === 0) {
      model.bury(copy, reason);
      continue;
    }
    const heir = isNew(copy.messageId, copy.via)?.agentId;
    expect(heirs).toContain(heir);
    copy.state = 're_addressed';
    moves.push({ copy, heir: heir as string });
  }
  moves.sort((a, b) => a.copy.tick - b.copy.tick);
  for (const { copy, heir } of moves) model.give(heir, copy.messageId, copy.via);
}

const has = (model: Model, agentId: string, messageId: string): boolean =>
  model.of(agentId).some((copy) => copy.messageId === messageId && (copy.state === 'open' || copy.state === 'acked'));

export const replay = (index: number): Command =>
  command(
    `replay letter ${index}`,
    async (model, real) => {
      const letter = pick(model.letters, index);
      if (!letter) return;
      const { source, to } = model.message(letter.messageId);
      const { all, via, choice } =
        letter.recipient === null
          ? model.routes(to, source)
          : { all: [letter.recipient], via: 'replay', choice: { via: '', among: [] } };
      const found = all.filter((id) => model.here.has(id));
      const replayed = replayDeadLetter(real.deps, await rowOf(real, letter), 'admin');
      if (letter.state !== 'dead' || found.length + choice.among.length === 0) {
        await expect(replayed).rejects.toMatchObject({ code: 'state_conflict' });
        return;
      }
      const matched = await replayed;
      letter.state = 'replayed';
      const { copies } = await look(real.db, real.root);
      const got = copies.filter(
        (seen) => seen.messageId === letter.messageId && seen.sequence > model.of(seen.agentId).length,
      );
      const chosen = got.filter(({ agentId }) => !found.includes(agentId)).map(({ agentId }) => agentId);
      if (chosen.length > 0) expect(choice.among).toContain(chosen[0]);
      else expect(choice.among.length === 0 || choice.among.some((id) => found.includes(id))).toBe(true);
      for (const agentId of found) model.give(agentId, letter.messageId, via);
      for (const agentId of chosen.slice(0, 1)) model.give(agentId, letter.messageId, choice.via);
      expect(matched).toBe(found.length + chosen.length);
    },
    ({ letters }) => letters.length > 0,
  );

export const discard = (index: number): Command =>
  command(
    `discard letter ${index}`,
    async (model, real) => {
      const letter = pick(model.letters, index);
      if (!letter) return;
      const { no } = await rowOf(real, letter);
      expect(await discardDeadLetter(real.db, no, 'admin')).toBe(letter.state === 'dead');
      if (letter.state === 'dead') letter.state = 'discarded';
    },
    ({ letters }) => letters.length > 0,
  );

/** The stored row of a letter: of those that look alike the first. */
async function rowOf(real: Real, wanted: Model['letters'][number]) {
  const rows = await listDeadLetters(real.db, {
    reason: wanted.reason as 'rejected',
    state: wanted.state,
    limit: 1000,
  });
  const row = rows.find(({ messageId, recipient }) => messageId === wanted.messageId && recipient === wanted.recipient);
  if (!row) throw new Error(`There is no letter about ${wanted.messageId}`);
  return row;
}
