// @ts-check
import { randomBytes } from 'node:crypto'

/** @import { ChartConfig } from '../analysis/charts.mjs' */

/** @typedef {{ title: string, sourceId: string, charts: ChartConfig[] }} Dashboard */

/**
 * Keeps the latest dashboards in memory. Whoever knows an id may read its page, so ids cannot be guessed.
 * @param {{ capacity: number }} options
 */
export function createDashboards ({ capacity }) {
  /** @type {Map<string, Dashboard>} */
  const dashboards = new Map()

  return {
    /**
     * @param {Dashboard} dashboard
     * @returns {string} its id
     */
    add (dashboard) {
      const id = randomBytes(18).toString('base64url')
      dashboards.set(id, dashboard)
      const [oldest] = dashboards.keys()
      if (dashboards.size > capacity && oldest !== undefined) dashboards.delete(oldest)
      return id
    },

    /** @param {string} id */
    get (id) {
      return dashboards.get(id) ?? null
    }
  }
}
