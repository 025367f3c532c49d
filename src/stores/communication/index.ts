import type { DatabaseSchema } from '../migrate.js';

export * from './accept-messages.js';
export * from './batches.js';
export * from './dead-letters.js';
export * from './delivery-id.js';
export * from './inbox-statistics.js';
export * from './inboxes.js';
export * from './latencies.js';
export * from './lease-deliveries.js';
export * from './message-trace.js';
export * from './notifications.js';
export * from './operation-changes.js';
export * from './orphaned-deliveries.js';
export * from './receipts.js';
export * from './retention.js';
export * from './routing.js';
export * from './settle-deliveries.js';
export * from './subscriptions.js';
export * from './topics.js';
export type { CommunicationDb, CommunicationSchema } from './schema.js';

export const communicationDatabase: DatabaseSchema = {
  name: 'communication_db',
  folder: new URL('.', import.meta.url),
  adopts: '0003-batches-in-parts',
};
