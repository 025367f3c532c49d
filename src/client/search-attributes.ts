import { defineSearchAttributeKey, SearchAttributeType, TypedSearchAttributes } from '@temporalio/common';
import type { searchAttributes } from '../contracts/search-attributes.js';

const keyword = (name: (typeof searchAttributes)[number]) =>
  defineSearchAttributeKey(name, SearchAttributeType.KEYWORD);

/** What the Temporal UI can filter a run by from its first moment. */
export const attributesOf = (run: { component: string; clusterId?: string; requestedBy?: string }) =>
  new TypedSearchAttributes([
    { key: keyword('Component'), value: run.component },
    ...(run.clusterId ? [{ key: keyword('ClusterId'), value: run.clusterId }] : []),
    ...(run.requestedBy ? [{ key: keyword('RequestedBy'), value: run.requestedBy.slice(0, 255) }] : []),
  ]);
