export * from '../../examples/support/journal.js';
