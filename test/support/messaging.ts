import type { CommunicationSettings } from '../../src/config/index.js';
import type { MessagingDeps } from '../../src/messaging/deps.js';
import type { CommunicationDb } from '../../src/stores/communication/index.js';

/** The defaults of the settings file. */
export const communicationSettings: CommunicationSettings = {
  reach: 'fleet',
  leaseSeconds: 30,
  tries: 5,
  retryDelaysSeconds: [1, 5, 30, 120, 300],
  maxUnacked: 100,
  mailbox: 10_000,
  ttlSeconds: 3600,
  broadcastDeadlineSeconds: 30,
  subscriptionGraceSeconds: 120,
  retentionSeconds: 86_400,
  deadLetterRetentionSeconds: 1_209_600,
  maxStreams: 2000,
  wakeUps: true,
};

/** Messaging over a test's database, without notifications. */
export const messagingOf = (
  communication: CommunicationDb,
  settings: Partial<CommunicationSettings> = {},
): MessagingDeps => ({
  communication,
  settings: () => ({ ...communicationSettings, ...settings }),
  notify: () => undefined,
  warn: () => undefined,
});
