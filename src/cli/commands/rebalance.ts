export { defineScaling as define } from './interval.js';
