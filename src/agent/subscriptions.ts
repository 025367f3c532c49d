import type { SubscriptionView } from '../contracts/topics.js';
import type { Subscribed } from './agent-api.js';
import { asError, hasCode, type AgentContext } from './context.js';
import { persist, type TimeLimit } from './persist.js';

export interface SubscribeOptions extends TimeLimit {
  /** Of a group each message goes to one member. Without it every subscriber gets each. */
  readonly queueGroup?: string | undefined;
  /** Whether what the matching topics keep is delivered at once; default true. */
  readonly retained?: boolean | undefined;
}

export interface Subscriptions {
  subscribe(pattern: string, options: SubscribeOptions): Promise<Subscribed>;
  unsubscribe(pattern: string, options: Omit<SubscribeOptions, 'retained'>): Promise<boolean>;
  /** After the agent was away for long the manager has dropped them. */
  renewAll(): Promise<void>;
}

const keyOf = (pattern: string, queueGroup: string | null | undefined): string => `${pattern}\n${queueGroup ?? ''}`;

/** The subscriptions of one agent, remembered for as long as its process lives. */
export function createSubscriptions(context: AgentContext): Subscriptions {
  const { api, standing, events, logger } = context;
  const remembered = new Map<string, { readonly pattern: string; readonly options: SubscribeOptions }>();

  const ask = (pattern: string, options: SubscribeOptions): Promise<Subscribed> => {
    const { queueGroup, retained, ...limit } = options;
    const body = {
      pattern,
      ...(queueGroup === undefined ? {} : { queueGroup }),
      ...(retained === undefined ? {} : { retained }),
    };
    return persist(context, `Agent could not subscribe to "${pattern}"`, limit, (token, call) =>
      api.subscribe(token, body, call),
    );
  };
  return {
    subscribe: async (pattern, options) => {
      const subscribed = await ask(pattern, options);
      const { signal: _signal, timeoutMs: _timeoutMs, ...kept } = options;
      remembered.set(keyOf(pattern, options.queueGroup), { pattern, options: kept });
      return subscribed;
    },
    unsubscribe: async (pattern, { queueGroup, ...limit }) => {
      remembered.delete(keyOf(pattern, queueGroup));
      const isIt = (one: SubscriptionView): boolean =>
        one.pattern === pattern && one.queueGroup === (queueGroup ?? null);
      return persist(context, `Agent could not unsubscribe from "${pattern}"`, limit, async (token, call) => {
        // Read, not remembered: it may have been made by an earlier process of this agent.
        const found = (await api.subscriptions(token, call)).find(isIt);
        if (!found) return false;
        await api.unsubscribe(token, found.id, call).catch((error: unknown) => {
          if (!hasCode(error, 'not_found')) throw error;
        });
        return true;
      });
    },
    renewAll: async () => {
      const replaced = standing.signal();
      for (const { pattern, options } of remembered.values()) {
        if (replaced.aborted) return;
        try {
          await ask(pattern, { ...options, signal: replaced });
        } catch (error) {
          // The next registration renews them all.
          if (replaced.aborted) return;
          logger.warn({ pattern, err: error }, 'subscription could not be renewed');
          events.emit('error', asError(error));
        }
      }
    },
  };
}
