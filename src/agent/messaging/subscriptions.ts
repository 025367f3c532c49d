import type { Subscribed } from '../connection/agent-api.js';
import type { Connection } from '../connection/connection.js';
import { callWithRetry, type TimeLimit } from '../connection/retry.js';
import { asError, hasCode } from '../errors.js';
import type { Reporter } from '../events.js';

export interface SubscribeOptions extends TimeLimit {
  /** Each message goes to one member of the group. Without a group every subscriber receives each message. */
  readonly queueGroup?: string | undefined;
  /** Whether the messages that the matching topics retain are delivered at once; default true. */
  readonly retained?: boolean | undefined;
}

const keyOf = (pattern: string, queueGroup: string | null | undefined): string => `${pattern}\n${queueGroup ?? ''}`;

/** The subscriptions of one agent, kept in memory so that they can be renewed. */
export function createSubscriptions(connection: Connection, { events, logger }: Reporter) {
  const { api, lease } = connection;
  const active = new Map<string, { readonly pattern: string; readonly options: SubscribeOptions }>();

  const subscribe = (pattern: string, options: SubscribeOptions): Promise<Subscribed> => {
    const { queueGroup, retained, ...limit } = options;
    const subscription = {
      pattern,
      ...(queueGroup === undefined ? {} : { queueGroup }),
      ...(retained === undefined ? {} : { retained }),
    };
    return callWithRetry(connection, `Agent could not subscribe to "${pattern}"`, limit, (call) =>
      api.subscribe(call, subscription),
    );
  };
  return {
    subscribe: async (pattern: string, options: SubscribeOptions): Promise<Subscribed> => {
      const subscribed = await subscribe(pattern, options);
      const { signal: _signal, timeoutMs: _timeoutMs, ...kept } = options;
      active.set(keyOf(pattern, options.queueGroup), { pattern, options: kept });
      return subscribed;
    },
    unsubscribe: async (
      pattern: string,
      { queueGroup, ...limit }: Omit<SubscribeOptions, 'retained'>,
    ): Promise<boolean> => {
      const key = keyOf(pattern, queueGroup);
      active.delete(key);
      return callWithRetry(connection, `Agent could not unsubscribe from "${pattern}"`, limit, async (call) => {
        // Its id is read from the manager: an earlier process of this agent may have subscribed.
        const subscriptions = await api.subscriptions(call);
        const found = subscriptions.find((one) => keyOf(one.pattern, one.queueGroup) === key);
        if (!found) return false;
        await api.unsubscribe(call, found.id).catch((error: unknown) => {
          if (!hasCode(error, 'not_found')) throw error;
        });
        return true;
      });
    },
    /** Subscribes again to everything: the manager drops the subscriptions of an agent whose lease expired long ago. */
    renewAll: async (): Promise<void> => {
      // Aborted by another registration, which renews them all again.
      const replaced = lease.registrationSignal();
      for (const { pattern, options } of active.values()) {
        if (replaced.aborted) return;
        try {
          await subscribe(pattern, { ...options, signal: replaced });
        } catch (error) {
          if (replaced.aborted) return;
          logger.warn({ pattern, err: error }, 'subscription could not be renewed');
          events.emit('error', asError(error));
        }
      }
    },
  };
}
