import { runProcess } from '../src/fleet/index.ts';
import { awbHandlers } from '../src/temu/awb/index.ts';

// Records the shipping app's AWB events and pushes each number to Temu once.
await runProcess('awb', (fleet) => ({ handlers: awbHandlers(fleet) }));
