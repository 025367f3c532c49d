import { inboxesAndRoutes } from './0001-inboxes-and-routes.js';

/** In order, forward only, never edited after a release. */
export const communicationMigrations = {
  '0001-inboxes-and-routes': inboxesAndRoutes,
};
