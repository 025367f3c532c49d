export { defineGrant as define } from './requests.js';
