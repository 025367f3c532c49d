import { inboxesAndRoutes } from './0001-inboxes-and-routes.js';
import { mailAndTopics } from './0002-mail-and-topics.js';
import { batchesInParts } from './0003-batches-in-parts.js';

/** In order, forward only, never edited after a release. */
export const communicationMigrations = {
  '0001-inboxes-and-routes': inboxesAndRoutes,
  '0002-mail-and-topics': mailAndTopics,
  '0003-batches-in-parts': batchesInParts,
};
