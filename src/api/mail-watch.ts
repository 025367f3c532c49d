import { agentsWithMail, type CommunicationDb } from '../stores/communication/index.js';
import type { Logger } from '../telemetry/index.js';

const pollMs = 100;
const afterFailureMs = 1000;

type Waiter = (hasMail: boolean) => void;

/** Wakes the long polls that wait for mail: one question for all of them, and none while nobody waits. */
export class MailWatch {
  readonly #db: CommunicationDb;
  readonly #logger: Logger;
  readonly #waiters = new Map<string, Set<Waiter>>();
  #timer: NodeJS.Timeout | undefined;
  #asking = false;
  #closed = false;

  constructor(db: CommunicationDb, logger: Logger) {
    this.#db = db;
    this.#logger = logger;
  }

  /** How many agents are waited for. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** @returns true when the agent has mail, false when the time is over, the caller went away or the server stops. */
  wait(agentId: string, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.#closed || signal.aborted || timeoutMs <= 0) return Promise.resolve(false);
    return new Promise((resolve) => {
      const all = this.#waiters.get(agentId) ?? new Set<Waiter>();
      this.#waiters.set(agentId, all);
      const end: Waiter = (hasMail) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        all.delete(end);
        if (all.size === 0 && this.#waiters.get(agentId) === all) this.#waiters.delete(agentId);
        resolve(hasMail);
      };
      const onAbort = (): void => end(false);
      const timer = setTimeout(() => end(false), timeoutMs);
      signal.addEventListener('abort', onAbort);
      all.add(end);
      this.#schedule(pollMs);
    });
  }

  /** Ends all waits, so that a server that stops does not wait for its long polls. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const all of [...this.#waiters.values()]) for (const end of [...all]) end(false);
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
    let nextInMs = pollMs;
    try {
      for (const id of await agentsWithMail(this.#db, [...this.#waiters.keys()])) {
        for (const end of [...(this.#waiters.get(id) ?? [])]) end(true);
      }
    } catch (err) {
      // A wait goes on: the database may be back before its time is over, and readiness tells of it meanwhile.
      this.#logger.warn({ err }, 'mail could not be looked for');
      nextInMs = afterFailureMs;
    }
    this.#asking = false;
    this.#schedule(nextInMs);
  }
}
