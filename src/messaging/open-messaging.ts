import type { ManagerConfig } from '../config/index.js';
import type { MessageResult } from '../contracts/messages.js';
import { acceptMessages, type Envelope } from './accept-messages.js';
import type { MessagingDeps } from './deps.js';
import { ack, openNotifications, type CommunicationDb, type LeaseClaim } from '../stores/communication/index.js';
import type { Logger, Metrics } from '../telemetry/index.js';
import type { ApiDeps } from '../http/deps.js';
import { GroupCommit } from './group-commit.js';
import { LatencyRecorder } from './latency-recorder.js';
import { InboxNotifier } from './inbox-notifier.js';

const lookMs = 500;
const lookWithoutHintsMs = 100;
const atOnce = 1000;

/** The parts of the server that messages go through. */
export interface MessagingParts extends Pick<ApiDeps, 'mail' | 'messages' | 'acks' | 'latencies' | 'messaging'> {
  readonly close: () => Promise<void>;
}

export function openMessaging(
  communication: CommunicationDb,
  config: () => ManagerConfig,
  { serverId, logger, metrics }: { readonly serverId: string; readonly logger: Logger; readonly metrics: Metrics },
): MessagingParts {
  const mail = new InboxNotifier(communication, logger, () =>
    config().communication.wakeUps ? lookMs : lookWithoutHintsMs,
  );
  const latencies = new LatencyRecorder(communication, metrics);
  const { wakeUps } = config().communication;
  const others = openNotifications(communication, {
    id: serverId,
    ...(wakeUps ? { url: config().databases.communication, onMail: (agentIds) => mail.wake(agentIds) } : {}),
    onTrouble: (err) => logger.warn({ err }, 'wake-ups between servers are interrupted; mail arrives a little later'),
  });
  const wake = (agentIds: readonly string[]): void => {
    if (!config().communication.wakeUps) return;
    mail.wake(agentIds);
    others.tell(agentIds);
  };
  const messaging = (): MessagingDeps => ({ communication, settings: config().communication, wake });
  const acks = new GroupCommit<LeaseClaim, boolean>(async (claims) => {
    const acked = await ack(communication, claims);
    for (const { clusterId, ackedAfterMs } of acked.values()) {
      if (ackedAfterMs !== null) latencies.observe('acked', clusterId, ackedAfterMs);
    }
    // A stream that holds as much as it may goes on when something is acked.
    mail.wake([...new Set(claims.map(({ agentId }) => agentId))]);
    return claims.map((_claim, place) => acked.has(place));
  }, atOnce);
  return {
    mail,
    latencies,
    messaging,
    acks,
    messages: new GroupCommit<Envelope, MessageResult>((envelopes) => acceptMessages(messaging(), envelopes), atOnce),
    close: async () => {
      mail.close();
      await others.close();
      await latencies.flush().catch((err: unknown) => logger.warn({ err }, 'the last latencies were not stored'));
    },
  };
}
