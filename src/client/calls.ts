import type { z } from 'zod';
import type { ApiCall } from '../contracts/api-call.js';

export interface PageQuery {
  /** The `nextCursor` of the page before. */
  readonly cursor?: string;
  /** 1 to 200, default 50. */
  readonly limit?: number;
}

/** The calls of one API, however they are made. */
export interface Calls {
  readonly get: <Shape extends z.ZodType>(
    shape: Shape,
    path: string,
    query?: ApiCall['query'],
  ) => Promise<z.output<Shape>>;
  readonly send: <Shape extends z.ZodType>(
    shape: Shape,
    method: 'POST' | 'PUT' | 'DELETE',
    path: string,
    rest?: Partial<ApiCall>,
  ) => Promise<z.output<Shape>>;
}

export const at = (collection: string, id: string, verb = ''): string =>
  `/v1/${collection}/${encodeURIComponent(id)}${verb && `/${verb}`}`;
