import type { DatabaseSchema } from '../migrate.js';

export * from './agents.js';
export * from './candidates.js';
export * from './events.js';
export * from './clusters.js';
export * from './cluster-changes.js';
export * from './heartbeats.js';
export * from './intervals.js';
export * from './operations.js';
export * from './memberships.js';
export * from './scaling.js';
export * from './steps.js';
export * from './step-results.js';
export * from './tokens.js';
export { inTransaction } from '../database.js';
export type { ClustersDb, ClustersSchema } from './schema.js';

export const clustersDatabase: DatabaseSchema = {
  name: 'clusters_db',
  folder: new URL('.', import.meta.url),
  adopts: '0003-scaling',
};
