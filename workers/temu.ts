import { runProcess } from '../src/fleet/index.ts';
import { orderHandlers } from '../src/temu/orders/index.ts';

// Reads Temu's orders: windows page by page, then each order's price and address.
await runProcess('temu', (fleet) => ({ handlers: orderHandlers(fleet) }));
