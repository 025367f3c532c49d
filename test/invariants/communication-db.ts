import type { Invariant } from './invariant.js';
import { inboxInvariants } from './inboxes.js';
import { journalInvariants } from './client-journals.js';
import { messageInvariants } from './messages.js';
import { topicAndRouteInvariants } from './topics-and-routes.js';

export const communicationInvariants: readonly Invariant[] = [
  ...inboxInvariants,
  ...messageInvariants,
  ...topicAndRouteInvariants,
  ...journalInvariants,
];
