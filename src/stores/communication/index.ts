export * from './inbox.js';
export * from './routing.js';
export { communicationMigrations } from './migrations/index.js';
export type { CommunicationDb, CommunicationSchema } from './schema.js';
