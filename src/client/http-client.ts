import { callEndpoint, type EndpointInput } from '../contracts/call-endpoint.js';
import type { ResponseOf } from '../contracts/endpoint.js';
import { defined } from '../contracts/defined.js';
import { endpoints, type EndpointName, type Endpoints } from '../contracts/endpoints.js';
import type { OperationView, ProcessRequest } from '../contracts/operations.js';
import { waitForOperation, type WaitOptions } from './wait-for-operation.js';

export interface HttpClientOptions {
  /** `http://127.0.0.1:8420`. */
  readonly url: string;
  readonly token: string;
  /** Aborts every call in progress. */
  readonly signal?: AbortSignal;
}

/** One function for each endpoint, by its name in the API reference. It gets the parts of the request and returns the response's body. */
type EndpointCalls = {
  readonly [Name in EndpointName]: (
    ...input: object extends EndpointInput<Name> ? [input?: EndpointInput<Name>] : [input: EndpointInput<Name>]
  ) => Promise<ResponseOf<Endpoints[Name]>>;
};

export interface HttpClient extends EndpointCalls {
  readonly url: string;
  /** The specification's `process_request`. Safe to repeat with the same `idempotencyKey`: it returns the same operation. */
  request(body: ProcessRequest, options?: { readonly idempotencyKey?: string }): Promise<OperationView>;
  /**
   * Polls until the operation has ended in any state; see its `state`.
   * @throws ManagerError `deadline_exceeded` on a timeout; the operation continues.
   */
  waitForOperation(id: string, options?: WaitOptions): Promise<OperationView>;
}

const intervalTimeoutMs = 60_000;
/** Added to the time that the server may wait before it answers. */
const answerTimeoutMs = 15_000;

/**
 * A typed client of the HTTP API, as the command line and programs without a Temporal client use it. Every function
 * throws ManagerError with the API's code; `service_unavailable` when nothing answers.
 * @example
 * const manager = createHttpClient({ url: 'http://127.0.0.1:8420', token });
 * const accepted = await manager.request({ type: 'FORMATION', name: 'translators', requiredCapabilities: ['translate'] });
 * const { state, result } = await manager.waitForOperation(accepted.id);
 * const { clusters } = await manager.listClusters({ query: { state: 'active' } });
 */
export function createHttpClient({ url, token, signal }: HttpClientOptions): HttpClient {
  const options = { token, ...defined({ signal }) };
  const callOf =
    <Name extends EndpointName>(name: Name) =>
    (input = {} as EndpointInput<Name>) =>
      callEndpoint(url, name, input, { ...options, timeoutMs: timeoutMsOf(name, input) });
  const names = Object.keys(endpoints) as EndpointName[];
  const calls = Object.fromEntries(names.map((name) => [name, callOf(name)])) as unknown as EndpointCalls;
  return {
    url,
    ...calls,
    request: async (body, { idempotencyKey } = {}) => {
      const headers = defined({ 'idempotency-key': idempotencyKey });
      return (await calls.processRequest({ body, headers })).operation;
    },
    waitForOperation: (id, waitOptions = {}) =>
      waitForOperation(async () => (await calls.getOperation({ params: { id } })).operation, id, {
        ...waitOptions,
        ...defined({ signal }),
      }),
  };
}

function timeoutMsOf(name: EndpointName, input: object): number {
  if (name === 'runScalingInterval' || name === 'runFormationInterval') return intervalTimeoutMs;
  const { query = {} } = input as { readonly query?: { readonly wait?: number; readonly waitSeconds?: number } };
  return (query.wait ?? query.waitSeconds ?? 0) * 1000 + answerTimeoutMs;
}
