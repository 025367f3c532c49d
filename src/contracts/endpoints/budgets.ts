import { z } from 'zod';
import { byIdentifier, clusterPage, ok, operators, page, readers, tagged } from '../endpoint.js';
import { budgetView, commitOf, holdAnswer, newHold, putBudget } from '../resources.js';

const budget = budgetView.meta({ id: 'Budget' });
/* On the wire a hold is called `reservation`. */
const reserved = holdAnswer.meta({ id: 'Reserved' });

export const budgetEndpoints = tagged('budgets', {
  listBudgets: {
    route: 'GET /v1/budgets',
    summary: 'List the budgets of a cluster with the amounts held, spent and left',
    roles: [...readers, 'agent'],
    query: clusterPage,
    responses: page('A page of budgets', { budgets: z.array(budget) }),
    errors: ['not_found'],
  },
  putBudget: {
    route: 'PUT /v1/budgets/{id}',
    summary: 'Create a budget or change its limit, which cannot go below what is spent and held',
    roles: operators,
    capability: 'scaling',
    params: byIdentifier,
    body: putBudget,
    responses: ok('The budget after the change', { budget }),
    errors: ['not_found', 'state_conflict'],
  },
  reserveBudget: {
    route: 'POST /v1/budgets/{id}/reserve',
    summary: 'Place a hold on a budget before the amount is used; it is released when its lease ends',
    roles: [...operators, 'agent'],
    capability: 'scaling',
    params: byIdentifier,
    body: newHold,
    responses: ok('The hold was placed', reserved),
    errors: ['not_found', 'state_conflict', 'budget_exceeded', 'idempotency_conflict'],
  },
  commitReservation: {
    route: 'POST /v1/reservations/{id}/commit',
    summary: 'Commit a hold with the amount actually used: that amount is spent, the rest is released',
    roles: [...operators, 'agent'],
    params: byIdentifier,
    body: commitOf,
    responses: ok('Committed', reserved),
    errors: ['not_found', 'state_conflict', 'idempotency_conflict', 'budget_exceeded'],
  },
  releaseReservation: {
    route: 'POST /v1/reservations/{id}/release',
    summary: 'Release a hold unused',
    roles: [...operators, 'agent'],
    params: byIdentifier,
    responses: ok('Released', reserved),
    errors: ['not_found', 'state_conflict'],
  },
});
