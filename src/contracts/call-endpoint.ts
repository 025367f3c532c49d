import type { z } from 'zod';
import { callApi, responseBodyOf, type ApiCall } from './api-call.js';
import type { DeepReadonly, Endpoint, ResponseOf } from './endpoint.js';
import { endpoints, type EndpointName, type Endpoints } from './endpoints.js';

type PartOf<E, Part extends string> = E extends { readonly [P in Part]: infer S extends z.ZodType }
  ? Optional<Part, Widened<Part, DeepReadonly<z.input<S>>>>
  : { readonly [P in Part]?: never };

type Optional<Part extends string, T> = object extends T ? { readonly [P in Part]?: T } : { readonly [P in Part]: T };

/** A query parameter may be any text: a newer server may know values that this version does not. */
type Widened<Part, T> = Part extends 'query'
  ? { readonly [Key in keyof T]: T[Key] extends string | undefined ? Exclude<T[Key], string> | string : T[Key] }
  : T;

/** The parts of a request as its caller writes them, without defaults. */
export type EndpointInput<Name extends EndpointName> = PartOf<Endpoints[Name], 'params'> &
  PartOf<Endpoints[Name], 'query'> &
  PartOf<Endpoints[Name], 'headers'> &
  PartOf<Endpoints[Name], 'body'>;

export interface CallOptions extends Pick<ApiCall, 'token' | 'signal' | 'timeoutMs'> {
  /** Gets the server's clock from each answer, ms since 1970; undefined when the answer has no date. */
  readonly onServerTime?: (serverTimeMs: number | undefined) => void;
}

interface Input {
  readonly params?: Readonly<Record<string, unknown>>;
  readonly query?: NonNullable<ApiCall['query']>;
  readonly headers?: NonNullable<ApiCall['headers']>;
  readonly body?: unknown;
}

/** The HTTP request of an endpoint. */
export function apiCallOf<Name extends EndpointName>(name: Name, input: EndpointInput<Name>): ApiCall {
  const { method, path }: Endpoint = endpoints[name];
  const { params = {}, query, headers, body } = input as Input;
  return {
    method: method.toUpperCase() as ApiCall['method'],
    path: path.replaceAll(/\{(\w+)\}/g, (_match, key: string) => encodeURIComponent(String(params[key]))),
    ...(query ? { query } : {}),
    ...(headers ? { headers } : {}),
    ...(body === undefined ? {} : { body }),
  };
}

/**
 * Calls an endpoint of the HTTP API. Fields that this version does not know are dropped from the response.
 * @param baseUrl `http://host:port`, with or without a path before `/v1`.
 * @throws ManagerError with the answer's code; `service_unavailable` when nothing answers in time, `incompatible_service`
 * when the answer is not one of this API.
 */
export async function callEndpoint<Name extends EndpointName>(
  baseUrl: string,
  name: Name,
  input: EndpointInput<Name>,
  { onServerTime, ...options }: CallOptions = {},
): Promise<ResponseOf<Endpoints[Name]>> {
  const answer = await callApi(baseUrl, { ...apiCallOf(name, input), ...options });
  onServerTime?.(answer.serverTimeMs);
  const { responses }: Endpoint = endpoints[name];
  const { body } = responses[answer.status] ?? Object.values(responses)[0] ?? {};
  return (body ? responseBodyOf(baseUrl, body, answer) : undefined) as ResponseOf<Endpoints[Name]>;
}

/** The same for a caller that does not use the response: its body is not checked. */
export async function sendToEndpoint<Name extends EndpointName>(
  baseUrl: string,
  name: Name,
  input: EndpointInput<Name>,
  { onServerTime, ...options }: CallOptions = {},
): Promise<void> {
  const answer = await callApi(baseUrl, { ...apiCallOf(name, input), ...options });
  onServerTime?.(answer.serverTimeMs);
}
