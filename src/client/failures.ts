import { WorkflowFailedError } from '@temporalio/client';
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  TimeoutFailure,
} from '@temporalio/common';
import { codeOfFailureType, ManagerError, type Problem } from '../contracts/errors.js';

/** Turns a workflow's failure into the refusal behind it; any other error is returned as it is. */
export function refusalOf(error: unknown): unknown {
  const cause = rootOf(error instanceof WorkflowFailedError ? error.cause : error);
  if (cause instanceof ApplicationFailure) {
    const code = codeOfFailureType(cause.type);
    const problems = (cause.details?.[0] ?? []) as readonly Problem[];
    if (code)
      return new ManagerError(code, cause.message, { problems: Array.isArray(problems) ? problems : [], cause });
  }
  if (cause instanceof CancelledFailure) return new ManagerError('cancelled', 'The operation was cancelled', { cause });
  if (cause instanceof TimeoutFailure) {
    return new ManagerError('deadline_exceeded', 'The deadline passed before the operation ended', { cause });
  }
  return error;
}

function rootOf(error: unknown): unknown {
  let current = error;
  while ((current instanceof ActivityFailure || current instanceof ChildWorkflowFailure) && current.cause) {
    current = current.cause;
  }
  return current;
}
