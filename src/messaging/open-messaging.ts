import type { ManagerConfig } from '../config/index.js';
import type { MessageResult } from '../contracts/messages.js';
import {
  ackDeliveries,
  openNotifications,
  type CommunicationDb,
  type LeaseClaim,
} from '../stores/communication/index.js';
import type { Logger, Metrics } from '../telemetry/index.js';
import { acceptMessages } from './accept-messages.js';
import type { MessagingDeps } from './deps.js';
import { GroupCommit } from './group-commit.js';
import { InboxNotifier } from './inbox-notifier.js';
import { LatencyRecorder } from './latency.js';
import { withId, type Envelope } from './message-draft.js';

const pollMs = 500;
const pollWithoutNotificationsMs = 100;
const maxItemsPerCommit = 1000;

/** The messaging of one server. */
export interface ServerMessaging extends MessagingDeps {
  /** Accepts messages in a shared transaction. @returns a result for each, in the order given. */
  readonly accept: (envelopes: readonly Envelope[]) => Promise<MessageResult[]>;
  /** Acknowledges deliveries in a shared transaction. @returns for each claim, in the order given, whether it was acked. */
  readonly acknowledge: (claims: readonly LeaseClaim[]) => Promise<boolean[]>;
  readonly notifier: InboxNotifier;
  readonly latencies: LatencyRecorder;
}

/** Opens the messaging of a server: group commits, notifications between servers, latencies. */
export function openMessaging(
  communication: CommunicationDb,
  config: () => ManagerConfig,
  { serverId, logger, metrics }: { readonly serverId: string; readonly logger: Logger; readonly metrics: Metrics },
): ServerMessaging & { readonly close: () => Promise<void> } {
  const settings = () => config().communication;
  const notifier = new InboxNotifier(communication, logger, () =>
    settings().wakeUps ? pollMs : pollWithoutNotificationsMs,
  );
  const latencies = new LatencyRecorder(communication, metrics);
  const otherServers = openNotifications(communication, {
    id: serverId,
    ...(settings().wakeUps
      ? { url: config().databases.communication, onNotification: (agentIds) => notifier.notify(agentIds) }
      : {}),
    onError: (err) => logger.warn({ err }, 'notifications between servers are interrupted; deliveries take longer'),
  });
  const notify = (agentIds: readonly string[]): void => {
    if (!settings().wakeUps) return;
    notifier.notify(agentIds);
    otherServers.notify(agentIds);
  };
  const warn = (message: string, err: unknown): void => logger.warn({ err }, message);
  const messages = new GroupCommit<Envelope, MessageResult>(
    (envelopes) => acceptMessages({ communication, settings, notify, warn }, envelopes),
    maxItemsPerCommit,
  );
  const acks = new GroupCommit<LeaseClaim, boolean>(async (claims) => {
    const acked = await ackDeliveries(communication, claims);
    for (const { clusterId, ackedAfterMs } of acked.values()) {
      if (ackedAfterMs !== null) latencies.observe('acked', clusterId, ackedAfterMs);
    }
    // A stream at its limit of unacked deliveries can lease more now.
    notifier.notify([...new Set(claims.map(({ agentId }) => agentId))]);
    return claims.map((_claim, index) => acked.has(index));
  }, maxItemsPerCommit);
  return {
    communication,
    settings,
    notify,
    warn,
    // Before the group commit, which repeats a call whose commit failed, possibly after it took effect.
    accept: (envelopes) => messages.add(envelopes.map(withId)),
    acknowledge: (claims) => acks.add(claims),
    notifier,
    latencies,
    close: async () => {
      notifier.close();
      await otherServers.close();
      await latencies.flush().catch((err: unknown) => logger.warn({ err }, 'the last latencies were not stored'));
    },
  };
}
