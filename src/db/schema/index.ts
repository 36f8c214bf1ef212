export * from './notices.ts';
export * from './orders.ts';
export * from './samples.ts';
export * from './shipments.ts';
export * from './stores.ts';
export * from './tracking.ts';
