import { expect } from 'vitest';
import type { Address } from '../../../../src/contracts/messages.js';
import { matchesTopic } from '../../../../src/domain/communication/topic-patterns.js';
import type { Seen } from './look.js';

/** One copy of a message in an inbox, as it should be. */
export interface Copy {
  readonly agentId: string;
  readonly sequence: number;
  readonly messageId: string;
  readonly via: string;
  /** When the copy came into being: those that are moved together keep the order they had. */
  readonly tick: number;
  state: 'open' | 'acked' | 'dead' | 're_addressed';
  attempts: number;
  token: string | null;
  held: boolean;
  /** Given back with a delay that is not over. */
  waits: boolean;
}

export interface ModelMessage {
  readonly id: string;
  readonly source: string;
  readonly to: Address;
  readonly key: string | null;
  /** Whose members' mail it is: it goes on when they do not. */
  readonly clusterId: string | null;
  matched: number;
}

export interface Letter {
  readonly messageId: string;
  readonly recipient: string | null;
  readonly reason: string;
  state: 'dead' | 'replayed' | 'discarded';
}

export interface Subscription {
  readonly agentId: string;
  readonly pattern: string;
  readonly queueGroup: string | null;
}

export interface Claim {
  readonly agentId: string;
  readonly sequence: number;
  readonly token: string;
}

export interface Routes {
  readonly all: readonly string[];
  readonly via: string;
  readonly choice: { readonly via: string; readonly among: readonly string[] };
}

export const bounds = { mailbox: 6, maxUnacked: 4, tries: 3 } as const;

/** What the inboxes, topics and the cluster of one run should hold, kept in memory. */
export class Model {
  readonly clusterId: string;
  readonly agentIds: readonly string[];
  readonly keeps: ReadonlyMap<string, number>;
  readonly here: Set<string>;
  readonly copies: Copy[] = [];
  readonly messages = new Map<string, ModelMessage>();
  readonly letters: Letter[] = [];
  readonly claims: Claim[] = [];
  readonly retained: { readonly topic: string; readonly messageId: string }[] = [];
  subscriptions: Subscription[] = [];
  members: readonly string[];
  /** Who has the role `worker`, as far as they are members. */
  workers: readonly string[];
  epoch = 1;
  tick = 0;

  constructor(root: string, agentIds: readonly string[], keeps: ReadonlyMap<string, number>) {
    this.clusterId = `cl-${root}`;
    this.agentIds = agentIds;
    this.keeps = keeps;
    this.here = new Set(agentIds);
    this.members = agentIds;
    this.workers = agentIds.slice(1);
  }

  of(agentId: string): Copy[] {
    return this.copies.filter((copy) => copy.agentId === agentId);
  }

  open(agentId: string): Copy[] {
    return this.of(agentId).filter(({ state }) => state === 'open');
  }

  message(id: string): ModelMessage {
    const known = this.messages.get(id);
    if (!known) throw new Error(`The model knows no message ${id}`);
    return known;
  }

  give(agentId: string, messageId: string, via: string): void {
    const sequence = this.of(agentId).length + 1;
    const fresh = { state: 'open', attempts: 0, token: null, held: false, waits: false } as const;
    this.copies.push({ agentId, sequence, messageId, via, tick: (this.tick += 1), ...fresh });
  }

  bury(copy: Copy, reason: string): void {
    copy.state = 'dead';
    this.letters.push({ messageId: copy.messageId, recipient: copy.agentId, reason, state: 'dead' });
  }

  /** What may be handed over now, in order: of a partition key only its oldest. */
  eligible(agentId: string): Copy[] {
    const busy = new Set<string>();
    return this.open(agentId).filter((copy) => {
      if (this.isExhausted(copy)) return false;
      const { key } = this.message(copy.messageId);
      const isFirst = key === null || !busy.has(key);
      if (key !== null) busy.add(key);
      return isFirst && !copy.held && !copy.waits;
    });
  }

  isExhausted(copy: Copy): boolean {
    return copy.state === 'open' && copy.attempts >= bounds.tries && !copy.held;
  }

  isFull(agentId: string): boolean {
    return this.open(agentId).length >= bounds.mailbox;
  }

  /** Those that a message goes to for certain, and those one more of whom it goes to. */
  routes(to: Address, source: string): Routes {
    const others = (ids: readonly string[]): string[] => [...new Set(ids)].filter((id) => id !== source);
    const nobody = { via: '', among: [] };
    if ('agent' in to) return { all: [to.agent], via: 'agent', choice: nobody };
    if ('role' in to)
      return { all: [], via: '', choice: { via: `role:${to.role}`, among: this.heirs(`role:${to.role}`, to, source) } };
    if ('cluster' in to) return { all: others(this.members), via: 'member', choice: nobody };
    if (!('topic' in to)) throw new Error('The model does not know this address');
    const plain = this.taking(to.topic).filter(({ queueGroup }) => queueGroup === null);
    return {
      all: others(plain.map(({ agentId }) => agentId)),
      via: 'subscriber',
      choice: { via: 'group:g', among: this.heirs('group:g', to, source) },
    };
  }

  /** Those who could have got what one got by a role or a queue group. */
  heirs(via: string, to: Address, source: string): string[] {
    const named =
      via === 'group:g' && 'topic' in to
        ? this.taking(to.topic).flatMap(({ agentId, queueGroup }) => (queueGroup === 'g' ? [agentId] : []))
        : via.startsWith('role:')
          ? this.workers.filter((id) => this.members.includes(id))
          : [];
    return [...new Set(named)].filter((id) => id !== source && this.here.has(id));
  }

  private taking(topic: string): Subscription[] {
    return this.subscriptions.filter(({ pattern }) => matchesTopic(pattern, topic));
  }

  retain(topic: string, messageId: string, keeps: number): void {
    this.retained.push({ topic, messageId });
    const own = this.retained.filter((one) => one.topic === topic);
    for (const old of own.slice(0, Math.max(0, own.length - keeps)))
      this.retained.splice(this.retained.indexOf(old), 1);
  }

  /** Whether the store holds exactly this. */
  expectSame(seen: Seen): void {
    const place = (copy: { agentId: string; sequence: number }) =>
      `${copy.agentId} ${String(copy.sequence).padStart(4, '0')}`;
    const copies = [...this.copies]
      .sort((a, b) => (place(a) < place(b) ? -1 : 1))
      .map(({ agentId, sequence, messageId, via, state, attempts }) => ({
        agentId,
        sequence,
        messageId,
        via,
        state,
        attempts,
      }));
    expect(seen.copies).toEqual(copies);
    const sorted = (letters: readonly Letter[]) =>
      letters.map((letter) => JSON.stringify([letter.messageId, letter.recipient, letter.reason, letter.state])).sort();
    expect(sorted(seen.letters)).toEqual(sorted(this.letters));
  }
}
