import type { ResponseOf } from '../../contracts/endpoint.js';
import type { Endpoints } from '../../contracts/endpoints.js';
import type { NewSubscription } from '../../contracts/topics.js';
import { callWithRetry, type TimeLimit } from '../connection/retry.js';
import type { AgentContext } from '../context.js';
import { asError, hasCode } from '../errors.js';

export interface SubscribeOptions extends TimeLimit {
  /** Each message goes to one member of the group. Without a group every subscriber receives each message. */
  readonly queueGroup?: string | undefined;
  /** Whether the messages that the matching topics retain are delivered at once; default true. */
  readonly retained?: boolean | undefined;
}

/** A subscription, and how many retained messages were delivered with it. */
export type Subscribed = ResponseOf<Endpoints['subscribe']>;

const keyOf = (pattern: string, queueGroup: string | null | undefined): string => `${pattern}\n${queueGroup ?? ''}`;

export type Subscriptions = ReturnType<typeof createSubscriptions>;

/** The subscriptions of one agent, kept in memory so that they can be renewed. */
export function createSubscriptions(context: AgentContext) {
  const { agentId, api, lease, events, logger } = context;
  const active = new Map<string, NewSubscription>();

  const subscribe = (subscription: NewSubscription, limit: TimeLimit): Promise<Subscribed> =>
    callWithRetry(context, `Agent could not subscribe to "${subscription.pattern}"`, limit, (call) =>
      api.request('subscribe', { params: { id: agentId }, body: subscription }, call),
    );
  return {
    subscribe: async (
      pattern: string,
      { queueGroup, retained, ...limit }: SubscribeOptions = {},
    ): Promise<Subscribed> => {
      const subscription = { pattern, queueGroup, retained };
      const subscribed = await subscribe(subscription, limit);
      active.set(keyOf(pattern, queueGroup), subscription);
      return subscribed;
    },
    unsubscribe: async (
      pattern: string,
      { queueGroup, ...limit }: Omit<SubscribeOptions, 'retained'> = {},
    ): Promise<boolean> => {
      const key = keyOf(pattern, queueGroup);
      active.delete(key);
      return callWithRetry(context, `Agent could not unsubscribe from "${pattern}"`, limit, async (call) => {
        // Its id is read from the manager: an earlier process of this agent may have subscribed.
        const { subscriptions } = await api.request('listSubscriptions', { params: { id: agentId } }, call);
        const found = subscriptions.find((one) => keyOf(one.pattern, one.queueGroup) === key);
        if (!found) return false;
        const params = { id: agentId, subscriptionId: found.id };
        await api.command('unsubscribe', { params }, call).catch((error: unknown) => {
          if (!hasCode(error, 'not_found')) throw error;
        });
        return true;
      });
    },
    /** Subscribes again to everything: the manager drops the subscriptions of an agent whose lease expired long ago. */
    renewAll: async (): Promise<void> => {
      // Aborted by another registration, which renews them all again.
      const replaced = lease.registrationSignal();
      for (const subscription of active.values()) {
        if (replaced.aborted) return;
        try {
          await subscribe(subscription, { signal: replaced });
        } catch (error) {
          if (replaced.aborted) return;
          logger.warn({ pattern: subscription.pattern, err: error }, 'subscription could not be renewed');
          events.emit('error', asError(error));
        }
      }
    },
  };
}
