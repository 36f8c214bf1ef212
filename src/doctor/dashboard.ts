import { UserError } from '../lib/errors.ts';
import { accountsOf } from '../web/middleware/access.ts';
import { isLoopback } from '../web/request.ts';
import { type Check, fault, orWell, warning } from './check.ts';

/** Who may reach the web process (O3, O4). */
export const dashboard: Check = {
  name: 'Dashboard',
  async look({ config }) {
    const findings = [];
    try {
      accountsOf(config);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      findings.push(
        fault(
          error.message.split('\n').slice(1).join(';').trim(), // without its heading
          'set DASHBOARD_USER and DASHBOARD_PASSWORD, or HOST=127.0.0.1: the web process does not start without',
        ),
      );
    }
    if (!isLoopback(config.HOST) && !config.METRICS_TOKEN)
      findings.push(
        warning(
          `/metrics on ${config.HOST} is open without a token`,
          'set METRICS_TOKEN (openssl rand -hex 24) here and in Prometheus, or keep the ports in a private network',
        ),
      );
    return orWell(findings, isLoopback(config.HOST) ? `listens on ${config.HOST} only` : 'login required');
  },
};
