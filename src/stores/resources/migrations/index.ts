import { accounts } from './0001-accounts.js';
import { resources } from './0002-resources.js';
import { whoReserved } from './0003-who-reserved.js';
import { openDecisions } from './0004-open-decisions.js';

/** In order, forward only, never edited after a release. */
export const resourcesMigrations = {
  '0001-accounts': accounts,
  '0002-resources': resources,
  '0003-who-reserved': whoReserved,
  '0004-open-decisions': openDecisions,
};
