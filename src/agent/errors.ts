import { ManagerError, type ErrorCode } from '../contracts/errors.js';

export const hasCode = (error: unknown, ...codes: ErrorCode[]): boolean =>
  error instanceof ManagerError && codes.includes(error.code);

/** Whether the same call may succeed a moment later. */
export const isTransient = (error: unknown): boolean =>
  hasCode(error, 'service_unavailable', 'too_many_requests', 'mailbox_full', 'internal');

export const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
