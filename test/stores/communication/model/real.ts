import type { MessagingDeps } from '../../../../src/messaging/deps.js';
import type { CommunicationDb, LeaseRules } from '../../../../src/stores/communication/index.js';
import { bounds } from './model.js';

/** The store under test, and by what names a run goes there. */
export interface Real {
  readonly db: CommunicationDb;
  readonly deps: MessagingDeps;
  readonly root: string;
}

export const leaseRules: LeaseRules = {
  leaseSeconds: 600,
  maxUnacked: bounds.maxUnacked,
  tries: bounds.tries,
  retryDelaysSeconds: [0],
};
