import { isErrorCode, ManagerError, type Problem } from '../contracts/errors.js';

/** The error that a response describes. A code that this version does not know becomes `internal`. */
export const responseError = ({
  code,
  detail,
  problems = [],
}: {
  readonly code: string;
  readonly detail: string;
  readonly problems?: readonly Problem[] | undefined;
}): ManagerError => new ManagerError(isErrorCode(code) ? code : 'internal', detail, { problems });
