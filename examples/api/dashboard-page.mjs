// @ts-check
import { selectChartData } from '../analysis/charts.mjs'
import { analyzeChart } from '../analysis/insights.mjs'
import { drawChart } from './drawings.mjs'
import { escapeHtml } from './escape-html.mjs'

/** @import { ChartConfig } from '../analysis/charts.mjs' */
/** @import { Row } from '../analysis/columns.mjs' */
/** @import { Dashboard } from './dashboards.mjs' */
/** @import { SourceStructure } from './sources.mjs' */

const STYLE = `
  body { font: 16px/1.5 system-ui, sans-serif; color: #1a202c; max-width: 760px; margin: 2rem auto; padding: 0 1rem }
  h2 { font-size: 1.1rem; margin-top: 2.5rem }
  svg { width: 100%; font-size: 12px; fill: #4a5568 }
  .legend, footer, .filter { font-size: .85rem; color: #4a5568 }
`

/**
 * One self-contained page: no script, and nothing loaded from elsewhere.
 * @param {Dashboard} dashboard
 * @param {SourceStructure} source
 * @param {Row[]} rows
 * @returns {string}
 */
export function renderDashboard ({ title, charts }, source, rows) {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
<h1>${escapeHtml(title)}</h1>
${charts.map(chart => renderChart(chart, rows)).join('\n')}
<footer>${escapeHtml(source.title)}: ${source.rowCount} rows. Data: ${escapeHtml(source.credit)} (${escapeHtml(source.licence)}).</footer>
</html>
`
}

/**
 * @param {ChartConfig} config
 * @param {Row[]} rows
 */
function renderChart (config, rows) {
  const data = selectChartData(config, rows)
  const filters = (config.only ?? []).map(({ column, values }) => `${column}: ${values.join(', ')}`)
  return `<section>
<h2>${escapeHtml(config.name)}</h2>
${filters.length > 0 ? `<p class="filter">Only ${escapeHtml(filters.join('; '))}</p>` : ''}
${drawChart(data)}
<ul>${analyzeChart(data).statements.map(statement => `<li>${escapeHtml(statement)}</li>`).join('')}</ul>
</section>`
}
