import type { Invariant } from './invariant.js';
import { ofInboxes } from './of-inboxes.js';
import { ofJournals } from './of-journals.js';
import { ofMessages } from './of-messages.js';
import { ofTopicsAndRoutes } from './of-topics-and-routes.js';

export const inCommunication: readonly Invariant[] = [...ofInboxes, ...ofMessages, ...ofTopicsAndRoutes, ...ofJournals];
