import { agentsWithDueDeliveries, allAgents, type CommunicationDb } from '../stores/communication/index.js';
import type { Logger } from '../telemetry/index.js';

const afterFailureMs = 1000;
/** How many agents' last hints are remembered; beyond that they are forgotten, and everybody looks once more. */
const rememberedAtMost = 50_000;

type Waiter = (isWorthALook: boolean) => void;

/**
 * Wakes those who wait for mail: at once by the hint of whoever accepted it, and, since hints may be lost, by a slow look
 * for all of them together, which also finds what has become due again.
 */
export class InboxNotifier {
  readonly #db: CommunicationDb;
  readonly #logger: Logger;
  readonly #lookMs: () => number;
  readonly #waiters = new Map<string, Set<Waiter>>();
  readonly #hinted = new Map<string, number>();
  #moment = 0;
  #everybodyAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #asking = false;
  #closed = false;

  /** @param lookMs ms between two looks: short when hints are turned off. */
  constructor(db: CommunicationDb, logger: Logger, lookMs: () => number) {
    this.#db = db;
    this.#logger = logger;
    this.#lookMs = lookMs;
  }

  /** How many agents are waited for. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** Take it before looking for mail, and give it to `wait`: a hint in between is not missed. */
  get moment(): number {
    return this.#moment;
  }

  /** These agents may have mail; `*` stands for all. */
  notify(agentIds: readonly string[]): void {
    this.#moment += 1;
    if (agentIds.includes(allAgents) || this.#hinted.size + agentIds.length > rememberedAtMost) {
      this.#hinted.clear();
      this.#everybodyAt = this.#moment;
      for (const agentId of [...this.#waiters.keys()]) this.#end(agentId);
      return;
    }
    for (const agentId of agentIds) {
      this.#hinted.set(agentId, this.#moment);
      this.#end(agentId);
    }
  }

  /**
   * @param since the moment before the last look.
   * @returns true when another look is worth it, false when the time is over, the caller went away or the server stops.
   */
  wait(agentId: string, since: number, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.#closed || signal.aborted || timeoutMs <= 0) return Promise.resolve(false);
    if (Math.max(this.#everybodyAt, this.#hinted.get(agentId) ?? 0) > since) return Promise.resolve(true);
    return new Promise((resolve) => {
      const all = this.#waiters.get(agentId) ?? new Set<Waiter>();
      this.#waiters.set(agentId, all);
      const end: Waiter = (isWorthALook) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        all.delete(end);
        if (all.size === 0 && this.#waiters.get(agentId) === all) this.#waiters.delete(agentId);
        resolve(isWorthALook);
      };
      const onAbort = (): void => end(false);
      const timer = setTimeout(() => end(false), timeoutMs);
      signal.addEventListener('abort', onAbort);
      all.add(end);
      this.#schedule(this.#lookMs());
    });
  }

  /** Ends all waits, so that a server that stops does not wait for its long polls. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const all of [...this.#waiters.values()]) for (const end of [...all]) end(false);
  }

  #end(agentId: string): void {
    for (const end of [...(this.#waiters.get(agentId) ?? [])]) end(true);
  }

  #schedule(inMs: number): void {
    if (this.#closed || this.#asking || this.#timer || this.#waiters.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#ask();
    }, inMs);
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    let nextInMs = this.#lookMs();
    try {
      for (const id of await agentsWithDueDeliveries(this.#db, [...this.#waiters.keys()])) this.#end(id);
    } catch (err) {
      // A wait goes on: the database may be back before its time is over, and readiness tells of it meanwhile.
      this.#logger.warn({ err }, 'mail could not be looked for');
      nextInMs = afterFailureMs;
    }
    this.#asking = false;
    this.#schedule(nextInMs);
  }
}
