/** A refusal whose answer names the methods that the path allows. */
export class MethodNotAllowed extends Error {
  readonly method: string;
  readonly allowed: readonly string[];

  constructor(method: string, allowed: readonly string[]) {
    super(`${method} is not allowed here; allowed: ${allowed.join(', ')}`);
    this.method = method;
    this.allowed = allowed;
  }
}
