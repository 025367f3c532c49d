import { z } from 'zod';
import type { ErrorCode } from './errors.js';
import { identifier } from './agents.js';
import { derivedId } from './messages.js';

/** A caller by its token: the token's role, where a token of role `agent` that belongs to no agent yet is an enrolment token. */
export type Party = 'admin' | 'orchestrator' | 'viewer' | 'agent' | 'enrolment';

export const readers = ['admin', 'orchestrator', 'viewer'] as const;
export const operators = ['admin', 'orchestrator'] as const;

interface EndpointResponse {
  readonly description: string;
  /** Undefined for a response without a body. */
  readonly body?: z.ZodType;
  /** Default `application/json`. */
  readonly contentType?: string;
}

/** One operation of the HTTP API. Its key in the table is the OpenAPI `operationId`. */
export interface Endpoint {
  readonly method: 'get' | 'post' | 'put' | 'delete';
  /** With `{name}` for each path parameter. Under `/v1/agents/{id}` an agent reaches its own id only. */
  readonly path: `/${string}`;
  readonly summary: string;
  readonly tag: string;
  /** The parties that may call it. */
  readonly roles: readonly Party[] | 'public';
  /** The capability that the manager must offer (`cluster_manager.capabilities`). */
  readonly capability?: 'cluster_management' | 'communication_management' | 'scaling';
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly headers?: z.ZodObject;
  readonly body?: z.ZodType;
  /** A request without a body is read as `{}`. */
  readonly bodyIsOptional?: true;
  /** Bytes; without it the configured limit of request bodies. */
  readonly bodyLimitBytes?: number;
  /** A smaller limit that depends on the parsed JSON. */
  readonly bodyLimitOf?: (body: unknown) => number | undefined;
  /** Messages or deliveries in a valid body, which count against the token's limit. */
  readonly itemsOf?: (body: never) => number;
  /** Successful responses by HTTP status. */
  readonly responses: Readonly<Record<number, EndpointResponse>>;
  /**
   * The error codes that are specific to this endpoint; `errorsOf` adds those that many share. Default: `not_found` when
   * the path has parameters.
   */
  readonly errors: readonly ErrorCode[];
}

type OutputOf<E, Part extends string> = E extends { readonly [P in Part]: infer S extends z.ZodType }
  ? z.output<S>
  : undefined;

/** The validated parts of a request; undefined for a part that the endpoint does not have. */
export interface RequestOf<E> {
  readonly params: OutputOf<E, 'params'>;
  readonly query: OutputOf<E, 'query'>;
  readonly headers: OutputOf<E, 'headers'>;
  readonly body: OutputOf<E, 'body'>;
}

/** The body of a successful response; undefined when there is none. */
export type ResponseOf<E extends Pick<Endpoint, 'responses'>> = {
  [Status in keyof E['responses']]: E['responses'][Status] extends { readonly body: infer S extends z.ZodType }
    ? z.output<S>
    : undefined;
}[keyof E['responses']];

export type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? number extends T['length']
    ? readonly DeepReadonly<Item>[]
    : Readonly<T>
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T;

/** The error codes of an endpoint, its own and those of all endpoints of its kind. */
export function errorsOf(endpoint: Endpoint): readonly ErrorCode[] {
  const { roles, capability, params, query, headers, body, errors } = endpoint;
  return [
    ...new Set<ErrorCode>([
      ...((params ?? query ?? headers ?? body) ? (['invalid_request'] as const) : []),
      ...(body ? (['body_too_large', 'unsupported_media_type'] as const) : []),
      ...(roles === 'public' ? [] : (['unauthenticated', 'forbidden', 'too_many_requests'] as const)),
      ...(capability ? (['capability_disabled', 'relationship_refused'] as const) : []),
      'host_refused',
      ...errors,
      ...(roles === 'public' ? [] : (['service_unavailable', 'internal'] as const)),
    ]),
  ];
}

/* The parts that several endpoints share. */

type Derived = 'method' | 'path' | 'tag' | 'errors';

/** An endpoint as the tables write it: `route` is its method and path, `tagged` adds the rest. */
interface EndpointEntry extends Omit<Endpoint, Derived>, Partial<Pick<Endpoint, 'errors'>> {
  readonly route: `${'GET' | 'POST' | 'PUT' | 'DELETE'} /${string}`;
}

type Tagged<Entries> = { readonly [Name in keyof Entries]: Omit<Entries[Name], 'route'> & Pick<Endpoint, Derived> };

/** The endpoints of one tag. */
export const tagged = <const Entries extends Record<string, EndpointEntry>>(tag: string, entries: Entries) =>
  Object.fromEntries(
    Object.entries(entries).map(([name, { route, ...endpoint }]) => {
      const [method = '', path] = route.split(' ');
      const errors = endpoint.params ? ['not_found'] : [];
      return [name, { method: method.toLowerCase(), path, tag, errors, ...endpoint }];
    }),
  ) as Tagged<Entries>;

type SchemaOf<Body> = Body extends z.ZodType ? Body : Body extends z.ZodRawShape ? z.ZodObject<Body> : never;

/** @param body a schema, or the fields of an object. */
export const response = <Body extends z.ZodType | z.ZodRawShape>(description: string, body: Body) => ({
  description,
  body: (body instanceof z.ZodType ? body : z.object(body)) as SchemaOf<Body>,
});

export const ok = <Body extends z.ZodType | z.ZodRawShape>(description: string, body: Body) => ({
  200: response(description, body),
});

/** A page of a list: its rows, and the cursor of the next page. */
export const page = <Shape extends z.ZodRawShape>(description: string, rows: Shape) =>
  ok(description, { ...rows, nextCursor: z.string().nullable() });

/** Each list answers in pages; `cursor` is the `nextCursor` of the page before. */
export const pageQuery = {
  cursor: z.string().max(1000).optional(),
  limit: z.coerce.number<number>().int().min(1).max(200).default(50),
};
export const pageOnly = z.strictObject(pageQuery);
export const clusterPage = z.strictObject({ ...pageQuery, clusterId: derivedId });

export const byId = z.object({ id: derivedId });
export const byIdentifier = z.object({ id: identifier });
export const byName = z.object({ name: identifier });
export const byCluster = z.object({ clusterId: derivedId });

/** How long to wait for the operation's end before it is returned in its current state. */
export const waitQuery = z.strictObject({ wait: z.coerce.number<number>().int().min(0).max(60).default(0) });

export const idempotencyHeaders = z.object({
  'idempotency-key': z
    .string()
    .regex(/^[\x20-\x7e]{1,255}$/, 'must be 1 to 255 visible ASCII characters')
    .optional()
    .describe('The same key with the same request returns the same operation; with another request it is a 409'),
});
