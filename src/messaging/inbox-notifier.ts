import { agentsWithDueDeliveries, allAgents, type CommunicationDb } from '../stores/communication/index.js';
import type { Logger } from '../telemetry/index.js';

const retryPollMs = 1000;
/** Agents whose last notification is remembered. Beyond this all are forgotten and every waiter looks again. */
const maxRemembered = 50_000;

type EndWait = (mayHaveDeliveries: boolean) => void;

/**
 * Ends the waits of long polls and streams when their inbox may hold a delivery: at once on a notification, and, since
 * notifications may be lost, by polling the database for all waiting agents together, which also finds redeliveries.
 */
export class InboxNotifier {
  readonly #db: CommunicationDb;
  readonly #logger: Logger;
  readonly #pollMs: () => number;
  readonly #waits = new Map<string, Set<EndWait>>();
  readonly #notifiedAt = new Map<string, number>();
  /** Counts notifications. */
  #moment = 0;
  #allNotifiedAt = 0;
  #timer: NodeJS.Timeout | undefined;
  #isPolling = false;
  #isClosed = false;

  /** @param pollMs milliseconds between two polls; short when notifications are turned off. */
  constructor(db: CommunicationDb, logger: Logger, pollMs: () => number) {
    this.#db = db;
    this.#logger = logger;
    this.#pollMs = pollMs;
  }

  /** The number of agents whose inbox is waited for. */
  get waiting(): number {
    return this.#waits.size;
  }

  /** Read it before looking into an inbox and pass it to `wait`, so that no notification in between is missed. */
  get moment(): number {
    return this.#moment;
  }

  /** @param agentIds agents whose inbox may hold a new delivery; `*` stands for all agents. */
  notify(agentIds: readonly string[]): void {
    this.#moment += 1;
    if (agentIds.includes(allAgents) || this.#notifiedAt.size + agentIds.length > maxRemembered) {
      this.#notifiedAt.clear();
      this.#allNotifiedAt = this.#moment;
      for (const agentId of [...this.#waits.keys()]) this.#end(agentId);
      return;
    }
    for (const agentId of agentIds) {
      this.#notifiedAt.set(agentId, this.#moment);
      this.#end(agentId);
    }
  }

  /**
   * @param since the `moment` before the inbox was last looked into.
   * @returns true when the inbox may hold a delivery; false on the timeout, on the signal, or when the server stops.
   */
  wait(agentId: string, since: number, timeoutMs: number, signal: AbortSignal): Promise<boolean> {
    if (this.#isClosed || signal.aborted || timeoutMs <= 0) return Promise.resolve(false);
    if (Math.max(this.#allNotifiedAt, this.#notifiedAt.get(agentId) ?? 0) > since) return Promise.resolve(true);
    return new Promise((resolve) => {
      const waits = this.#waits.get(agentId) ?? new Set<EndWait>();
      this.#waits.set(agentId, waits);
      const end: EndWait = (mayHaveDeliveries) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        waits.delete(end);
        if (waits.size === 0 && this.#waits.get(agentId) === waits) this.#waits.delete(agentId);
        resolve(mayHaveDeliveries);
      };
      const onAbort = (): void => end(false);
      const timer = setTimeout(() => end(false), timeoutMs);
      signal.addEventListener('abort', onAbort);
      waits.add(end);
      this.#schedule(this.#pollMs());
    });
  }

  /** Ends all waits, so that a stopping server does not wait for its long polls. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const waits of [...this.#waits.values()]) for (const end of [...waits]) end(false);
  }

  #end(agentId: string): void {
    for (const end of [...(this.#waits.get(agentId) ?? [])]) end(true);
  }

  #schedule(inMs: number): void {
    if (this.#isClosed || this.#isPolling || this.#timer || this.#waits.size === 0) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#poll();
    }, inMs);
  }

  async #poll(): Promise<void> {
    this.#isPolling = true;
    let nextInMs = this.#pollMs();
    try {
      for (const id of await agentsWithDueDeliveries(this.#db, [...this.#waits.keys()])) this.#end(id);
    } catch (err) {
      // The waits go on: the database may be back before they time out, and /readyz reports it meanwhile.
      this.#logger.warn({ err }, 'inboxes could not be polled for deliveries');
      nextInMs = retryPollMs;
    }
    this.#isPolling = false;
    this.#schedule(nextInMs);
  }
}
