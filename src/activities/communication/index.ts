import type { CommunicationDeps } from '../deps.js';
import { handleBroadcasts } from './handle-broadcasts.js';
import { manageTopics } from './manage-topics.js';
import { routeMessages } from './route-messages.js';
import { updateRouting } from './update-routing.js';

/** The activities of manage_communication: its four steps. */
export const createCommunicationActivities = (deps: CommunicationDeps) => ({
  routeMessages: routeMessages(deps),
  handleBroadcasts: handleBroadcasts(deps),
  manageTopics: manageTopics(deps),
  updateRouting: updateRouting(deps),
});
