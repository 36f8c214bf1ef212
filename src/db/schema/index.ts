export * from './notices.ts';
export * from './orders.ts';
export * from './quota.ts';
export * from './samples.ts';
export * from './shipments.ts';
export * from './stores.ts';
export * from './sync.ts';
export * from './tracking.ts';
