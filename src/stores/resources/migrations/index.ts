import { accounts } from './0001-accounts.js';

/** In order, forward only, never edited after a release. */
export const resourcesMigrations = {
  '0001-accounts': accounts,
};
