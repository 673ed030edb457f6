// Never loads.
setInterval(() => {}, 1000);
await new Promise(() => {});
