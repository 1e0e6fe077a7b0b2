import { rateForgetIntervalMs, rateForgetRowsMax } from '../limits.ts'
import type { RateLimiter } from '../store/rates.ts'
import type { Job } from './runner.ts'

/** Forgets what was counted in windows that are over. */
export function rateWindows(options: { readonly rates: RateLimiter }): Job {
  return {
    name: 'rate_windows',
    intervalMs: rateForgetIntervalMs,
    step: async () => (await options.rates.forget(rateForgetRowsMax)) >= rateForgetRowsMax,
  }
}
