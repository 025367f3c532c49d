/**
 * Search attributes shared by all our workflows, each a Keyword, by which the Temporal UI filters. A Temporal server
 * that was not started by this project needs them registered once: see docs/operations.md.
 */
export const searchAttributes = ['Component', 'ClusterId', 'RequestedBy'] as const;
