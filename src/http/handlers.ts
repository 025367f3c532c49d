import type { DeepReadonly, RequestOf, ResponseOf } from '../contracts/endpoint.js';
import type { EndpointName, Endpoints } from '../contracts/endpoints.js';
import type { Principal } from '../stores/clusters/index.js';

/** A request as its handler gets it: authenticated, authorized and validated. */
export interface HandlerRequest<Name extends EndpointName> extends RequestOf<Endpoints[Name]> {
  readonly principal: Endpoints[Name]['roles'] extends 'public' ? undefined : Principal;
  /** The body before validation, without defaults: a hash over it stays the same when a later release adds a default. */
  readonly sentBody: unknown;
  readonly raw: Request;
  /** Authenticates again, for responses that take long. @throws ManagerError when the token was revoked meanwhile. */
  readonly reauthenticate: () => Promise<void>;
}

type Body<Name extends EndpointName> = DeepReadonly<ResponseOf<Endpoints[Name]>>;

/** A response whose status or headers are not the default ones. */
export class Reply<const Status extends number, Value> {
  readonly status: Status;
  readonly body: Value;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: Status, body: Value, headers: Readonly<Record<string, string>> = {}) {
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/**
 * Handles the requests of one endpoint. The body that it returns is sent with the first status that the endpoint lists;
 * a `Response` is sent as it is.
 */
export type Handler<Name extends EndpointName> = (
  request: HandlerRequest<Name>,
) => HandlerResult<Name> | Promise<HandlerResult<Name>>;

type HandlerResult<Name extends EndpointName> =
  Body<Name> | Reply<keyof Endpoints[Name]['responses'] & number, Body<Name>> | Response;

/** A handler for every endpoint of the table. */
export type Handlers = { readonly [Name in EndpointName]: Handler<Name> };
