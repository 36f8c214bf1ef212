import { runProcess } from '../src/fleet.ts';
import { awbHandlers } from '../src/temu/awb/index.ts';

// Records the shipping app's AWB events and tells Temu each number once.
await runProcess('awb', (fleet) => ({ handlers: awbHandlers(fleet) }));
