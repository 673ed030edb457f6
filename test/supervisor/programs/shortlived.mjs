export { app } from './app.mjs';

setTimeout(() => {
  throw new Error('no more of this');
}, 100);
