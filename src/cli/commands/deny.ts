export { defineDeny as define } from './requests.js';
