import { z } from 'zod';
import { byIdentifier, clusterPage, nextCursor, operators, readers, response, type Endpoint } from '../endpoint.js';
import { budgetView, commitOf, holdAnswer, newHold, putBudget } from '../resources.js';

const budget = budgetView.meta({ id: 'Budget' });
/* On the wire a hold is called `reservation`. */
const reserved = holdAnswer.meta({ id: 'Reserved' });

export const budgetEndpoints = {
  listBudgets: {
    method: 'get',
    path: '/v1/budgets',
    summary: 'List the budgets of a cluster with the amounts held, spent and left',
    tag: 'budgets',
    roles: [...readers, 'agent'],
    query: clusterPage,
    responses: { 200: response('A page of budgets', z.object({ budgets: z.array(budget), nextCursor })) },
    errors: ['not_found'],
  },
  putBudget: {
    method: 'put',
    path: '/v1/budgets/{id}',
    summary: 'Create a budget or change its limit, which cannot go below what is spent and held',
    tag: 'budgets',
    roles: operators,
    capability: 'scaling',
    params: byIdentifier,
    body: putBudget,
    responses: { 200: response('The budget after the change', z.object({ budget })) },
    errors: ['not_found', 'state_conflict'],
  },
  reserveBudget: {
    method: 'post',
    path: '/v1/budgets/{id}/reserve',
    summary: 'Place a hold on a budget before the amount is used; it is released when its lease ends',
    tag: 'budgets',
    roles: [...operators, 'agent'],
    capability: 'scaling',
    params: byIdentifier,
    body: newHold,
    responses: { 200: response('The hold was placed', reserved) },
    errors: ['not_found', 'state_conflict', 'budget_exceeded', 'idempotency_conflict'],
  },
  commitReservation: {
    method: 'post',
    path: '/v1/reservations/{id}/commit',
    summary: 'Commit a hold with the amount actually used: that amount is spent, the rest is released',
    tag: 'budgets',
    roles: [...operators, 'agent'],
    params: byIdentifier,
    body: commitOf,
    responses: { 200: response('Committed', reserved) },
    errors: ['not_found', 'state_conflict', 'idempotency_conflict'],
  },
  releaseReservation: {
    method: 'post',
    path: '/v1/reservations/{id}/release',
    summary: 'Release a hold unused',
    tag: 'budgets',
    roles: [...operators, 'agent'],
    params: byIdentifier,
    responses: { 200: response('Released', reserved) },
    errors: ['not_found', 'state_conflict'],
  },
} as const satisfies Record<string, Endpoint>;
