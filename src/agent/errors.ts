import { ManagerError, type ErrorCode } from '../contracts/errors.js';

export const hasCode = (error: unknown, ...codes: ErrorCode[]): boolean =>
  error instanceof ManagerError && codes.includes(error.code);

/** Whether the same call may succeed a moment later. */
export const isTransient = (error: unknown): boolean =>
  hasCode(error, 'service_unavailable', 'too_many_requests', 'mailbox_full', 'internal');

export const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/**
 * An error that no retry can resolve: a handler that throws it dead-letters the message at once.
 * @example throw finalError(`There is no document "${id}"`)
 */
export const finalError = (message: string, options?: { readonly cause?: unknown }): Error =>
  asFinal(new Error(message, options));

export const asFinal = (error: Error): Error => Object.assign(error, { final: true });

/** Whether an error has a true `final` property, whichever library created it. */
export const isFinal = (error: unknown): boolean => error instanceof Error && 'final' in error && error.final === true;
