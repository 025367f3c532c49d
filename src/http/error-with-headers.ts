import { ManagerError, type ErrorCode } from '../contracts/errors.js';

/** An error whose response has headers of its own. */
export class ErrorWithHeaders extends ManagerError {
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, message: string, headers: Readonly<Record<string, string>>) {
    super(code, message);
    this.headers = headers;
  }
}

/** An error that tells the caller when to try again. */
export const retryLater = (code: ErrorCode, message: string, seconds: number): ErrorWithHeaders =>
  new ErrorWithHeaders(code, message, { 'retry-after': String(seconds) });
