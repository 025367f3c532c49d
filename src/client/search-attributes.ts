import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common';
import type { searchAttributes } from '../contracts/search-attributes.js';

const keyword = (name: (typeof searchAttributes)[number]) =>
  defineSearchAttributeKey(name, SearchAttributeType.KEYWORD);

/** The search attributes by which the Temporal UI finds a run, set when it starts. */
export const attributesOf = (run: { component: string; clusterId?: string; requestedBy?: string }) =>
  new TypedSearchAttributes([
    { key: keyword('Component'), value: run.component },
    ...(run.clusterId ? [{ key: keyword('ClusterId'), value: run.clusterId }] : []),
    ...(run.requestedBy ? [{ key: keyword('RequestedBy'), value: run.requestedBy.slice(0, 255) }] : []),
  ]);
