import { Eta } from 'eta'
import { selectChartData } from '../analysis/charts.mjs'
import { analyzeChart } from '../analysis/insights.mjs'
import { drawChart } from './chart-drawing.mjs'

const eta = new Eta({ views: import.meta.dirname, cache: true })

/** One self-contained page: no script, and nothing loaded from elsewhere. The template escapes all text but the SVG. */
export async function renderDashboard ({ title, charts }, { structure, rows }) {
  const drawings = charts.map(async config => {
    const data = selectChartData(config, rows)
    const filters = (config.only ?? []).map(({ column, values }) => `${column}: ${values.join(', ')}`)
    return { ...analyzeChart(data), filter: filters.join('; '), svg: await drawChart(data) }
  })
  return eta.render('dashboard', { title, source: structure, charts: await Promise.all(drawings) })
}
