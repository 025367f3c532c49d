export * from './accounts.js';
export { resourcesMigrations } from './migrations/index.js';
export type { ResourcesDb, ResourcesSchema } from './schema.js';
